"""Bars, splits and dividends from Yahoo Finance, by way of yfinance, an extra.

yfinance knows how Yahoo wants to be asked: cookies, crumbs, consent, and the handshake of a browser. What Yahoo answers
is read here as it stands, for yfinance's own tables move an event on a day without a price to the day before.

Prices, volumes and dividends come in shares of today; the splits that are in them come with them, so that every
question reaches until now.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import numpy as np

from kurswerk.core.errors import InvalidInputError, KurswerkError, NotFoundError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.ingest.fetching import (
    BarRequest,
    FetchedBars,
    Pace,
    SourceBusyError,
    TransientSourceError,
    retry_after_s,
)

NAME: Final = "yahoo"
_CHART: Final = "https://query2.finance.yahoo.com/v8/finance/chart/"
_TIMEOUT_S: Final = 30.0
_TOO_MANY_REQUESTS, _NOT_FOUND, _SERVER_ERROR = 429, 404, 500
# Yahoo's name of an interval, and how many days back it reaches.
_INTERVALS: Final[Mapping[str, tuple[str, int | None]]] = {
    "1m": ("1m", 29),
    "5m": ("5m", 59),
    "15m": ("15m", 59),
    "30m": ("30m", 59),
    "1h": ("60m", 729),
    "1d": ("1d", None),
}
# Bars of a minute are given for eight days at once.
_DAYS_OF_MINUTES: Final = 7
_PRICES: Final = ("open", "high", "low", "close")
_SAMPLE: Final = 200
_EXCHANGES: Final = {
    "AS": "XAMS",
    "AX": "XASX",
    "BO": "XBOM",
    "BR": "XBRU",
    "CO": "XCSE",
    "DE": "XETR",
    "F": "XFRA",
    "HE": "XHEL",
    "HK": "XHKG",
    "IR": "XDUB",
    "JK": "XIDX",
    "JO": "XJSE",
    "KL": "XKLS",
    "KQ": "XKRX",
    "KS": "XKRX",
    "L": "XLON",
    "LS": "XLIS",
    "MC": "XMAD",
    "MI": "XMIL",
    "MX": "XMEX",
    "NZ": "XNZE",
    "OL": "XOSL",
    "PA": "XPAR",
    "PR": "XPRA",
    "SA": "BVMF",
    "SI": "XSES",
    "SN": "XSGO",
    "SR": "XSAU",
    "SS": "XSHG",
    "ST": "XSTO",
    "SW": "XSWX",
    "SZ": "XSHG",
    "T": "XTKS",
    "TO": "XTSE",
    "TW": "XTAI",
    "VI": "XWBO",
    "WA": "XWAR",
}


@dataclass(frozen=True)
class Connection:
    """How Yahoo is reached: by way of a proxy, trusting other certificates; None is directly, and the usual ones."""

    proxy: str | None = None
    ca_file: str | None = None
    timeout_s: float = _TIMEOUT_S


class Yahoo:
    """A `BarProvider` for everybody; Yahoo allows personal use only.

    Parameters
    ----------
    cache_dir
        Where yfinance keeps its cookies.
    pace
        How fast it may be asked.

    Raises
    ------
    InvalidInputError
        If the extra is not installed.
    """

    name = NAME

    def __init__(
        self,
        cache_dir: Path,
        connection: Connection | None = None,
        *,
        pace: Pace | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._connection, self._pace, self._now_us = connection or Connection(), pace or Pace(60), now_us
        self._session, self._data, self._busy_error = _open(cache_dir, self._connection, self._pace)

    def exchange_of(self, symbol: str) -> str | None:
        """Return where a symbol trades, by its ending such as ``.KS``."""
        return _EXCHANGES.get(symbol.rpartition(".")[2]) if "." in symbol else None

    def reach_days(self, interval: str) -> int | None:
        """Return how many days back it has bars of a length."""
        if interval not in _INTERVALS:
            raise InvalidInputError("fetch.no_interval", source=NAME, interval=interval)
        return _INTERVALS[interval][1]

    def fetch(self, request: BarRequest, *, describe: bool) -> FetchedBars:  # noqa: ARG002 - Yahoo always states both
        """Return bars, splits and dividends from the first day until now, whatever the last day is."""
        answers = [self._ask(request, first, last) for first, last in self._windows(request)]
        moment_us = self._now_us()
        found = [one for one in answers if one]
        try:
            return _read(found, moment_us, is_daily=request.interval == "1d")
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable(request.symbol, error) from error

    def _windows(self, request: BarRequest) -> Iterator[tuple[datetime, datetime]]:
        """Yield periods that follow each other, from a day before the first: its midnight is elsewhere earlier."""
        now = datetime.fromtimestamp(self._now_us() / MICROSECONDS, UTC)
        begin = datetime(request.first.year, request.first.month, request.first.day, tzinfo=UTC) - timedelta(days=1)
        length = timedelta(days=_DAYS_OF_MINUTES) if request.interval == "1m" else now - begin
        while begin < now:
            yield begin, min(begin + length, now)
            begin += length

    def _ask(self, request: BarRequest, first: datetime, last: datetime) -> dict[str, Any] | None:
        """Return one result of the chart; None if Yahoo has nothing in the period."""
        parameters = {
            "period1": max(int(first.timestamp()), 0),
            "period2": int(last.timestamp()) + 1,
            "interval": _INTERVALS[request.interval][0],
            "includePrePost": "false",
            "events": "div,splits",
        }
        try:
            answer = self._data.get(
                _CHART + quote(request.symbol, safe=""), params=parameters, timeout=self._connection.timeout_s
            )
        except self._busy_error as error:
            raise _busy(request.symbol, "429", self._session.retry_after) from error
        except Exception as error:
            # Whatever a library stumbles over that talks to many of Yahoo's servers.
            reason = f"{type(error).__name__} {error}"[:_SAMPLE]
            raise TransientSourceError(
                "fetch.unreachable", source=NAME, symbol=request.symbol, reason=reason
            ) from error
        status = int(answer.status_code)
        if status == _TOO_MANY_REQUESTS or (status >= _SERVER_ERROR and self._session.retry_after):
            raise _busy(request.symbol, str(status), self._session.retry_after)
        if status >= _SERVER_ERROR:
            raise TransientSourceError("fetch.failing", source=NAME, symbol=request.symbol, status=str(status))
        return _result(request.symbol, status, answer.text)


def _busy(symbol: str, status: str, retry_after: str) -> SourceBusyError:
    return SourceBusyError("fetch.busy", source=NAME, symbol=symbol, status=status, seconds=retry_after_s(retry_after))


def _unreadable(symbol: str, error: Exception) -> TransientSourceError:
    reason = f"{type(error).__name__} {error}"[:_SAMPLE]
    return TransientSourceError("fetch.unreadable", source=NAME, symbol=symbol, reason=reason)


def _result(symbol: str, status: int, text: str) -> dict[str, Any] | None:
    try:
        chart = json.loads(text)["chart"]
        error, results = chart.get("error"), chart.get("result")
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise _unreadable(symbol, failure) from failure
    if error:
        description = str(error.get("description", ""))[:_SAMPLE]
        if status == _NOT_FOUND or error.get("code") == "Not Found":
            raise NotFoundError("fetch.unknown_symbol", source=NAME, symbol=symbol)
        if "doesn't exist for" in description:
            return None
        raise KurswerkError("fetch.refused", source=NAME, symbol=symbol, status=f"{status} {description}")
    if not isinstance(results, list) or not results:
        raise _unreadable(symbol, ValueError("no result"))
    found: dict[str, Any] = results[0]
    return found


def _read(results: Sequence[dict[str, Any]], moment_us: int, *, is_daily: bool) -> FetchedBars:
    """Return the bars and events of all results; bars of which all prices are null do not exist."""
    parts = [_bars(one, is_daily=is_daily) for one in results]
    starts = np.concatenate([np.empty(0, dtype="datetime64[us]"), *(part[0] for part in parts)])
    values = np.concatenate([np.empty((5, 0)), *(part[1] for part in parts)], axis=1)
    order = np.argsort(starts, kind="stable")
    kept = order[~np.isnan(values[:4, order]).all(axis=0)]
    events = {kind: sorted({event for one in results for event in _events(one, kind)}) for kind in _VALUES}
    meta = results[-1]["meta"] if results else {}
    return FetchedBars(
        starts[kept],
        values[:4, kept],
        values[4, kept],
        moment_us,
        splits=events["splits"],
        dividends=events["dividends"],
        is_adjusted=True,
        currency=meta.get("currency"),
        name=meta.get("longName") or meta.get("shortName"),
        time_zone=meta.get("exchangeTimezoneName"),
    )


def _bars(result: dict[str, Any], *, is_daily: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return starts and (open, high, low, close, volume), shape (5, n)."""
    seconds = list(result.get("timestamp") or [])
    fields = result["indicators"]["quote"][0]
    values = np.array(
        [[np.nan if one is None else float(one) for one in fields.get(name) or []] for name in (*_PRICES, "volume")]
    ).reshape(5, len(seconds))
    if not is_daily:
        return np.array(seconds, dtype="datetime64[s]").astype("datetime64[us]"), values
    zone = ZoneInfo(result["meta"]["exchangeTimezoneName"])
    days = [datetime.fromtimestamp(one, zone).date() for one in seconds]
    # The latest quote may come as a row of its own, beside the session's.
    if len(days) > 1 and days[-1] == days[-2] and seconds[-1] == result["meta"].get("regularMarketTime"):
        days, values = days[:-1], values[:, :-1]
    return np.array(days, dtype="datetime64[D]").astype("datetime64[us]"), values


_VALUES: Final[Mapping[str, Callable[[Mapping[str, Any]], float]]] = {
    "splits": lambda event: float(event["numerator"]) / float(event["denominator"]),
    "dividends": lambda event: float(event["amount"]),
}


def _events(result: dict[str, Any], kind: str) -> Iterator[tuple[date, float]]:
    zone = ZoneInfo(result["meta"]["exchangeTimezoneName"])
    for event in ((result.get("events") or {}).get(kind) or {}).values():
        value = _VALUES[kind](event)
        if value > 0.0 and (kind, value) != ("splits", 1.0):
            yield datetime.fromtimestamp(event["date"], zone).date(), value


def _open(cache_dir: Path, connection: Connection, pace: Pace) -> tuple[Any, Any, type[Exception]]:
    """Return a session of curl, what asks Yahoo by way of it, and the error of too many requests."""
    try:
        import yfinance  # noqa: PLC0415 - an extra, and slow to import
        from curl_cffi import requests  # noqa: PLC0415 - comes with it
        from yfinance.data import YfData  # noqa: PLC0415 - likewise
        from yfinance.exceptions import YFRateLimitError  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise InvalidInputError("fetch.yahoo_missing") from error

    class PacedSession(requests.Session):  # type: ignore[misc]  # carries no types
        """Asks no faster than allowed, whatever for, and remembers for how long the last answer asks to wait."""

        retry_after = ""

        def request(self, *arguments: Any, **options: Any) -> Any:
            pace.await_turn()
            answer = super().request(*arguments, **options)
            self.retry_after = answer.headers.get("Retry-After") or ""
            return answer

    cache_dir.mkdir(parents=True, exist_ok=True)
    yfinance.set_tz_cache_location(str(cache_dir))
    proxies = {"proxies": {"https": connection.proxy, "http": connection.proxy}} if connection.proxy else {}
    session = PacedSession(impersonate="chrome", verify=connection.ca_file or True, **proxies)
    return session, YfData(session=session), YFRateLimitError
