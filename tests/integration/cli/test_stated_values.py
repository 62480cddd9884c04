"""Fundamentals, sectors and membership of an index: ingested, read as of each bar, corrected, outdated, stale."""

import csv
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kurswerk.core.timestamps import DAY_US, to_us
from kurswerk.market import market_named
from kurswerk.market.calendar import calendar_of
from kurswerk.market.gics import INDUSTRIES, SECTORS, industry_code, sector_code
from kurswerk.storage.feed._queries import history_query
from kurswerk.storage.markets import MarketTable, PostgresMarketStore
from kurswerk.storage.server import upgrade

STOCKS = market_named("stocks")
SHARED = Path(__file__).parents[4] / "shared" / "data"
SNAPSHOTS = SHARED / "stock_fundamentals_snapshots.parquet"
LIST_OF_2026 = SHARED / "stock_sectors_2026.csv"
needs_shared = pytest.mark.skipif(not SNAPSHOTS.exists(), reason=f"{SNAPSHOTS} is not here")


def write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def write_bars(path: Path, closes: Mapping[str, Mapping[str, float]]) -> Path:
    rows = [(s, day, c, c, c, c, 1000) for s, days in closes.items() for day, c in days.items()]
    return write_csv(path, ("symbol", "date", "open", "high", "low", "close", "volume"), rows)


def column(database, name: str, symbol: str = "A") -> list[float]:
    """Return a column of a symbol's bars as batch reads it, after comparing it with what live reads, in every bit."""
    panel = PostgresMarketStore(database, STOCKS).load_panel([name], mints=[symbol])
    with database.connection() as connection:
        table = MarketTable.find(connection, STOCKS)
        query = history_query(table, [symbol], np.zeros(1, dtype=np.int64), [name], None)
        live = {to_us(row[1]): math.nan if row[2] is None else row[2] for row in connection.execute(query)}
    batch = panel.column(name)
    assert np.array([live[us] for us in panel.timestamps.tolist()]).tobytes() == batch.tobytes()
    return batch.tolist()


def same(given: Sequence[float], wanted: Sequence[float]) -> bool:
    return len(given) == len(wanted) and np.array_equal(np.array(given), np.array(wanted), equal_nan=True)


DAYS = ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-08-03"]
NONE = math.nan


@pytest.fixture
def bars(run, tmp_path):
    path = write_bars(tmp_path / "bars.csv", {"A": dict.fromkeys(DAYS, 100.0), "B": dict.fromkeys(DAYS, 50.0)})
    assert run("ingest", "stocks", path).code == 0


@pytest.fixture
def state(run, tmp_path, bars):
    """Ingest a file of statements; return the counts of inserted, updated and unchanged rows."""

    def ingest(*rows: Sequence[object], names=("symbol", "as_of", "pe", "eps"), table="stock_fundamentals", options=()):
        path = write_csv(tmp_path / "facts.csv", names, rows)
        command = "fundamentals" if table == "stock_fundamentals" else "sectors"
        done = run("ingest", command, path, "--json", *options)
        assert done.code == 0, done.err
        return tuple(done.json[table][name] for name in ("inserted", "updated", "unchanged"))

    return ingest


def test_a_value_counts_from_its_moment_on_until_a_newer_one_or_its_limit(state, database):
    day = "2020-01-03T12:00:00Z"
    assert state(("A", day, 10, ""), ("A", "2020-01-06", 11, 2)) == (2, 0, 0)
    assert state(("A", day, 10, ""), ("A", "2020-01-06", 11, 2)) == (0, 0, 2)
    # A day without a time is known when it is over; in August the value of January is too old.
    assert same(column(database, "pe_ratio"), [NONE, 10, 10, 11, NONE])
    assert same(column(database, "eps"), [NONE, NONE, NONE, 2, NONE])
    ages = column(database, "pe_ratio_age_days")
    assert same(ages, [NONE, 9 / 24, 3 + 9 / 24, 21 / 24, NONE])
    assert same(column(database, "pe_ratio", "B"), [NONE] * 5)
    found = PostgresMarketStore(database, STOCKS).known_values("A", to_us(datetime(2020, 8, 3, tzinfo=UTC)))
    assert [(one.name, one.value, one.is_stale) for one in found] == [("pe_ratio", 11, True), ("eps", 2, True)]
    assert found[0].known_us - found[0].as_of_us == DAY_US
    assert PostgresMarketStore(database, STOCKS).known_values("A", 0) == []


def test_what_a_source_states_anew_is_known_from_now_on_or_outdated(state, database):
    state(("A", "2020-01-01", 10, 1), ("A", "2020-01-05", 11, 1))
    assert state(("A", "2020-01-01", 20, 1), ("A", "2020-01-05", 21, 1)) == (0, 2, 0)
    assert same(column(database, "pe_ratio"), [10, 10, 11, 11, NONE])
    now = to_us(datetime.now(UTC))
    known = PostgresMarketStore(database, STOCKS).known_values("A", now, ["pe_ratio"])
    assert [one.value for one in known] == [21]
    assert now - known[0].known_us < DAY_US
    # The same again changes nothing; another source has nothing to do with it.
    assert state(("A", "2020-01-01", 20, 1), ("A", "2020-01-05", 21, 1)) == (0, 0, 2)
    assert state(("A", "2020-01-05", 30, 1), options=("--source", "other")) == (1, 0, 0)
    assert same(column(database, "pe_ratio"), [10, 10, 30, 30, NONE])


def test_rows_that_cannot_be_go_to_quarantine(run, tmp_path, bars):
    rows = [("A", "2020-01-01", "x", 1), ("", "2020-01-01", 1, 1), ("A", "2020-01-02", 1, "inf"), ("A", "yes", 1, 1)]
    path = write_csv(
        tmp_path / "facts.csv", ("symbol", "as_of", "pe", "market_cap"), [*rows, ("A", "2020-02-01", 1, -1)]
    )
    found = run("ingest", "fundamentals", path, "--json").json["stock_fundamentals"]
    assert (found["rows_read"], found["accepted"], found["quarantined"]) == (5, 0, 5)
    assert run("ingest", "fundamentals", write_csv(tmp_path / "no.csv", ("symbol", "as_of"), [])).code == 1


def test_values_per_share_are_read_in_the_share_of_the_prices(run, tmp_path, database):
    """Two for one on the 6th: the raw bar halves, and so do the earnings of one share that are stated after it."""
    closes = dict(zip(DAYS[:4], (100.0, 100.0, 50.0, 50.0), strict=True))
    adjusted = dict.fromkeys(DAYS[:4], 50.0)
    for source, basis, prices in (("raw", "raw", closes), ("late", "split-adjusted:2020-01-07", adjusted)):
        path = write_bars(tmp_path / f"{source}.csv", {"A" if source == "raw" else "B": prices})
        assert run("ingest", "stocks", path, "--source", source, "--price-basis", basis).code == 0
    splits = [(symbol, "2020-01-06", "split", 2) for symbol in "AB"]
    run("ingest", "actions", write_csv(tmp_path / "splits.csv", ("symbol", "date", "kind", "factor"), splits))
    facts = [(s, *row) for s in "AB" for row in (("2020-01-02T15:00:00Z", 8.0), ("2020-01-06T15:00:00Z", 4.0))]
    path = write_csv(tmp_path / "facts.csv", ("symbol", "as_of", "eps"), facts)
    assert run("ingest", "fundamentals", path).code == 0
    for symbol, share in (("A", 8.0), ("B", 4.0)):
        eps, close = column(database, "eps", symbol), column(database, "close_price", symbol)
        assert eps == [share] * 4
        assert np.unique(np.array(eps) / np.array(close)).tolist() == [0.08]


def test_members_of_a_list_stay_until_the_next_list_lacks_them_in_whatever_order_lists_come(state, database):
    names, options = ("symbol", "as_of", "GICS Sector"), ("--members-of", "sp500")

    def members(*rows):
        return state(*rows, names=names, table="stock_classifications", options=options)

    assert members(("A", "2020-01-01T00:01:00Z", "Energy"), ("B", "2020-01-01T00:01:00Z", "Utilities")) == (2, 0, 0)
    assert members(("B", "2020-01-06T00:01:00Z", "Utilities")) == (1, 0, 0)
    assert same(column(database, "in_sp500"), [1, 1, 0, 0, 0])
    assert members(("B", "2020-01-03T00:01:00Z", "Utilities")) == (1, 0, 0)
    assert same(column(database, "in_sp500"), [1, 0, 0, 0, 0])
    assert same(column(database, "in_sp500", "B"), [1, 1, 1, 1, 1])
    assert same(column(database, "sector", "B"), [55] * 5)
    with database.connection() as connection:
        assert connection.execute("SELECT sector FROM stocks ORDER BY symbol").fetchall() == [
            ("Energy",),
            ("Utilities",),
        ]


@needs_shared
def test_the_list_of_2026_never_reaches_back_and_every_name_has_its_code(run, database, bars):
    before = datetime.now(UTC)
    found = run("ingest", "sectors", LIST_OF_2026, "--members-of", "sp500", "--json").json
    assert (found["stock_classifications"]["inserted"], found["unknown_names"]) == (503, {})
    with LIST_OF_2026.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        code = industry_code(row["GICS Sub-Industry"])
        assert INDUSTRIES[code] == row["GICS Sub-Industry"]
        assert SECTORS[code // 1_000_000] == row["GICS Sector"] == SECTORS[sector_code(row["GICS Sector"])]
    with database.connection() as connection:
        first = connection.execute("SELECT min(known_at) FROM stock_classifications").fetchone()[0]
    assert first >= before - timedelta(seconds=1)
    assert same(column(database, "sector"), [NONE] * 5)
    again = run("ingest", "sectors", LIST_OF_2026, "--known-at", "2026-01-01T00:00:01Z", "--json").json
    assert again["stock_classifications"]["inserted"] == 503
    assert same(column(database, "sector"), [NONE] * 5)
    assert run("ingest", "sectors", SNAPSHOTS.with_name("stock_adjustment_factors.csv")).code == 1


@needs_shared
def test_the_real_snapshots_are_read_as_a_loop_reads_them(run, tmp_path, database):
    closes = calendar_of("XNYS").sessions_between(np.datetime64("2013-02-08"), np.datetime64("2018-09-07"))
    days = [str(day) for day in closes[::40]]
    symbols = ("AAPL", "MSFT", "AA", "GOOGL", "ZTS")
    path = write_bars(tmp_path / "bars.csv", {symbol: dict.fromkeys(days, 10.0) for symbol in symbols})
    assert run("ingest", "stocks", path).code == 0
    found = run("ingest", "fundamentals", SNAPSHOTS, "--members-of", "sp500", "--json").json
    counts = {
        table: (found[table]["rows_read"], found[table]["inserted"]) for table in found if table.startswith("stock")
    }
    assert counts == {"stock_fundamentals": (71_371, 71_371), "stock_classifications": (71_371, 71_371)}
    assert found["unknown_names"] == dict.fromkeys(("60.95", "64.87", "66.75", "68.95", "73.93", "75.39", "81.40"), 1)
    again = run("ingest", "fundamentals", SNAPSHOTS, "--members-of", "sp500", "--json").json
    assert again["stock_fundamentals"]["unchanged"] == again["stock_classifications"]["unchanged"] == 71_371
    panel = PostgresMarketStore(database, STOCKS).load_panel(["pe_ratio", "market_cap", "sector", "in_sp500"])
    rows = pq.read_table(SNAPSHOTS, filters=[("symbol", "in", symbols)]).to_pylist()
    stale = 0
    for i, moment in enumerate(panel.timestamps.tolist()):
        symbol = panel.instruments[panel.codes[i]]
        for name, theirs, limit in (
            ("pe_ratio", "pe", 183),
            ("market_cap", "market_cap", 183),
            ("sector", "sector", 731),
        ):
            known = [row for row in rows if row["symbol"] == symbol and to_us(row["snapshot_at"]) <= moment]
            known = [row for row in known if row[theirs] is not None]
            value = known[-1][theirs] if known else None
            if value is not None and moment - to_us(known[-1]["snapshot_at"]) > limit * DAY_US:
                value, stale = None, stale + 1
            if name == "sector" and value is not None:
                value = {"Telecommunications Services": 50}.get(value) or {v: k for k, v in SECTORS.items()}.get(value)
            given = panel.column(name)[i]
            assert given == value or (value is None and math.isnan(given)), (symbol, name, moment)
    assert stale > 0
    with database.connection() as connection:
        known = connection.execute(
            "SELECT count(DISTINCT symbol) FROM stock_classifications"
            " WHERE sector IS NOT NULL AND known_at < '2018-03-01'"
        ).fetchone()[0]
    assert known >= 478


def test_bars_of_an_hour_see_the_same_values_in_the_share_of_their_prices(run, tmp_path, database):
    hours = [f"2020-01-03T{hour}:30:00Z" for hour in (15, 16, 17)]
    path = write_bars(tmp_path / "hours.csv", {"A": dict.fromkeys(hours, 50.0)})
    assert run("ingest", "stocks", path, "--interval", "1h", "--price-basis", "split-adjusted:2020-02-01").code == 0
    split = write_csv(tmp_path / "splits.csv", ("symbol", "date", "kind", "factor"), [("A", "2020-01-20", "split", 2)])
    assert run("ingest", "actions", split).code == 0
    facts = [("A", "2020-01-03T16:00:00Z", 8.0, 20.0)]
    path = write_csv(tmp_path / "facts.csv", ("symbol", "as_of", "eps", "pe"), facts)
    assert run("ingest", "fundamentals", path).code == 0
    panel = PostgresMarketStore(database, market_named("stocks_1h")).load_panel(["eps", "pe_ratio"])
    assert same(panel.column("eps"), [NONE, 4, 4])
    assert same(panel.column("pe_ratio"), [NONE, 20, 20])


def test_a_database_from_before_gets_the_tables_with_their_triggers(database):
    tables = ["stock_fundamentals", "stock_classifications"]
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname LIKE 'kurswerk_joined_%%'"
    with database.connection() as connection:
        for table in tables:
            connection.execute(f"DROP TABLE {table} CASCADE")
        connection.execute("DELETE FROM kurswerk_tables WHERE name = ANY (%s)", [tables])
        assert not set(MarketTable.find(connection, STOCKS).joined)
    assert upgrade(database)
    assert not upgrade(database)
    with database.connection() as connection:
        assert set(MarketTable.find(connection, STOCKS).joined) == set(STOCKS.joined)
        assert [connection.execute(triggers, [table]).fetchone()[0] for table in tables] == [3, 3]
