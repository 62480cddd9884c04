"""Yahoo by way of yfinance, a local proxy and an authority of our own: what it states, and how it fails."""

import sys
from datetime import date

import numpy as np
import pytest

from kurswerk.core.errors import InvalidInputError, KurswerkError, NotFoundError
from kurswerk.ingest.fetching import (
    BarFetcher,
    BarRequest,
    Pace,
    Period,
    Retries,
    SourceBusyError,
    TransientSourceError,
)
from kurswerk.market import market_named
from kurswerk.sources.yahoo import Connection, Yahoo
from true_stock import NYSE, MemoryBarStore, TrueStock, moment_of, sessions
from yahoo_proxy import NOT_FOUND, YahooProxy, failing

DAYS = sessions("2023-01-03", "2023-03-31")
SPLIT, DIVIDEND = DAYS[30].item(), DAYS[33].item()
REQUEST = BarRequest("ACME", "1d", date(2023, 1, 3), date(2023, 3, 31))


@pytest.fixture
def proxy(tmp_path):
    stocks = [TrueStock(splits={SPLIT: 7.0}, dividends={DIVIDEND: 0.1, DAYS[10].item(): 0.7}), TrueStock("BRK-B")]
    with YahooProxy(tmp_path, *stocks, now_us=moment_of(DAYS[-1].item(), 1)).running() as found:
        yield found


@pytest.fixture
def yahoo(proxy, tmp_path):
    connection = Connection(proxy.url, str(proxy.ca_file), timeout_s=5.0)
    return Yahoo(tmp_path / "yahoo", connection, pace=Pace(1e9), now_us=lambda: proxy.now_us)


def fetch(yahoo, proxy, store, tmp_path, symbol="ACME"):
    fetcher = BarFetcher(
        yahoo,
        store,
        lambda _exchange: store.sink,
        market_named("stocks"),
        tmp_path,
        retries=Retries(wait=lambda _: None),
        now_us=lambda: proxy.now_us,
    )
    return fetcher.fetch([symbol], Period(date(2023, 1, 3)))[0]


def test_bars_become_what_was_paid_with_a_split_between_two_fetches_and_a_day_that_lacks(proxy, yahoo, tmp_path):
    store, stock = MemoryBarStore(), proxy.stocks["ACME"]
    proxy.now_us, proxy.without = moment_of(DAYS[28].item(), -1), frozenset([DAYS[10].item()])
    report = fetch(yahoo, proxy, store, tmp_path)
    assert (report.inserted, report.missing, report.error) == (27, 1, None)
    # The day of the split has no bar; its event does not move to another day.
    proxy.now_us, proxy.without = moment_of(DAYS[40].item(), 1), frozenset([SPLIT])
    proxy.has_live_row = True
    report = fetch(yahoo, proxy, store, tmp_path)
    assert (report.inserted, report.missing, report.revised, report.error) == (13, 1, 0, None)
    true = dict(zip(stock.closes_us.tolist(), stock.closes, strict=True))
    assert all(close == pytest.approx(true[moment], rel=1e-6) for moment, close in store.closes("ACME").items())
    actions = {(kind, day): one for (_, day, kind), one in store.actions.items()}
    assert set(actions) == {("split", SPLIT), ("dividend", DIVIDEND), ("dividend", DAYS[10].item())}
    assert actions["dividend", DAYS[10].item()].amount == pytest.approx(0.7)
    assert store.known["ACME"].currency == "USD"
    asked = len(proxy.asked)
    assert asked == 2
    assert {one["events"] for one in proxy.asked} == {"div,splits"}


def test_another_symbol_is_asked_for_by_its_name_and_where_it_trades(proxy, yahoo, tmp_path):
    assert fetch(yahoo, proxy, MemoryBarStore(), tmp_path, "BRK-B").inserted == len(DAYS)
    assert [yahoo.exchange_of(one) for one in ("BRK-B", "005930.KS", "SAP.DE", "X.QQ")] == [None, "XKRX", "XETR", None]
    assert (yahoo.reach_days("1d"), yahoo.reach_days("1h")) == (None, 729)
    with pytest.raises(InvalidInputError, match="2h"):
        yahoo.reach_days("2h")


@pytest.mark.parametrize(("interval", "first", "questions"), [("1h", 50, 1), ("1m", 49, 3)])
def test_shorter_bars_begin_in_utc_and_minutes_are_asked_for_by_the_week(proxy, yahoo, interval, first, questions):
    found = yahoo.fetch(BarRequest("BRK-B", interval, DAYS[first].item(), DAYS[-1].item()), describe=False)
    opens = NYSE.sessions.opens_us[np.searchsorted(NYSE.sessions.dates, DAYS[first:])]
    assert set(opens) <= set(found.starts.astype(np.int64).tolist())
    assert len(np.unique(found.starts)) == 7 * len(DAYS[first:])
    assert (len(proxy.asked), found.is_adjusted) == (questions, True)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((429, {"Retry_After": "9"}, b"Too Many Requests"), SourceBusyError, "9 s"),
        ((503, {"Retry_After": "11"}, b""), SourceBusyError, "11 s"),
        ((500, {}, b"oops"), TransientSourceError, "500"),
        ((200, {}, b'{"chart": {"result": [{"me'), TransientSourceError, "cannot be read"),
        ((200, {"Content_Length": "9999"}, b'{"chart"'), TransientSourceError, "cannot be reached"),
        ((200, {}, b'{"chart": {"result": []}}'), TransientSourceError, "cannot be read"),
        ((200, {}, b'{"chart": {"result": [{"meta": {}}]}}'), TransientSourceError, "cannot be read"),
        (NOT_FOUND, NotFoundError, "does not know ACME"),
        (failing("Bad Request", "Invalid input - interval=1d"), KurswerkError, "interval=1d"),
    ],
)
def test_each_way_of_not_answering_has_its_error(proxy, yahoo, answer, kind, words):
    proxy.failures = [answer, answer]
    with pytest.raises(KurswerkError) as error:
        yahoo.fetch(REQUEST, describe=False)
    assert type(error.value) is kind
    assert words in str(error.value)


def test_a_period_without_bars_is_an_empty_answer(proxy, yahoo):
    nothing = failing("Bad Request", "Data doesn't exist for startDate = 1672531200, endDate = 1680300000")
    proxy.failures = [nothing, nothing]
    assert len(yahoo.fetch(REQUEST, describe=False)) == 0


def test_a_server_that_is_too_slow_or_not_to_be_trusted_is_given_up(proxy, tmp_path):
    proxy.may_answer.clear()
    slow = Connection(proxy.url, str(proxy.ca_file), timeout_s=0.3)
    with pytest.raises(TransientSourceError, match="cannot be reached"):
        Yahoo(tmp_path, slow, pace=Pace(1e9), now_us=lambda: proxy.now_us).fetch(REQUEST, describe=False)
    proxy.may_answer.set()
    asked = len(proxy.asked)
    with pytest.raises(TransientSourceError, match="cannot be reached"):
        Yahoo(tmp_path, Connection(proxy.url), pace=Pace(1e9), now_us=lambda: proxy.now_us).fetch(
            REQUEST, describe=False
        )
    assert len(proxy.asked) == asked


def test_every_request_waits_for_its_turn(proxy, tmp_path):
    waits: list[float] = []
    connection = Connection(proxy.url, str(proxy.ca_file), timeout_s=5.0)
    pace = Pace(60, wait=waits.append, clock=lambda: 0.0)
    Yahoo(tmp_path / "another", connection, pace=pace, now_us=lambda: proxy.now_us).fetch(REQUEST, describe=False)
    assert waits == [float(k) for k in range(1, len(waits) + 1)]


def test_without_the_extra_the_remedy_is_reported(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(InvalidInputError, match=r"kurswerk\[yahoo\]"):
        Yahoo(tmp_path)
