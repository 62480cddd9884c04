"""Real files of stocks into a real PostgreSQL: every row accounted for, sources apart, splits by what was known."""

import csv
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kurswerk.core.errors import DataFileError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.ingest import IngestSummary, UpsertCount, ingest_actions, ingest_files
from kurswerk.market.calendar import calendar_of
from kurswerk.market.series import SeriesOrigin
from kurswerk.sources import TableCandles, open_candles
from kurswerk.storage.markets import PostgresMarketStore
from stock_bars import STOCKS

DATA = Path("../shared/data")
RAW, ADJUSTED = DATA / "stocks_daily_raw_1998_2021.parquet", DATA / "stocks_daily_505_2013_2018.parquet"
FACTORS = DATA / "stock_adjustment_factors.csv"
TESLA = DATA / "stocks_daily_tsla_2015_2018.csv"
ADJUSTED_ORIGIN = SeriesOrigin.of("505", "split-adjusted:2018-02-07")
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
# From public knowledge: companies' announcements, not the factor file.
SPLITS = {
    ("AAPL", date(2000, 6, 21)): 2.0,
    ("AAPL", date(2005, 2, 28)): 2.0,
    ("AAPL", date(2014, 6, 9)): 7.0,
    ("AAPL", date(2020, 8, 31)): 4.0,
    ("BAC", date(2004, 8, 30)): 2.0,
    ("GOOGL", date(2014, 4, 3)): 2.0,
    ("IBM", date(1999, 5, 27)): 2.0,
}


@pytest.fixture
def store(database):
    return PostgresMarketStore(database, STOCKS)


def ingest(store, source, origin: SeriesOrigin, tmp_path: Path) -> IngestSummary:
    candles = open_candles(source, STOCKS) if isinstance(source, Path) else TableCandles(source)
    return ingest_files([candles], STOCKS, store.series_sink(origin), tmp_path, calendar=calendar_of("XNYS"))


def test_dates_become_closes_of_sessions(store, tmp_path):
    dates = ["2020-07-02", "2020-07-03", "2020-11-27", "2020-03-06", "2020-03-09", "2020-03-07", "2020-05-05T19:59:00Z"]
    ones = [1.0] * len(dates)
    table = pa.table(
        {"symbol": ["A"] * len(dates), "date": dates} | dict.fromkeys(("open", "high", "low", "close"), ones)
    )
    (file,) = ingest(store, table, SeriesOrigin(), tmp_path).files
    # Independence Day was observed on 3 July; a Saturday.
    assert dict(file.quarantined) == {"the exchange has no session on this day": 2}
    assert [format_timestamp(int(moment)) for moment in store.load_panel(["close_price"]).timestamps] == [
        "2020-03-06T21:00:00Z", "2020-03-09T20:00:00Z", "2020-05-05T19:59:00Z", "2020-07-02T20:00:00Z",
        "2020-11-27T18:00:00Z",
    ]  # fmt: skip


def test_a_bar_without_a_price_or_a_column_for_it_is_refused(store, tmp_path):
    days = pa.array(["2020-03-04", "2020-03-05"])
    prices = {"open": [1.0, None], "high": [2.0, 2.0], "low": [1.0, 1.0]}
    table = pa.table({"symbol": ["BRK.B", "BRK.B"], "date": days, **prices, "close": [1.5, 1.5], "vol": [2**40, None]})
    (file,) = ingest(store, table, SeriesOrigin(), tmp_path).files
    assert (file.accepted, dict(file.quarantined)) == (1, {"open_price is missing": 1})
    assert store.load_panel(["volume"]).values.tolist() == [[2.0**40]]
    with pytest.raises(DataFileError, match="no column for open_price and low_price"):
        ingest(store, table.drop(["open", "low"]), SeriesOrigin(), tmp_path)


@needs_data
def test_the_real_files_sources_and_splits(store, tmp_path):
    """Symbols of both files, and those with rows that break rules; the whole file is in the slow test."""
    both = ["AAPL", "BAC", "GOOGL", "IBM"]
    rows = pq.read_table(ADJUSTED)
    table = rows.filter(pc.is_in(rows["symbol"], pa.array([*both, "DHR", "UA"], pa.large_string())))
    raw = ingest(store, RAW, SeriesOrigin.of("lean"), tmp_path)
    assert (raw.stored, raw.quarantined) == (UpsertCount(25_157, 0, 0), 0)
    (file,) = ingest(store, table, ADJUSTED_ORIGIN, tmp_path).files
    assert dict(file.quarantined) == {
        "open_price is missing": 3, "close is outside low to high": 1, "open is outside low to high": 1,
    }  # fmt: skip
    assert file.accepted + sum(file.quarantined.values()) == table.num_rows
    assert ingest(store, table, ADJUSTED_ORIGIN, tmp_path).stored == UpsertCount(0, 0, file.accepted)
    before = store.load_panel(["close_price"])
    check_actions(store)
    check_conflicts(store, both)
    check_forward_adjustment(store, before)


def check_actions(store) -> None:
    """Actions from the factor file agree with it, and with the splits that everybody knows."""
    first = ingest_actions(FACTORS, STOCKS, store, exchange="XNYS")
    again = ingest_actions(FACTORS, STOCKS, store, exchange="XNYS")
    assert (first.added, first.unchanged, again.added, again.unchanged) == (322, 0, 0, 322)
    with store._database.connection() as connection:
        splits = connection.execute("SELECT symbol, date, factor FROM stock_actions WHERE kind = 'split'").fetchall()
    assert {(symbol, day): factor for symbol, day, factor in splits} == SPLITS
    panel = store.load_panel(["total_return_price"], mints=["AAPL", "BAC", "GOOGL", "IBM", "SPY"])
    days = (panel.timestamps // 86_400_000_000).astype("datetime64[D]")
    raw = {(row["symbol"], row["date"]): row["close"] for row in pq.read_table(RAW).to_pylist()}
    factors = defaultdict(list)
    with FACTORS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            factors[row["symbol"]].append(
                (date.fromisoformat(row["date"]), float(row["price_factor"]) * float(row["split_factor"]))
            )
    checked = 0
    for symbol, steps in factors.items():
        rows = panel.rows_of(symbol)
        mine, dates = panel.column("total_return_price")[rows], days[rows].tolist()
        for last, factor in steps:
            following = next((one for day, one in steps if day > last), None)
            if last not in dates or following is None:
                continue
            place = dates.index(last)
            theirs = raw[symbol, dates[place + 1]] * following / (raw[symbol, last] * factor)
            assert mine[place + 1] / mine[place] == pytest.approx(theirs, rel=5e-6), (symbol, last)
            checked += 1
    assert checked > 300


def check_conflicts(store, both: list[str]) -> None:
    """Counted here from the files: prices as they were paid, that is with Apple's split of 2014 taken out."""
    conflicts = store.source_conflicts()
    assert [(one.instrument, one.preferred, one.other) for one in conflicts] == [(name, "lean", "505") for name in both]
    ours = {(row["symbol"], row["date"]): row for row in pq.read_table(RAW).to_pylist()}
    theirs = {(row["symbol"], row["date"]): row for row in pq.read_table(ADJUSTED).to_pylist()}
    shared = ours.keys() & theirs.keys()
    assert len(shared) == sum(one.shared for one in conflicts) == 4747
    assert sum(one.differing["volume"] for one in conflicts) == 4747
    differing = 0
    for symbol, day in shared:
        factor = 7.0 if symbol == "AAPL" and day < date(2014, 6, 9) else 1.0
        differing += abs(theirs[symbol, day]["close"] * factor / ours[symbol, day]["close"] - 1.0) > 1e-9
    assert sum(one.differing["close_price"] for one in conflicts) == differing == 882


def check_forward_adjustment(store, before) -> None:
    """Up to the first split nothing has changed by a bit; after the last, prices are the product of all splits."""
    panel = store.load_panel(["close_price"])
    days = (panel.timestamps // 86_400_000_000).astype("datetime64[D]")
    for symbol in ("AAPL", "BAC", "GOOGL", "IBM"):
        rows = panel.rows_of(symbol)
        first = min(day for name, day in SPLITS if name == symbol)
        early = days[rows] < np.datetime64(first)
        now, then = panel.column("close_price")[rows], before.column("close_price")[rows]
        assert np.array_equal(now[early], then[early])
        product = np.prod([factor for (name, _), factor in SPLITS.items() if name == symbol])
        assert now[-1] == then[-1] * product
    steps = panel.column("close_price")[panel.rows_of("AAPL")]
    assert np.abs(np.diff(np.log(steps))).max() < 0.75  # its worst day, 29 September 2000, took 52 %


@needs_data
@pytest.mark.slow
def test_the_whole_file_of_505_stocks_is_accounted_for(store, tmp_path):
    first = ingest(store, ADJUSTED, ADJUSTED_ORIGIN, tmp_path)
    (file,) = first.files
    assert (file.rows_read, file.accepted) == (619_040, 619_017)
    assert dict(file.quarantined) == {
        "close is outside low to high": 8, "high is below low": 1, "open is outside low to high": 3,
        "open_price is missing": 11,
    }  # fmt: skip
    assert first.stored == UpsertCount(619_017, 0, 0)
    assert ingest(store, ADJUSTED, ADJUSTED_ORIGIN, tmp_path).stored == UpsertCount(0, 0, 619_017)
    panel = store.load_panel(["close_price"])
    assert (len(panel), len(panel.instruments)) == (619_017, 505)


@needs_data
def test_tesla_beside_the_file_of_505(store, tmp_path):
    summary = ingest(store, TESLA, SeriesOrigin.of("plotly"), tmp_path)
    assert (summary.accepted, summary.quarantined) == (756, 0)
    assert store.instruments() == ["TSLA"]


FILES = {
    "no key": ("date,kind,factor\n2020-01-02,split,2\n", "is no file of actions: .* found: date, factor and kind"),
    "neither": ("symbol,date,price\nA,2020-01-02,2\n", "is no file of actions"),
    "kind": ("symbol,date,kind,factor\nA,2020-01-02,split,2\nA,2020-01-03,merger,2\n", "row 2: merger is no kind"),
    "factor": ("symbol,date,kind,factor\nA,2020-01-02,split,zwei\n", "row 1: could not convert"),
    "date": ("symbol,date,kind,factor\nA,2.1.2020,split,2\n", "row 1: Invalid isoformat"),
    "known": ("symbol,date,kind,factor,known_at\nA,2020-01-02,split,2,soon\n", "row 1: 'soon'"),
    "key": ("symbol,date,kind,factor\n,2020-01-02,split,2\n", "row 1"),
    "text": ("symbol,date,price_factor,split_factor,reference_price\nA,2020-01-02,1,x,2\nA,2020-02-02,1,1,2\n", "'x'"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_of_actions_changes_nothing(store, tmp_path, name):
    path = tmp_path / "actions.csv"
    path.write_text(FILES[name][0], encoding="utf-8")
    with pytest.raises(DataFileError, match=FILES[name][1]):
        ingest_actions(path, STOCKS, store, exchange="XNYS")


def test_a_file_of_actions_with_the_moment_of_knowledge(store, database, tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text(
        "Ticker,date,kind,factor,amount,known_at\nBRK.B,2010-01-21,split,50,,2009-11-03\nBTC-EUR,2020-01-02,dividend,1.5,3,\n",
        encoding="utf-8",
    )
    first = ingest_actions(path, STOCKS, store, exchange="XNYS")
    assert (first.rows_read, first.actions, first.added) == (2, {"dividend": 1, "split": 1}, 2)
    path.write_text(path.read_text().replace("1.5,3", "1.6,3"), encoding="utf-8")
    again = ingest_actions(path, STOCKS, store, exchange="XNYS")
    assert (again.added, again.unchanged) == (1, 1)
    with database.connection() as connection:
        stored = connection.execute(
            "SELECT symbol, factor, amount, known_at::date::text, known_at > '2026-01-01' FROM stock_actions"
            " ORDER BY known_at"
        ).fetchall()
    assert stored[:2] == [("BRK.B", 50.0, None, "2009-11-03", False), ("BTC-EUR", 1.5, 3.0, "2020-01-02", False)]
    assert (stored[2][:3], stored[2][4]) == (("BTC-EUR", 1.6, 3.0), True)
