"""Lists of symbols, as vendors write them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kurswerk.core.errors import DataFileError
from kurswerk.ingest import ingest_symbols
from kurswerk.market.instruments import InstrumentFacts


class Kept:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.facts: list[InstrumentFacts] = []

    def describe(self, facts: Sequence[InstrumentFacts]) -> tuple[int, int]:
        self.facts += facts
        return len(facts) - 1, 1


def read(tmp_path: Path, text: str, **usual: str) -> list[InstrumentFacts]:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8-sig")
    kept = Kept()
    ingest_symbols(tmp_path / "list.csv", kept, **usual)
    return kept.facts


def test_the_columns_of_known_lists_are_found(tmp_path: Path):
    text = "Symbol,Security,GICS Sector,GICS Sub-Industry,Founded\nBRK.B,Berkshire,Financials,Multi-Sector,1839\n"
    assert read(tmp_path, text, currency="USD") == [
        InstrumentFacts("BRK.B", "Berkshire", "Financials", "Multi-Sector", None, "USD")
    ]
    text = "exchange, Ticker ,currency\nnasdaq,AAPL,EUR\n,MMM\nXETR, SAP ,\n"
    assert read(tmp_path, text, exchange="XNYS", currency="USD") == [
        InstrumentFacts("AAPL", None, None, None, "NASDAQ", "EUR"),
        InstrumentFacts("MMM", None, None, None, "XNYS", "USD"),
        InstrumentFacts("SAP", None, None, None, "XETR", "USD"),
    ]


def test_counts_add_up_to_the_symbols(tmp_path: Path):
    path = tmp_path / "list.csv"
    path.write_text("symbol\nA\nB\nC\nC\n")
    summary = ingest_symbols(path, Kept())
    assert (summary.rows_read, summary.added, summary.changed, summary.unchanged) == (4, 2, 1, 0)
    assert summary.fields == {"symbol": "symbol"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\nApple\n", "needs a column symbol or ticker"),
        ("symbol,currency\nA,USD\nB,Dollar\n", "row 2: the currency of 'B' is 'Dollar'"),
        ("symbol,exchange\nA,New York\n", "row 1: the exchange of 'A' is 'New York'"),
        ("symbol,name\n,Apple\n", "row 1: '' is no symbol"),
        (f"symbol\n{'A' * 65}\n", "1 to 64"),
        ("symbol,name\nA,Apple\nA,Agilent\n", "row 2: an earlier row states something else of 'A'"),
    ],
)
def test_what_is_no_list_is_refused_as_a_whole(tmp_path: Path, text: str, words: str):
    with pytest.raises(DataFileError, match=words):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataFileError, match=r"gone\.csv"):
        ingest_symbols(tmp_path / "gone.csv", Kept())
