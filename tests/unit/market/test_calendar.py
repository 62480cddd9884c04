"""Trading calendars against sessions that are known from elsewhere, brute force, and the dates of real bars."""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, DataFileError, SpecError, UnknownNameError
from kurswerk.core.timestamps import DAY_US, HOUR_US, to_datetime, to_us
from kurswerk.market import calendar as subject
from kurswerk.market.calendar import (
    ALWAYS_OPEN,
    Calendar,
    calendar_of,
    canonical_exchange,
    exchanges,
    session_closes,
    use_session_table,
)
from kurswerk.market.session_table import (
    SHIPPED_TABLE,
    Sessions,
    changed_sessions,
    read_sessions,
    summarize_table,
    write_session_table,
)
from kurswerk.sources.exchange_sessions import fetch_sessions

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
EXCHANGES = ("XNYS", "XETR", "XLON", "XTKS", "XHKG", "XKRX", ALWAYS_OPEN)
moments = st.integers(to_us(datetime(1999, 1, 4, tzinfo=UTC)), to_us(datetime(2028, 1, 1, tzinfo=UTC)))


@pytest.fixture
def updated_table(tmp_path):
    """Yield the place of a table that is asked before the shipped one."""
    use_session_table(tmp_path / "sessions.parquet")
    yield tmp_path / "sessions.parquet"
    use_session_table(None)


def three_days(exchange="XNYS", hours=8):
    dates = np.array(["2024-07-01", "2024-07-02", "2024-07-05"], dtype="datetime64[D]")
    opens = dates.astype("datetime64[us]").astype(np.int64)
    return Sessions(exchange, dates, opens, opens + hours * HOUR_US, np.array([False, True, False]))


def utc(*parts):
    return to_us(datetime(*parts, tzinfo=UTC))


@given(exchange=st.sampled_from(EXCHANGES), times=st.lists(moments, min_size=1, max_size=30), n=st.integers(0, 300))
def test_deadlines_equal_a_walk_over_the_sessions(exchange, times, n):
    calendar = calendar_of(exchange)
    closes = calendar.sessions.closes_us.tolist()
    expected = []
    for moment in times:
        place = next(i for i in range(bisect_left(closes, moment - 40 * DAY_US), len(closes)) if closes[i] >= moment)
        for _ in range(n):
            place += 1
        expected.append(closes[place])
    assert calendar.deadlines(np.array(times), n).tolist() == expected


@given(
    exchange=st.sampled_from(EXCHANGES),
    pair=st.tuples(moments, moments),
    horizons=st.tuples(st.integers(0, 50), st.integers(0, 50)),
)
def test_deadlines_are_monotone_in_time_and_in_sessions_and_add_up(exchange, pair, horizons):
    calendar, (early, late), (few, more) = calendar_of(exchange), sorted(pair), sorted(horizons)
    times = np.array([early, late])
    first, second = calendar.deadlines(times, few)
    assert early <= first <= second
    assert (calendar.deadlines(times, more) >= calendar.deadlines(times, few)).all()
    twice = calendar.deadlines(calendar.deadlines(times, few), more)
    assert twice.tolist() == calendar.deadlines(times, few + more).tolist()


@given(moment=moments, n=st.integers(0, 1000))
def test_sessions_of_a_market_that_never_closes_are_calendar_days(moment, n):
    midnight = -(-moment // DAY_US) * DAY_US  # a row at midnight belongs to the day that ends then
    assert calendar_of(ALWAYS_OPEN).deadlines(np.array([moment]), n).tolist() == [midnight + n * DAY_US]


@given(exchange=st.sampled_from(EXCHANGES), now=moments, n=st.integers(0, 20))
def test_latest_moment_whose_deadline_has_come(exchange, now, n):
    calendar = calendar_of(exchange)
    latest = calendar.latest_with_deadline(now, n)
    assert calendar.deadlines(np.array([latest]), n)[0] <= now
    assert calendar.deadlines(np.array([latest + 1]), n)[0] > now


# From the exchanges' own announcements.
CLOSES = [
    ("XNYS", "2018-07-03", (17, 0)),  # the day before Independence Day
    ("XNYS", "2018-11-23", (18, 0)),  # the day after Thanksgiving
    ("XNYS", "2024-03-08", (21, 0)),  # the last session before clocks change
    ("XNYS", "2024-03-11", (20, 0)),
    ("XETR", "2024-03-28", (16, 30)),  # European clocks change three weeks later than American ones
    ("XETR", "2024-04-02", (15, 30)),
    ("XLON", "2024-12-24", (12, 30)),
    ("XHKG", "2024-12-24", (4, 0)),
]
CLOSED = [
    ("XNYS", "2001-09-11"),
    ("XNYS", "2012-10-29"),  # Hurricane Sandy
    ("XNYS", "2018-12-05"),  # mourning for George H. W. Bush
    ("XNYS", "2024-03-09"),
    ("XETR", "2024-12-24"),
    ("XLON", "2022-09-19"),  # funeral of Elizabeth II
    ("XTKS", "2019-05-01"),  # accession of Naruhito
]


@pytest.mark.parametrize(("exchange", "day", "close"), CLOSES)
def test_known_closes(exchange, day, close):
    found = to_datetime(int(session_closes(exchange, [day])[0]))
    assert (str(found.date()), (found.hour, found.minute)) == (day, close)


@pytest.mark.parametrize(("exchange", "day"), CLOSED)
def test_known_days_without_a_session(exchange, day):
    calendar = calendar_of(exchange)
    with pytest.raises(DataError, match=f"{exchange} does not trade on {day}") as found:
        calendar.closes([day])
    previous, following = calendar.previous_session(np.datetime64(day)), calendar.next_session(np.datetime64(day))
    assert str(previous) in str(found.value)
    assert str(following) in str(found.value)
    assert previous < date.fromisoformat(day) < following
    assert calendar.sessions_between(previous, following).tolist() == [previous, following]


def test_bars_before_inside_at_and_after_a_session():
    calendar = calendar_of("XNYS")
    friday, monday = utc(2024, 3, 8, 21), utc(2024, 3, 11, 20)
    for moment in (utc(2024, 3, 7, 21, 0, 1), utc(2024, 3, 8), utc(2024, 3, 8, 15, 35), friday):
        assert calendar.deadlines(np.array([moment]), 1).tolist() == [monday]
    for moment in (friday + 1, utc(2024, 3, 10)):  # after hours and on the weekend a row belongs to Monday's session
        assert calendar.deadlines(np.array([moment]), 0).tolist() == [monday]


@pytest.mark.parametrize("exchange", [name for name in EXCHANGES if name != ALWAYS_OPEN])
def test_rows_with_the_sessions_date_at_midnight_count_as_rows_at_its_close(exchange):
    calendar = calendar_of(exchange)
    midnights = calendar.sessions.dates.astype("datetime64[us]").astype(np.int64)
    assert (calendar.session_index(midnights) == np.arange(len(midnights))).all()
    assert (calendar.session_index(calendar.sessions.closes_us) == np.arange(len(midnights))).all()


@pytest.mark.parametrize(
    ("file", "symbol"), [("stocks_daily_505_2013_2018.parquet", "MSFT"), ("stocks_daily_raw_1998_2021.parquet", "SPY")]
)
def test_dates_of_real_bars_are_the_sessions(file, symbol):
    if not (DATA / file).exists():
        pytest.skip(f"{DATA / file} is absent")
    dates = pq.read_table(DATA / file, columns=["date"], filters=[("symbol", "=", symbol)])["date"].to_numpy()
    found = calendar_of("XNYS").sessions_between(dates.min(), dates.max())
    assert found.tolist() == sorted(dates.tolist())


def test_the_shipped_table_is_what_the_library_states():
    assert set(EXCHANGES) - {ALWAYS_OPEN} <= set(summarize_table(SHIPPED_TABLE).exchanges)
    for new in fetch_sessions(("XNYS", "XETR", "XTKS"), date(1990, 1, 1), date(2026, 6, 30)):
        old = read_sessions(SHIPPED_TABLE, new.exchange)
        assert len(changed_sessions(old, new)) == 0
        assert old.dates[0] == new.dates[0]
        count = len(new)
        assert (old.opens_us[:count] == new.opens_us).all()
        assert (old.half_days[:count] == new.half_days).all()


@pytest.mark.parametrize("moment", [utc(1989, 12, 1), utc(2031, 6, 1), utc(2030, 12, 30)])
def test_moments_beyond_the_table_name_the_remedy(moment):
    with pytest.raises(DataError, match=r"beyond the trading sessions known for XNYS .* kurswerk calendar update"):
        calendar_of("XNYS").deadlines(np.array([utc(2024, 3, 8), moment]), 5)


def test_dates_beyond_the_table_name_the_remedy():
    calendar = calendar_of("XNYS")
    asked = [
        lambda: calendar.closes(["1989-12-29"]),
        lambda: calendar.closes(["2031-01-02", "2024-03-08"]),
        lambda: calendar.next_session(date(2030, 12, 31)),
        lambda: calendar.previous_session(date(1990, 1, 2)),
        lambda: calendar.sessions_between(date(2030, 1, 1), date(2031, 1, 1)),
    ]
    for ask in asked:
        with pytest.raises(DataError, match="kurswerk calendar update"):
            ask()
    assert calendar.latest_with_deadline(utc(1990, 1, 3), 5) is None


def test_unknown_exchanges_and_negative_horizons_are_refused():
    with pytest.raises(UnknownNameError, match="XNYS"):
        calendar_of("XNY")
    with pytest.raises(UnknownNameError, match="unknown exchange 'XNY'"):
        canonical_exchange("XNY")
    with pytest.raises(SpecError, match="-1"):
        calendar_of("XNYS").deadlines(np.array([utc(2024, 3, 8)]), -1)


def test_aliases_have_the_sessions_of_their_exchange():
    assert {canonical_exchange(name) for name in ("XNAS", "NASDAQ", "NYSE", "XNYS")} == {"XNYS"}
    assert session_closes("XNAS", ["2018-07-03"]).tolist() == session_closes("XNYS", ["2018-07-03"]).tolist()
    assert set(subject.ALIASES.values()) <= set(exchanges())


def test_an_updated_table_counts_at_once_and_for_its_exchanges_alone(updated_table):
    shipped, other = session_closes("XNYS", ["2024-07-01"]), session_closes("XETR", ["2024-07-01"])
    for hours in (8, 9):
        write_session_table(updated_table, [three_days(hours=hours), three_days("XABC")], "a test")
        assert session_closes("XNYS", ["2024-07-01"]).tolist() == [utc(2024, 7, 1, hours)]
    assert "XABC" in exchanges()
    assert session_closes("XETR", ["2024-07-01"]).tolist() == other.tolist()
    updated_table.unlink()
    assert session_closes("XNYS", ["2024-07-01"]).tolist() == shipped.tolist()


def test_a_damaged_table_is_an_error_that_names_it(updated_table):
    for content in (b"", b"no parquet", SHIPPED_TABLE.read_bytes()[:-200]):
        updated_table.write_bytes(content)
        with pytest.raises(DataFileError, match=r"sessions\.parquet is no table of trading sessions"):
            calendar_of("XNYS")


def test_tables_are_written_whole_and_read_as_they_were(tmp_path):
    path, sessions = tmp_path / "new" / "sessions.parquet", three_days()
    write_session_table(path, [sessions], "a test")
    found = read_sessions(path, "XNYS")
    for name in ("dates", "opens_us", "closes_us", "half_days"):
        assert getattr(found, name).tolist() == getattr(sessions, name).tolist()
    assert (summarize_table(path).source, read_sessions(path, "XETR")) == ("a test", None)
    assert [one.name for one in path.parent.iterdir()] == ["sessions.parquet"]


def test_sessions_that_contradict_themselves_are_refused():
    good = three_days()
    with pytest.raises(DataError, match="unequal lengths"):
        Sessions("XNYS", good.dates, good.opens_us[:2], good.closes_us, good.half_days)
    with pytest.raises(DataError, match="2024-07-02"):
        Sessions("XNYS", good.dates, good.opens_us, good.closes_us + 20 * HOUR_US, good.half_days)
    with pytest.raises(DataError, match="2024-07-01"):
        Sessions("XNYS", good.dates, good.closes_us, good.opens_us, good.half_days)


def test_changed_sessions_are_those_that_one_table_lacks_or_closes_otherwise():
    old = Calendar(three_days()).sessions
    later = Sessions("XNYS", old.dates, old.opens_us, old.closes_us + np.array([0, HOUR_US, 0]), old.half_days)
    assert changed_sessions(old, later).tolist() == [date(2024, 7, 2)]
    assert changed_sessions(old, old).tolist() == []
    assert date(2024, 7, 2) + timedelta(days=3) == old.dates[-1].item()
