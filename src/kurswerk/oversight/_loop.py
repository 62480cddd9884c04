"""Outcomes as time passes: judged and corrected at intervals, by one of however many services there are."""

import threading
import time
from collections.abc import Iterable

from kurswerk.core.errors import KurswerkError
from kurswerk.observability import get_logger
from kurswerk.oversight._maturing import DELAY_S, MaturingReport, Pauses, mature
from kurswerk.oversight.ports import OutcomeStore

log = get_logger(__name__)
_INTERVAL_S = 10.0
# Instruments that trade again after a pause longer than a horizon are rare, and to look for them costs more.
_RESUMED_INTERVAL_S = 600.0
_REMOVAL_INTERVAL_S = 3600.0
_REMOVED_AT_ONCE = 10_000


def mature_regularly(
    store: OutcomeStore,
    markets: Iterable[str],
    stop: threading.Event,
    *,
    delay_s: float = DELAY_S,
    keep_days: int | None = None,
    interval_s: float = _INTERVAL_S,
) -> None:
    """Judge what is due in each market now, and again at each interval until ``stop`` is set.

    A database that cannot be reached is tried again at the next interval; so is a market that failed.

    Parameters
    ----------
    delay_s
        As in `mature`.
    keep_days
        Outcomes of older rows are removed once an hour; None keeps all.
    """
    names, looked_s, cleaned_s = tuple(markets), float("-inf"), float("-inf")
    pauses, failing = Pauses(), dict[str, str]()
    while not stop.is_set():
        now_s = time.monotonic()
        resumed = now_s - looked_s >= _RESUMED_INTERVAL_S
        looked_s = now_s if resumed else looked_s
        for market in names:
            try:
                done = mature(store, market, delay_s=delay_s, resumed=resumed, pauses=pauses, stopped=stop.is_set)
            except Exception as error:  # noqa: BLE001 - one market's fault must not stop the others
                # An outage is one line, not one for each interval.
                reason = str(error) if isinstance(error, KurswerkError) else f"{type(error).__name__}: {error}"
                if failing.get(market) != reason:
                    log.warning("outcomes could not be judged", market=market, reason=reason)
                failing[market] = reason
            else:
                failing.pop(market, None)
                _report(market, done)
        if keep_days is not None and now_s - cleaned_s >= _REMOVAL_INTERVAL_S:
            cleaned_s = now_s
            _remove_older(store, keep_days, stop)
        stop.wait(interval_s)


def _remove_older(store: OutcomeStore, keep_days: int, stop: threading.Event) -> None:
    removed = 0
    try:
        while not stop.is_set():
            count = store.remove_older(keep_days, _REMOVED_AT_ONCE)
            removed += count
            if count < _REMOVED_AT_ONCE:
                break
    except KurswerkError as error:
        log.warning("old outcomes could not be removed", reason=str(error))
    if removed:
        log.info("old outcomes removed", count=removed, days=keep_days)


def _report(market: str, done: MaturingReport) -> None:
    if done.judged or done.corrected:
        log.info("outcomes judged", market=market, judged=done.judged, corrected=done.corrected)
