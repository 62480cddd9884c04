"""Alpha Vantage from a local server: what it states, and each way in which it does not."""

import threading
from datetime import date

import numpy as np
import pytest

from alphavantage_server import BURST, PREMIUM, SPENT, WRONG_KEY, AlphaVantageServer, document
from kurswerk.core.errors import InvalidInputError, KurswerkError, NotFoundError
from kurswerk.ingest.fetching import BarRequest, Pace, SourceBusyError, SourceExhaustedError, TransientSourceError
from kurswerk.sources.alphavantage import AlphaVantage
from kurswerk.sources.kept_answers import KeptAnswers
from true_stock import NYSE, TrueStock

KEY = "k3y"
SPLITS, DIVIDENDS = {date(2023, 2, 6): 4.0}, {date(2023, 2, 15): 0.3}
REQUEST = BarRequest("ACME", "1d", date(2023, 1, 3), date(2023, 3, 31))
WHOLE = document({"Meta Data": {}, "Time Series (Daily)": {}})


def provider(server: AlphaVantageServer, **options) -> AlphaVantage:
    return AlphaVantage(KEY, url=server.url, pace=Pace(1e9), **options)


def test_days_are_stated_as_they_were_paid_with_all_actions_and_a_description():
    stock = TrueStock(splits=SPLITS, dividends=DIVIDENDS)
    with AlphaVantageServer(stock).running() as server:
        found = provider(server).fetch(REQUEST, describe=True)
    assert found.starts.astype("datetime64[D]").tolist() == stock.days.tolist()
    assert np.array_equal(found.prices, stock.prices)
    assert np.array_equal(found.volumes, stock.volumes)
    assert (dict(found.splits), dict(found.dividends), found.is_adjusted) == (SPLITS, DIVIDENDS, False)
    assert (found.currency, found.name, found.time_zone) == ("USD", "ACME Corp.", "US/Eastern")
    assert [one["function"] for one in server.asked] == ["TIME_SERIES_DAILY", "SPLITS", "DIVIDENDS", "SYMBOL_SEARCH"]
    assert {one["apikey"] for one in server.asked} == {KEY}


def test_a_day_that_stands_twice_is_given_twice_and_recent_days_are_the_short_answer():
    stock = TrueStock()
    now_us = int(NYSE.closes(stock.days[-1:])[0])
    with AlphaVantageServer(stock).running() as server:
        server.repeated = {"2023-03-01": 1.01}
        found = provider(server, now_us=lambda: now_us).fetch(REQUEST, describe=False)
    assert len(found) == len(stock.days) + 1
    assert np.count_nonzero(found.starts == np.datetime64("2023-03-01")) == 2
    assert [one.get("outputsize") for one in server.asked] == ["compact", None, None]


def test_shorter_bars_are_asked_for_by_month_and_begin_in_utc():
    with AlphaVantageServer(TrueStock()).running() as server:
        found = provider(server).fetch(BarRequest("ACME", "1h", date(2023, 2, 20), date(2023, 3, 20)), describe=False)
    asked = [one for one in server.asked if one["function"] == "TIME_SERIES_INTRADAY"]
    assert [(one["month"], one["interval"], one["adjusted"], one["extended_hours"]) for one in asked] == [
        ("2023-02", "60min", "false", "false"),
        ("2023-03", "60min", "false", "false"),
    ]
    # New York is 5 hours behind UTC, and 4 after the 12th of March.
    starts = found.starts.astype(str).tolist()
    assert "2023-03-10T14:30:00.000000" in starts
    assert "2023-03-13T13:30:00.000000" in starts


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (document({}, 429, Retry_After="9"), SourceBusyError, "9 s"),
        (document({}, 503, Retry_After="11"), SourceBusyError, "11 s"),
        (document({}, 500), TransientSourceError, "500"),
        (document({}, 404), KurswerkError, "404"),
        (document(BURST), SourceBusyError, "spreading out"),
        (document(SPENT), SourceExhaustedError, "tomorrow"),
        (document(PREMIUM), KurswerkError, "--start"),
        (document(WRONG_KEY), SourceExhaustedError, "KURSWERK_ALPHAVANTAGE_KEY"),
        (document({"Information": "The demo API key is for demo purposes only."}), SourceExhaustedError, "demo"),
        (document({"Error Message": "Invalid API call."}), NotFoundError, "ACME"),
        ((200, {}, b'{"Meta Data": {"5. Time'), TransientSourceError, "cannot be read"),
        ((200, {"Content_Length": "5000"}, b'{"Meta'), TransientSourceError, "RemoteProtocolError"),
        (document([]), TransientSourceError, "cannot be read"),
        (document({}), TransientSourceError, "cannot be read"),
    ],
)
def test_each_way_of_not_answering_has_its_error_without_the_key(answer, kind, words):
    with AlphaVantageServer(TrueStock(), failures=[answer]).running() as server, pytest.raises(KurswerkError) as error:
        provider(server).fetch(REQUEST, describe=False)
    assert type(error.value) is kind
    assert words in str(error.value)
    assert KEY not in str(error.value)
    assert KEY not in repr(error.value.__cause__)


@pytest.mark.parametrize("function", ["SPLITS", "DIVIDENDS", "SYMBOL_SEARCH"])
def test_damaged_answers_about_actions_or_names_can_be_asked_again(function):
    with AlphaVantageServer(TrueStock()).running() as server:
        server._splits = server._dividends = server._symbol_search = lambda *_: "{}"
        if function != "SPLITS":
            server._splits = lambda *_: '{"data": []}'
        if function == "SYMBOL_SEARCH":
            server._dividends = lambda *_: '{"data": []}'
        with pytest.raises(TransientSourceError):
            provider(server).fetch(REQUEST, describe=True)
    assert server.asked[-1]["function"] == function


def test_a_server_that_is_too_slow_or_gone_is_given_up():
    answering = threading.Event()
    with AlphaVantageServer(TrueStock()).running() as server:
        server.before_answer = lambda _: answering.wait(30) and None
        with pytest.raises(TransientSourceError, match="ReadTimeout"):
            provider(server, timeout_s=0.05).fetch(REQUEST, describe=False)
        answering.set()
    with pytest.raises(TransientSourceError, match="ConnectError"):
        provider(server).fetch(REQUEST, describe=False)


def test_without_a_key_or_for_bars_it_does_not_have_nothing_is_asked():
    with pytest.raises(InvalidInputError, match="KURSWERK_ALPHAVANTAGE_KEY"):
        AlphaVantage(None)
    with pytest.raises(InvalidInputError, match="2h"):
        AlphaVantage(KEY).reach_days("2h")
    found = AlphaVantage(KEY)
    assert (found.exchange_of("TSCO.LON"), found.exchange_of("IBM"), found.exchange_of("BRK.B")) == ("XLON", None, None)


def test_answers_are_kept_for_their_time_and_a_damaged_one_is_asked_again(tmp_path):
    stock, now = TrueStock(splits=SPLITS, dividends=DIVIDENDS), [1_000_000_000]
    with AlphaVantageServer(stock).running() as server:
        kept = KeptAnswers(provider(server, now_us=lambda: now[0]), tmp_path, 60.0, now_us=lambda: now[0])
        first, again = (kept.fetch(REQUEST, describe=True) for _ in range(2))
        assert len(server.asked) == 4
        for name, value in vars(first).items():
            assert np.array_equal(getattr(again, name), value), name
        now[0] += 60_000_000
        kept.fetch(REQUEST, describe=True)
        assert len(server.asked) == 8
        (path,) = tmp_path.iterdir()
        path.write_bytes(path.read_bytes()[:100])
        kept.fetch(REQUEST, describe=True)
        assert len(server.asked) == 12
        kept.fetch(REQUEST, describe=False)
        assert len(server.asked) == 15
    assert (kept.name, kept.exchange_of("A.LON"), kept.reach_days("1d")) == ("alphavantage", "XLON", None)
