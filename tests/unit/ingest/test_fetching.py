"""Fetching: only what is missing, as it was paid, whatever a provider leaves out, repeats or adjusts."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import InvalidInputError, KurswerkError, NotFoundError
from kurswerk.ingest.fetching import (
    BarFetcher,
    Pace,
    Period,
    Retries,
    SourceBusyError,
    SourceExhaustedError,
    TransientSourceError,
)
from kurswerk.ingest.fetching.missing import bar_ends, expected_bars
from kurswerk.market import INTERVALS, market_named
from true_stock import NYSE, MemoryBarStore, MemoryProvider, TrueStock, moment_of, sessions

DAYS = sessions("2023-01-03", "2023-03-31")
FIRST = date(2023, 1, 3)
SINCE_FIRST = Period(FIRST)
RATIOS = st.sampled_from([2.0, 3.0, 7.0, 1.5, 0.1, 20.0])
SOME_DAYS = st.frozensets(st.sampled_from(DAYS.tolist()), max_size=4)


def fetcher(provider, store, tmp_path, now_us, *, retries=None, exchange=None):
    provider.now_us = now_us
    return BarFetcher(
        provider,
        store,
        lambda _exchange: store.sink,
        market_named("stocks"),
        tmp_path,
        retries=retries or Retries(wait=lambda _: None),
        exchange=exchange,
        delay_s=900,
        now_us=lambda: now_us,
    )


def fetch(provider, store, tmp_path, now_us, symbols=("ACME",), period=SINCE_FIRST):
    return fetcher(provider, store, tmp_path, now_us).fetch(symbols, period)


@settings(max_examples=30, deadline=None)
@given(
    splits=st.dictionaries(st.sampled_from(DAYS.tolist()), RATIOS, max_size=3),
    dividends=st.dictionaries(st.sampled_from(DAYS.tolist()), st.floats(0.01, 0.5), max_size=3),
    rounds=st.lists(
        st.tuples(st.sampled_from(DAYS.tolist()), st.floats(-3, 3), SOME_DAYS),
        min_size=1,
        max_size=5,
    ),
    is_adjusted=st.booleans(),
)  # fmt: skip
def test_stored_bars_and_actions_are_true_whenever_they_are_fetched(
    tmp_path_factory, splits, dividends, rounds, is_adjusted
):
    stock = TrueStock(splits=splits, dividends=dividends)
    provider, store = MemoryProvider(stock, is_adjusted=is_adjusted), MemoryBarStore()
    folder = tmp_path_factory.mktemp("quarantine")
    for day, hours, absent in sorted(rounds):
        provider.without = absent
        now_us = moment_of(day, hours)
        (report,) = fetch(provider, store, folder, now_us)
        assert report.error is None
        finished = {moment: close for moment, close in stock.rows("2023-01-03", "2023-03-31").items()
                    if moment <= now_us - 900_000_000}  # fmt: skip
        found = store.closes("ACME")
        assert set(found) <= set(finished)
        assert report.missing == len(finished) - len(found)
        assert all(close == pytest.approx(finished[moment], rel=1e-12) for moment, close in found.items())
    provider.without = frozenset()
    now_us = moment_of(DAYS[-1].item(), 1)
    fetch(provider, store, folder, now_us)
    assert list(store.closes("ACME")) == stock.closes_us.tolist()
    assert all(row["volume"] == pytest.approx(volume, abs=1) for row, volume in
               zip([store.sink.rows[key] for key in sorted(store.sink.rows)], stock.volumes, strict=True))  # fmt: skip
    known = {key[1:]: action for key, action in store.actions.items()}
    assert {day: one.factor for (day, kind), one in known.items() if kind == "split"} == splits
    for (day, kind), action in known.items():
        if kind == "dividend":
            assert action.amount == pytest.approx(dividends[day], rel=1e-12)
            before = stock.closes[np.searchsorted(DAYS, np.datetime64(day)) - 1]
            assert action.factor == pytest.approx(before / (before - dividends[day]), rel=1e-9)
    payable = {day for day in dividends if day > FIRST and dividends[day] < stock.closes.min()}
    assert {day for day, kind in known if kind == "dividend"} >= payable
    asked = len(provider.asked)
    (report,) = fetch(provider, store, folder, now_us)
    assert (report.status, len(provider.asked)) == ("up to date", asked)


def test_one_request_fetches_all_gaps_and_the_sessions_before_them(tmp_path):
    stock, store = TrueStock(), MemoryBarStore()
    provider = MemoryProvider(stock)
    provider.without = frozenset([DAYS[20].item(), DAYS[30].item()])
    fetch(provider, store, tmp_path, moment_of(DAYS[40].item(), 1))
    provider.without = frozenset()
    (report,) = fetch(provider, store, tmp_path, moment_of(DAYS[41].item(), 1))
    assert (report.inserted, report.missing, report.revised) == (3, 0, 0)
    assert [(one.first, one.last) for one in provider.asked[1:]] == [(DAYS[15].item(), DAYS[41].item())]


def test_a_fetch_without_a_start_goes_on_from_the_first_stored_bar(tmp_path):
    stock, store = TrueStock(), MemoryBarStore()
    provider = MemoryProvider(stock)
    fetch(provider, store, tmp_path, moment_of(DAYS[20].item(), 1), period=Period(DAYS[10].item()))
    (report,) = fetch(provider, store, tmp_path, moment_of(DAYS[22].item(), 1), period=Period())
    assert (report.inserted, provider.asked[1].first) == (2, DAYS[16].item())
    (report,) = fetch(provider, MemoryBarStore(), tmp_path, moment_of(DAYS[22].item(), 1), period=Period())
    assert (report.inserted, provider.asked[2].first.year) == (23, 2018)


def test_a_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(InvalidInputError, match="2023-01-03"):
        Period(FIRST, date(2023, 1, 2))


def test_prices_adjusted_for_a_split_that_is_not_stated_are_refused(tmp_path):
    stock, store = TrueStock(splits={DAYS[30].item(): 4.0}), MemoryBarStore()
    provider = MemoryProvider(stock)
    fetch(provider, store, tmp_path, moment_of(DAYS[28].item(), 1))
    before = dict(store.sink.rows)
    stated = stock.stated
    stock.stated = lambda *args, **options: _without_splits(stated(*args, **options))
    (report,) = fetch(provider, store, tmp_path, moment_of(DAYS[31].item(), 1))
    assert "0.25 times" in str(report.error)
    assert (report.status, store.sink.rows, store.actions) == ("failed", before, {})


def test_a_split_that_is_stated_before_prices_are_adjusted_is_refused(tmp_path):
    stock, store = TrueStock(splits={DAYS[30].item(): 4.0}), MemoryBarStore()
    provider = MemoryProvider(stock, is_adjusted=False)
    stated = stock.stated
    stock.stated = lambda *args, **options: _as_adjusted(stated(*args, **options))
    (report,) = fetch(provider, store, tmp_path, moment_of(DAYS[35].item(), 1))
    assert report.error is not None
    assert report.error.message.code == "action.not_adjusted"
    assert store.sink.rows == {}


def _without_splits(bars):
    return type(bars)(**{**vars(bars), "splits": ()})


def _as_adjusted(bars):
    return type(bars)(**{**vars(bars), "is_adjusted": True})


def test_bars_of_another_currency_or_of_other_sessions_are_refused_by_symbol(tmp_path):
    good, foreign = TrueStock("GOOD"), TrueStock("EURO")
    provider, store = MemoryProvider(good, foreign), MemoryBarStore()
    fetch(provider, store, tmp_path, moment_of(DAYS[10].item(), 1), ["GOOD", "EURO"])
    foreign.currency = "EUR"
    reports = fetch(provider, store, tmp_path, moment_of(DAYS[11].item(), 1), ["EURO", "GOOD", "EURO"])
    assert [(one.symbol, one.status) for one in reports] == [("EURO", "failed"), ("GOOD", "stored")]
    assert "USD" in str(reports[0].error)
    elsewhere = fetcher(provider, MemoryBarStore(), tmp_path, moment_of(DAYS[40].item(), 1), exchange="24/7")
    assert elsewhere.fetch(["GOOD"], Period(FIRST))[0].status == "stored"
    saturdays = TrueStock("SAT")
    saturdays.days = saturdays.days.copy()
    saturdays.days[:40:3] = np.datetime64("2023-01-07") + 7 * np.arange(len(saturdays.days[:40:3])) % 70
    saturdays.days.sort()
    provider.stocks["SAT"] = saturdays
    (report,) = fetch(provider, store, tmp_path, moment_of(DAYS[40].item(), 1), ["SAT"])
    assert "--exchange" in str(report.error)


def test_repeated_bars_are_stored_once_and_contradicting_ones_quarantined(tmp_path):
    stock, store = TrueStock(), MemoryBarStore()
    stated = stock.stated

    def repeated(*args, **options):
        bars = stated(*args, **options)
        order = np.sort(np.concatenate([np.arange(len(bars)), [2, 5]]), kind="stable")
        values = {
            **vars(bars),
            "starts": bars.starts[order],
            "prices": bars.prices[:, order],
            "volumes": bars.volumes[order],
        }
        values["prices"][:, 7] *= 1.01  # the repeat of day 5 states another price
        return type(bars)(**values)

    stock.stated = repeated
    (report,) = fetch(MemoryProvider(stock), store, tmp_path, moment_of(DAYS[9].item(), 1))
    assert (report.inserted, report.quarantined, report.missing) == (9, 2, 1)
    assert report.quarantine is not None
    assert report.quarantine.is_file()
    assert stock.closes_us[5] not in store.closes("ACME")


def test_what_passes_is_tried_again_with_growing_pauses_and_what_does_not_is_reported(tmp_path):
    stock, waits = TrueStock(), []
    provider, store = MemoryProvider(stock), MemoryBarStore()
    retries = Retries(wait=waits.append, spread=lambda low, high: 1.0)
    provider.failures = [
        TransientSourceError("fetch.failing", source="memory", symbol="ACME", status="500"),
        SourceBusyError("fetch.busy", source="memory", symbol="ACME", status="429", seconds=7.0),
    ]
    now_us = moment_of(DAYS[9].item(), 1)
    (report,) = fetcher(provider, store, tmp_path, now_us, retries=retries).fetch(["ACME"], Period(FIRST))
    assert (report.inserted, waits) == (10, [1.0, 7.0])
    provider.failures = [NotFoundError("fetch.unknown_symbol", source="memory", symbol="ACME")]
    now_us = moment_of(DAYS[10].item(), 1)
    (report,) = fetcher(provider, store, tmp_path, now_us, retries=retries).fetch(["ACME"], Period(FIRST))
    assert (report.status, len(waits), len(provider.asked)) == ("failed", 2, 4)


def test_who_asks_to_wait_too_long_or_fails_each_time_is_given_up(tmp_path):
    waits: list[float] = []
    retries = Retries(attempts=4, wait=waits.append, spread=lambda low, high: high)

    def failing(*errors):
        remaining = list(errors)

        def work():
            raise remaining.pop(0)

        return work

    transient = TransientSourceError("fetch.failing", source="x", symbol="y", status="500")
    with pytest.raises(TransientSourceError):
        retries.call(failing(*[transient] * 4), "x")
    assert waits == [1.5, 3.0, 6.0]
    with pytest.raises(SourceBusyError):
        retries.call(failing(SourceBusyError("fetch.busy", source="x", symbol="y", status="z", seconds=3600.0)), "x")
    with pytest.raises(TransientSourceError):
        Retries(is_stopped=lambda: True, wait=waits.append).call(failing(transient), "x")
    assert len(waits) == 3


def test_after_a_provider_answers_no_more_the_others_are_not_asked(tmp_path):
    provider, store = MemoryProvider(TrueStock("A"), TrueStock("B"), TrueStock("C")), MemoryBarStore()
    provider.failures = [SourceExhaustedError("fetch.day_is_spent", source="memory", answer="25 per day")]
    reports = fetch(provider, store, tmp_path, moment_of(DAYS[9].item(), 1), ["A", "B", "C"])
    assert [one.status for one in reports] == ["failed", "not asked", "not asked"]
    assert all(isinstance(one.error, KurswerkError) for one in reports)
    assert len(provider.asked) == 1


@given(gaps=st.lists(st.floats(0, 5), max_size=20), per_minute=st.floats(1, 600))
def test_requests_begin_no_faster_than_allowed(gaps, per_minute):
    clock, begun = [0.0], []

    def wait(seconds):
        clock[0] += seconds

    pace = Pace(per_minute, wait=wait, clock=lambda: clock[0])
    for gap in gaps:
        clock[0] += gap
        pace.await_turn()
        begun.append(clock[0])
    assert all(after - before >= 60 / per_minute - 1e-9 for before, after in pairwise(begun))


@given(interval=st.sampled_from(list(INTERVALS)), first=st.dates(date(2022, 11, 1), date(2022, 12, 15)))
def test_bars_of_a_session_tile_it_from_open_to_close(interval, first):
    last = np.datetime64(first) + 14
    expected = expected_bars(NYSE, np.datetime64(first), last, interval)
    place = np.searchsorted(NYSE.sessions.dates, expected.days)
    assert (np.diff(expected.ends_us) > 0).all()
    assert set(expected.ends_us[np.r_[np.diff(expected.days).astype(int) > 0, True]]) == set(
        NYSE.sessions.closes_us[place]
    )
    if interval != "1d":
        step = INTERVALS[interval] * 1_000_000
        opens = NYSE.sessions.opens_us[place]
        begins = np.maximum.reduce([opens, opens + (expected.ends_us - opens - 1) // step * step])
        ends, inside = bar_ends(NYSE, begins.astype("datetime64[us]"), interval)
        assert inside.all()
        assert (ends == expected.ends_us).all()
        _, late = bar_ends(NYSE, (NYSE.sessions.closes_us[place] + 60_000_000).astype("datetime64[us]"), interval)
        assert not late.any()
