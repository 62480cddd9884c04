"""Bars, splits and dividends from Alpha Vantage: as they were paid, over HTTP, with a key.

It answers errors with status 200 and a text: ``Note`` or ``Information`` for its limits and for what a key may not ask,
``Error Message`` for what it does not know.

References
----------
https://www.alphavantage.co/documentation/: TIME_SERIES_DAILY, TIME_SERIES_INTRADAY, SPLITS, DIVIDENDS, SYMBOL_SEARCH.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import numpy as np

from kurswerk.core.errors import InvalidInputError, KurswerkError, NotFoundError
from kurswerk.core.timestamps import to_datetime
from kurswerk.ingest.fetching import (
    BarRequest,
    FetchedBars,
    Pace,
    SourceBusyError,
    SourceExhaustedError,
    TransientSourceError,
    retry_after_s,
)

NAME: Final = "alphavantage"
URL: Final = "https://www.alphavantage.co/query"
_TIMEOUT_S: Final = 30.0
# Twenty years of days are about 1 MB, a month of minutes 2 MB.
_MOST_BYTES: Final = 50_000_000
_INTERVALS: Final = {"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "60min"}
# Bars in the short answer, which every key may ask for.
_COMPACT_BARS: Final = 100
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500
_EXCHANGES: Final = {"LON": "XLON", "DEX": "XETR", "TRT": "XTSE", "SHH": "XSHG", "SHZ": "XSHG", "BSE": "XBOM"}
_FIELDS: Final = ("1. open", "2. high", "3. low", "4. close")
_SAMPLE: Final = 200
# Its limits of calls are by the second or minute.
_BURST_WAIT_S: Final = 60.0


class _Pairs(dict[str, Any]):
    """A JSON object that remembers keys which stand twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


@dataclass(frozen=True)
class _Series:
    """What an answer of bars holds: its pairs of time and fields, and its time zone."""

    pairs: Sequence[tuple[str, Any]]
    time_zone: str


class AlphaVantage:
    """A `BarProvider` for holders of a key.

    Parameters
    ----------
    key
        Its API key; it never stands in an error.
    url
        Instead of its own address.
    pace
        How fast it may be asked; the free plan allows 5 calls a minute and 25 a day.

    Raises
    ------
    InvalidInputError
        If there is no key.
    """

    name = NAME

    def __init__(
        self,
        key: str | None,
        *,
        url: str | None = None,
        pace: Pace | None = None,
        timeout_s: float = _TIMEOUT_S,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        if not key:
            raise InvalidInputError("fetch.no_key")
        self._key, self._url, self._pace, self._now_us = key, url or URL, pace or Pace(5), now_us
        self._timeout_s = timeout_s

    def exchange_of(self, symbol: str) -> str | None:
        """Return where a symbol trades, by its ending such as ``.LON``."""
        return _EXCHANGES.get(symbol.rpartition(".")[2]) if "." in symbol else None

    def reach_days(self, interval: str) -> int | None:
        """Return None: it has all bars since 2000."""
        if interval != "1d" and interval not in _INTERVALS:
            raise InvalidInputError("fetch.no_interval", source=NAME, interval=interval)
        return None

    def fetch(self, request: BarRequest, *, describe: bool) -> FetchedBars:
        """Return bars, and all splits and dividends; with ``describe`` one more call for currency and name."""
        answers = [self._daily(request)] if request.interval == "1d" else list(self._months(request))
        moment_us = self._now_us()
        splits = self._events("SPLITS", request.symbol, "effective_date", "split_factor")
        dividends = self._events("DIVIDENDS", request.symbol, "ex_dividend_date", "amount")
        found = self._description(request.symbol) if describe else {}
        starts, prices, volumes = _bars(answers, is_daily=request.interval == "1d")
        return FetchedBars(
            starts,
            prices,
            volumes,
            moment_us,
            splits=[(day, ratio) for day, ratio in splits if ratio not in {0.0, 1.0}],
            dividends=[(day, amount) for day, amount in dividends if amount > 0.0],
            currency=found.get("8. currency"),
            name=found.get("2. name"),
            time_zone=answers[0].time_zone if answers else None,
        )

    def _daily(self, request: BarRequest) -> _Series:
        # 100 sessions span at least 140 days; the margin is for holidays.
        recent = request.first > to_datetime(self._now_us()).date() - timedelta(days=_COMPACT_BARS + 30)
        size = "compact" if recent else "full"
        answer = self._call(function="TIME_SERIES_DAILY", symbol=request.symbol, outputsize=size)
        return self._series(request.symbol, answer, "Time Series (Daily)")

    def _months(self, request: BarRequest) -> Iterator[_Series]:
        interval, month = _INTERVALS[request.interval], request.first.replace(day=1)
        while month <= request.last:
            answer = self._call(
                function="TIME_SERIES_INTRADAY",
                symbol=request.symbol,
                interval=interval,
                month=f"{month:%Y-%m}",
                outputsize="full",
                adjusted="false",
                extended_hours="false",
            )
            yield self._series(request.symbol, answer, f"Time Series ({interval})")
            month = (month + timedelta(days=32)).replace(day=1)

    def _series(self, symbol: str, answer: Any, name: str) -> _Series:
        try:
            zone = str(answer["Meta Data"].get("5. Time Zone") or answer["Meta Data"]["6. Time Zone"])
            return _Series(answer[name].pairs, zone)
        except (KeyError, AttributeError, TypeError) as error:
            raise self._unreadable(symbol, error) from error

    def _events(self, function: str, symbol: str, day: str, value: str) -> list[tuple[date, float]]:
        answer = self._call(function=function, symbol=symbol)
        try:
            return [
                (date.fromisoformat(one[day]), float(one[value]))
                for one in answer["data"]
                if str(one[value]) != "None" and str(one[day]) != "None"
            ]
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise self._unreadable(symbol, error) from error

    def _description(self, symbol: str) -> dict[str, str]:
        answer = self._call(function="SYMBOL_SEARCH", keywords=symbol)
        try:
            exact = [dict(one) for one in answer["bestMatches"] if one["1. symbol"] == symbol]
        except (KeyError, TypeError) as error:
            raise self._unreadable(symbol, error) from error
        return exact[0] if exact else {}

    def _call(self, **parameters: str) -> Any:
        self._pace.await_turn()
        symbol = parameters.get("symbol") or parameters["keywords"]
        body = self._body(symbol, parameters)
        try:
            answer = json.loads(body, object_pairs_hook=_Pairs)
        except ValueError as error:
            raise self._unreadable(symbol, error) from error
        if not isinstance(answer, dict):
            raise self._unreadable(symbol, TypeError(type(answer).__name__))
        self._refuse(symbol, answer)
        return answer

    def _body(self, symbol: str, parameters: dict[str, str]) -> bytes:
        body = bytearray()
        try:
            with httpx.stream(
                "GET", self._url, params={**parameters, "apikey": self._key}, timeout=self._timeout_s
            ) as answer:
                if answer.status_code == _TOO_MANY_REQUESTS or answer.status_code >= _SERVER_ERROR:
                    raise _busy(symbol, answer)
                if not answer.is_success:
                    raise KurswerkError("fetch.refused", source=NAME, symbol=symbol, status=str(answer.status_code))
                deadline = time.monotonic() + self._timeout_s
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise KurswerkError("fetch.too_long", source=NAME, symbol=symbol, bytes=_MOST_BYTES)
                    if time.monotonic() > deadline:
                        raise TransientSourceError(
                            "fetch.too_slow", source=NAME, symbol=symbol, seconds=self._timeout_s
                        )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The address holds the key: only the kind of error is shown.
            raise TransientSourceError(
                "fetch.unreachable", source=NAME, symbol=symbol, reason=type(error).__name__
            ) from None
        return bytes(body)

    def _refuse(self, symbol: str, answer: dict[str, Any]) -> None:
        """Raise what an answer states instead of data."""
        if "Error Message" in answer:
            text = self._quoted(answer["Error Message"])
            if "apikey" in text.lower():
                raise SourceExhaustedError("fetch.key_refused", source=NAME, answer=text)
            raise NotFoundError("fetch.unknown_symbol", source=NAME, symbol=symbol)
        text = self._quoted(answer.get("Note") or answer.get("Information") or "")
        if not text:
            return
        lowered = text.lower()
        if "is a premium" in lowered:
            raise KurswerkError("fetch.needs_other_plan", source=NAME, symbol=symbol, answer=text)
        is_burst = any(words in lowered for words in ("spreading out", "frequency", "per minute"))
        if "per day" in lowered and not is_burst:
            raise SourceExhaustedError("fetch.day_is_spent", source=NAME, answer=text)
        if is_burst or "rate limit" in lowered:
            raise SourceBusyError("fetch.busy", source=NAME, symbol=symbol, status=text, seconds=_BURST_WAIT_S)
        raise SourceExhaustedError("fetch.key_refused", source=NAME, answer=text)

    def _quoted(self, text: Any) -> str:
        return str(text).replace(self._key, "…")[:_SAMPLE]

    def _unreadable(self, symbol: str, error: Exception) -> TransientSourceError:
        reason = f"{type(error).__name__} {error}".replace(self._key, "…")[:_SAMPLE]
        return TransientSourceError("fetch.unreadable", source=NAME, symbol=symbol, reason=reason)


def _busy(symbol: str, answer: httpx.Response) -> TransientSourceError:
    status = f"{answer.status_code} {answer.reason_phrase}".rstrip()
    if answer.status_code == _TOO_MANY_REQUESTS or "Retry-After" in answer.headers:
        seconds = retry_after_s(answer.headers.get("Retry-After", ""))
        return SourceBusyError("fetch.busy", source=NAME, symbol=symbol, status=status, seconds=seconds)
    return TransientSourceError("fetch.failing", source=NAME, symbol=symbol, status=status)


def _bars(
    answers: Sequence[_Series], *, is_daily: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return starts, prices (4, n) and volumes of all answers, ascending; what is no number is NaN."""
    pairs = [(time_, fields, one.time_zone) for one in answers for time_, fields in one.pairs]
    local = np.array([time_ for time_, _, _ in pairs], dtype="datetime64[us]")
    starts = (
        local
        if is_daily
        else np.array(
            [_utc(moment, zone) for moment, (_, _, zone) in zip(local.tolist(), pairs, strict=True)],
            dtype="datetime64[us]",
        )
    )
    values = np.array(
        [[_number(fields.get(name)) for name in (*_FIELDS, "5. volume")] for _, fields, _ in pairs], dtype=np.float64
    ).reshape(len(pairs), 5)
    order = np.argsort(starts, kind="stable")
    return starts[order], values[order, :4].T, values[order, 4]


def _utc(moment: Any, zone: str) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC")).replace(tzinfo=None), "us")


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")
