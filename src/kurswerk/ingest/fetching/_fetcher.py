"""The use case: the bars of some symbols that are missing, from a provider into the store."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, InvalidInputError, KurswerkError, StorageError
from kurswerk.core.timestamps import DAY_US, MICROSECONDS, to_datetime
from kurswerk.ingest._files import FileSummary, ingest_files
from kurswerk.ingest.fetching._paid import PaidBars, check_against_stored, paid_bars
from kurswerk.ingest.fetching._rows import FetchedRows
from kurswerk.ingest.fetching.missing import ExpectedBars, expected_bars
from kurswerk.ingest.fetching.politeness import Retries, SourceExhaustedError
from kurswerk.ingest.fetching.ports import BarProvider, BarRequest, BarStore, FetchedBars, Float, Instrument, Int
from kurswerk.ingest.ports import MarketSink
from kurswerk.market import MarketSchema
from kurswerk.market.calendar import Calendar, calendar_of

# Stored sessions that are asked for again, to compare them and to know the close before a dividend.
_OVERLAP = 5
_USUAL_YEARS = 5
# Exchanges never close for longer.
_LONGEST_BREAK_DAYS = 20
DEFAULT_EXCHANGE = "XNYS"


@dataclass(frozen=True)
class SymbolReport:
    """What became of one symbol.

    Attributes
    ----------
    status
        "stored", "up to date" (nothing was missing), "nothing new" (the provider has none of it), "failed" or
        "not asked".
    inserted
        Bars that were stored.
    quarantined
        Bars that break a validation rule; with the file that holds them.
    revised
        Stored bars whose close the provider states otherwise now; they stay as they are.
    outside
        Bars that lie in no session, or have not ended.
    actions
        Splits and dividends that were stored.
    missing
        Bars that should be there, have ended, and still are not.
    last_us
        Time of the last stored bar in the period, microseconds UTC.
    error
        Why it failed, or was not asked.
    """

    symbol: str
    status: str
    inserted: int = 0
    quarantined: int = 0
    quarantine: Path | None = None
    revised: int = 0
    outside: int = 0
    actions: int = 0
    missing: int = 0
    last_us: int | None = None
    error: KurswerkError | None = None

    @property
    def is_failed(self) -> bool:
        """Whether it was not fetched for a reason that somebody should know."""
        return self.error is not None


@dataclass(frozen=True)
class Period:
    """Which days are wanted; None is from the first stored one (or five years back), and until now.

    Raises
    ------
    InvalidInputError
        If the last day comes before the first.
    """

    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None and self.last < self.first:
            raise InvalidInputError("calendar.dates_reversed", first=self.first.isoformat(), last=self.last.isoformat())


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What is missing of one symbol, and what is there."""

    calendar: Calendar
    expected: ExpectedBars
    stored_us: Int
    closes: Float
    missing: NDArray[np.bool_]


class BarFetcher:
    """Fetches what is missing of each symbol, gaps too; each symbol is stored whole or not at all.

    Parameters
    ----------
    provider
        Who states bars.
    store
        The bars of this provider and interval that are there.
    open_sink
        Returns what stores bars of instruments that trade at an exchange.
    market
        Market of the interval.
    quarantine_dir
        Where refused bars go.
    exchange
        Where all symbols trade; None is what is known of each, then what its name states, then `DEFAULT_EXCHANGE`.
    delay_s
        How long after its end a bar counts as finished.
    now_us
        The present moment in microseconds UTC.
    """

    def __init__(
        self,
        provider: BarProvider,
        store: BarStore,
        open_sink: Callable[[str], MarketSink],
        market: MarketSchema,
        quarantine_dir: Path,
        *,
        retries: Retries,
        exchange: str | None = None,
        delay_s: float = 60.0,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._provider, self._store, self._open_sink = provider, store, open_sink
        self._market, self._quarantine_dir, self._retries = market, quarantine_dir, retries
        self._exchange, self._delay_us, self._now_us = exchange, int(delay_s * MICROSECONDS), now_us
        self._interval = market.interval or ""

    def fetch(
        self,
        symbols: Sequence[str],
        period: Period,
        progress: Callable[[float, str], None] = lambda _fraction, _symbol: None,
    ) -> list[SymbolReport]:
        """Fetch symbols one after the other; what fails is reported, and the others are fetched all the same.

        Raises
        ------
        StorageError
            If the database refuses; symbols that were stored stay stored.
        """
        reports: list[SymbolReport] = []
        exhausted: KurswerkError | None = None
        names = list(dict.fromkeys(symbols))
        for number, symbol in enumerate(names):
            progress(number / len(names), symbol)
            if exhausted is not None:
                reports.append(SymbolReport(symbol, "not asked", error=exhausted))
                continue
            try:
                reports.append(self._fetch_symbol(symbol, period))
            except StorageError:
                raise
            except KurswerkError as error:
                exhausted = error if isinstance(error, SourceExhaustedError) else None
                reports.append(SymbolReport(symbol, "failed", error=error))
        return reports

    def calendar_of(self, symbol: str, known: Instrument) -> Calendar:
        """Return the sessions of a symbol."""
        return calendar_of(self._exchange or known.exchange or self._provider.exchange_of(symbol) or DEFAULT_EXCHANGE)

    def next_finished_us(self, symbols: Sequence[str], after_us: int) -> int:
        """Return when the next bar of any of the symbols that has not ended counts as finished.

        Raises
        ------
        DataError
            If it lies beyond the calendar.
        """
        calendars = {one.exchange: one for one in (self.calendar_of(s, self._store.instrument(s)) for s in symbols)}
        today = np.datetime64(to_datetime(after_us).date())
        ends = [
            expected_bars(one, today - 1, min(today + _LONGEST_BREAK_DAYS, one.sessions.dates[-1]), self._interval)
            for one in calendars.values()
        ]
        later = [found.ends_us[found.ends_us > after_us - self._delay_us] for found in ends]
        return min(int(found[0]) if len(found) else after_us + DAY_US for found in later) + self._delay_us

    def _fetch_symbol(self, symbol: str, period: Period) -> SymbolReport:
        known = self._store.instrument(symbol)
        wanted = self._wanted(symbol, self.calendar_of(symbol, known), period)
        last_us = int(wanted.stored_us[-1]) if wanted.stored_us.size else None
        if not wanted.missing.any():
            return SymbolReport(symbol, "up to date", last_us=last_us)
        answer = self._ask(symbol, wanted, known)
        self._check_currency(symbol, known, answer)
        return self._keep(symbol, wanted, answer)

    def _wanted(self, symbol: str, calendar: Calendar, period: Period) -> _Wanted:
        now_us = self._now_us()
        today = to_datetime(now_us).date()
        first = period.first or self._usual_first(symbol, today)
        reach = self._provider.reach_days(self._interval)
        if reach is not None:
            first = max(first, today - timedelta(days=reach))
        dates = calendar.sessions.dates
        first, last = max(first, dates[0].item()), min(period.last or today, today)
        expected = expected_bars(calendar, np.datetime64(first), np.datetime64(max(first, last)), self._interval)
        ended = expected.ends_us <= now_us - self._delay_us
        expected = ExpectedBars(expected.ends_us[ended], expected.days[ended])
        if not len(expected.ends_us):
            nothing = np.empty(0, dtype=np.int64)
            return _Wanted(calendar, expected, nothing, nothing.astype(float), nothing.astype(bool))
        # From some sessions before the first one on, so that what is fetched can be compared.
        opening = max(int(np.searchsorted(dates, expected.days[0])) - _OVERLAP, 0)
        from_us = int(calendar.sessions.opens_us[opening])
        stored, closes = self._store.stored(symbol, from_us, int(expected.ends_us[-1]))
        return _Wanted(calendar, expected, stored, closes, ~np.isin(expected.ends_us, stored))

    def _usual_first(self, symbol: str, today: date) -> date:
        first_us = self._store.first_us(symbol)
        if first_us is not None:
            return to_datetime(first_us).date()
        return today.replace(year=today.year - _USUAL_YEARS, day=min(today.day, 28))

    def _ask(self, symbol: str, wanted: _Wanted, known: Instrument) -> FetchedBars:
        days = wanted.expected.days[wanted.missing]
        dates = wanted.calendar.sessions.dates
        # Before the first missing session those that are stored: what the provider states of them is compared.
        first = dates[max(int(np.searchsorted(dates, days[0])) - _OVERLAP, 0)].item()
        request = BarRequest(symbol, self._interval, first, days[-1].item())
        return self._retries.call(
            lambda: self._provider.fetch(request, describe=known.currency is None), f"{self._provider.name} {symbol}"
        )

    def _check_currency(self, symbol: str, known: Instrument, answer: FetchedBars) -> None:
        if known.currency and answer.currency and known.currency != answer.currency:
            raise DataError("fetch.other_currency", symbol=symbol, stored=known.currency, given=answer.currency)

    def _keep(self, symbol: str, wanted: _Wanted, answer: FetchedBars) -> SymbolReport:
        bars = paid_bars(symbol, answer, wanted.calendar, self._interval)
        revised = check_against_stored(symbol, bars, wanted.stored_us, wanted.closes)
        finished = bars.ends_us <= answer.moment_us - self._delay_us
        kept = finished & np.isin(bars.ends_us, wanted.expected.ends_us[wanted.missing])
        actions = bars.actions(symbol, wanted.calendar, *_known_closes(bars, finished, wanted))
        # Before the bars: whoever sees a bar sees it with the splits up to it.
        added = self._store.add_actions(actions) if kept.any() or wanted.stored_us.size else 0
        stored = self._ingest(symbol, bars, kept, wanted.calendar.exchange) if kept.any() else None
        if stored is not None:
            self._store.describe(symbol, Instrument(wanted.calendar.exchange, answer.currency, answer.name))
        expected = wanted.expected.ends_us
        there, _ = self._store.stored(symbol, int(expected[0]), int(expected[-1]))
        inserted = stored.stored.inserted if stored else 0
        return SymbolReport(
            symbol,
            "stored" if inserted else "nothing new",
            inserted=inserted,
            quarantined=sum(stored.quarantined.values()) if stored else 0,
            quarantine=stored.quarantine if stored else None,
            revised=revised,
            outside=bars.outside + int(np.count_nonzero(~finished)),
            actions=added,
            missing=int(np.count_nonzero(~np.isin(expected, there))),
            last_us=int(there[-1]) if there.size else None,
        )

    def _ingest(self, symbol: str, bars: PaidBars, kept: NDArray[np.bool_], exchange: str) -> FileSummary:
        rows = FetchedRows(f"{self._provider.name}-{symbol}-{self._interval}", bars, kept)
        summary = ingest_files([rows], self._market, self._open_sink(exchange), self._quarantine_dir, instrument=symbol)
        return summary.files[0]


def _known_closes(bars: PaidBars, finished: NDArray[np.bool_], wanted: _Wanted) -> tuple[Int, Float]:
    """Return times and closes of all bars that are there or were fetched, ascending; stored ones count."""
    ends = np.concatenate([wanted.stored_us, bars.ends_us[finished]])
    closes = np.concatenate([wanted.closes, bars.closes[finished]])
    usable = np.isfinite(closes) & (closes > 0)
    unique, places = np.unique(ends[usable], return_index=True)
    return unique, closes[usable][places]
