"""Instruments of a market with series: who they are, found by words, and what belongs to each."""

import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, NotFoundError
from kurswerk.market import market_named
from kurswerk.market.instruments import InstrumentFacts, InstrumentFilter
from kurswerk.market.series import SeriesOrigin
from kurswerk.storage.markets import PostgresInstruments, PostgresMarketStore
from kurswerk.storage.server import Database
from stock_bars import STOCKS, add_action, bars

FACTS = [
    InstrumentFacts("AAPL", "Apple Inc.", "Information Technology", "Hardware", "XNAS", "USD"),
    InstrumentFacts("APLE", "Apple Hospitality REIT", "Real Estate", None, "XNYS", "USD"),
    InstrumentFacts("BRK.B", "Berkshire Hathaway", "Financials", None, "XNYS", "USD"),
    InstrumentFacts("MMM", "3M", "Industrials", None, "XNYS", "USD"),
    InstrumentFacts("PINE", "Alpine & Apple-Tree (Holdings)", None, None, None, None),
    InstrumentFacts("005930.KS", None, None, None, "XKRX", "KRW"),
]


@pytest.fixture
def directory(database: Database) -> PostgresInstruments:
    found = PostgresInstruments(database, STOCKS)
    assert found.describe(FACTS) == (len(FACTS), 0)
    return found


def symbols(directory: PostgresInstruments, text: str | None = None, **chosen: object) -> list[str]:
    found, total = directory.find(InstrumentFilter(text, **chosen))
    assert total == len(found)
    return [one.facts.symbol for one in found]


def test_what_is_described_again_changes_only_where_it_is_stated(directory: PostgresInstruments):
    assert directory.describe(FACTS) == (0, 0)
    assert directory.describe([InstrumentFacts("AAPL", sector="Technology"), InstrumentFacts("NEW")]) == (1, 1)
    assert directory.get("AAPL").facts == replace(FACTS[0], sector="Technology")
    assert directory.get("NEW").first_day is None
    assert directory.names() == {one.symbol: one.name for one in FACTS if one.name}
    assert directory.sectors() == ["Financials", "Industrials", "Real Estate", "Technology"]
    with pytest.raises(NotFoundError):
        directory.get("nothing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aapl", ["AAPL"]),
        ("apple", ["AAPL", "APLE", "PINE"]),  # the shortest name first
        ("apl", ["APLE"]),
        ("ap", ["APLE", "AAPL", "PINE"]),  # whose symbol begins so comes before names
        ("berk hath", ["BRK.B"]),
        ("hath berk", ["BRK.B"]),
        ("erkshire", []),
        ("brk.b", ["BRK.B"]),
        ("3m", ["MMM"]),
        ("(hold", ["PINE"]),
        ("apple-tree", ["PINE"]),
        ("0059", ["005930.KS"]),
        ("%", []),
        ("_", []),
        ("x\0y", []),
    ],
)
def test_words_begin_the_symbol_or_a_word_of_the_name(directory: PostgresInstruments, text: str, expected: list[str]):
    assert symbols(directory, text) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([one for one in FACTS if one.name]), st.data())
def test_any_beginnings_of_words_of_a_name_find_it(directory, one: InstrumentFacts, data: st.DataObject):
    # A word of marks alone has no beginning.
    there = [word for word in re.split(r"\W+", one.name or "") if word]
    words = data.draw(st.lists(st.sampled_from(there), min_size=1, max_size=3))
    text = " ".join(word[: data.draw(st.integers(1, len(word)))] for word in words)
    assert one.symbol in symbols(directory, text if data.draw(st.booleans()) else text.upper())


def test_filters_and_pages(directory: PostgresInstruments, database: Database):
    ordered = sorted(one.symbol for one in FACTS)
    assert symbols(directory) == ordered
    assert symbols(directory, sector="Financials") == ["BRK.B"]
    assert symbols(directory, exchange="XNAS") == ["AAPL"]
    assert symbols(directory, symbols=("MMM", "PINE", "none")) == ["MMM", "PINE"]
    with database.connection() as connection:
        connection.execute("UPDATE stocks SET is_active = false WHERE symbol = 'MMM'")
    assert symbols(directory, is_active=False) == ["MMM"]
    pages = [directory.find(InstrumentFilter(), 4, offset) for offset in (0, 4, 8)]
    assert [one.facts.symbol for page, _ in pages for one in page] == ordered
    assert {total for _, total in pages} == {len(FACTS)}


def test_series_conflicts_and_actions_of_a_symbol(directory: PostgresInstruments, database: Database):
    store = PostgresMarketStore(database, STOCKS)
    store.series_sink(SeriesOrigin("one")).upsert([bars("MMM", [1.0, 2.0, 3.0])])
    store.series_sink(SeriesOrigin("two", date(2020, 1, 5))).upsert([bars("MMM", [1.0, 9.0], 1)])
    first, second = directory.series(["MMM"])
    assert (first.source, first.is_preferred, first.price_basis, first.bars) == ("one", True, "raw", 3)
    assert (second.source, second.is_preferred, second.adjusted_as_of, second.bars) == (
        "two", False, date(2020, 1, 5), 2,
    )  # fmt: skip
    assert first.first.date() == date(2020, 1, 2)
    assert second.last.date() == date(2020, 1, 4)
    assert directory.series() == [first, second]
    assert directory.series(["AAPL"]) == []
    (conflict,) = directory.conflicts(["MMM"])
    assert (conflict.preferred, conflict.other, conflict.shared) == ("one", "two", 2)
    assert directory.split_factor("MMM") == 1.0
    add_action(database, "MMM", 1, 4.0)
    add_action(database, "MMM", 3, 8.0)  # after the last bar
    assert directory.split_factor("MMM") == 4.0
    add_action(database, "MMM", 5, 2.0)
    add_action(database, "MMM", 5, 3.0, known_us=1)
    add_action(database, "MMM", 2, 1.1, kind="dividend")
    assert [(one.kind, one.factor) for one in directory.actions("MMM")] == [
        ("split", 4.0),
        ("dividend", 1.1),
        ("split", 8.0),
        ("split", 3.0),
    ]


def test_a_market_without_series_keeps_no_instruments(database: Database):
    with pytest.raises(DataError):
        PostgresInstruments(database, market_named("candles"))
