"""A stock whose every price, split and dividend is known, and what providers would state of it."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from kurswerk.core.timestamps import MICROSECONDS, to_datetime
from kurswerk.ingest.fetching import BarRequest, FetchedBars, Instrument
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.calendar import calendar_of
from memory_sink import MemorySink

NYSE = calendar_of("XNYS")
HOUR_US = 3600 * MICROSECONDS


def sessions(first: str, last: str) -> np.ndarray:
    return NYSE.sessions_between(np.datetime64(first), np.datetime64(last))


@dataclass
class TrueStock:
    """Daily bars as they were paid; splits and dividends by day, cash per share of that day."""

    symbol: str = "ACME"
    days: np.ndarray = field(default_factory=lambda: sessions("2023-01-03", "2023-03-31"))
    splits: dict[date, float] = field(default_factory=dict)
    dividends: dict[date, float] = field(default_factory=dict)
    currency: str = "USD"

    def __post_init__(self) -> None:
        noise = np.random.default_rng(sum(self.symbol.encode())).normal(0.0, 0.01, (4, len(self.days)))
        close = 100.0 * np.exp(np.cumsum(noise[0]))
        for day, ratio in self.splits.items():
            close[self.days >= np.datetime64(day)] /= ratio
        spread = 0.02 + np.abs(noise[1:])
        self.closes = np.round(close, 4)
        self.prices = np.stack([close * (1 + noise[1] / 4), close * (1 + spread[1]), close * (1 - spread[2]), close])
        self.prices[3] = self.closes
        self.volumes = 2520.0 * np.arange(1000, 1000 + len(self.days))

    @property
    def closes_us(self) -> np.ndarray:
        return NYSE.closes(self.days)

    def rows(self, first: str, last: str) -> dict[int, float]:
        """Return close of each bar by its time."""
        chosen = (self.days >= np.datetime64(first)) & (self.days <= np.datetime64(last))
        return dict(zip(self.closes_us[chosen].tolist(), self.closes[chosen].tolist(), strict=True))

    def ratio_after(self, day: object, until: date) -> float:
        """Return how many shares one of a day is on another."""
        return float(
            np.prod([r for one, r in self.splits.items() if np.datetime64(one) > np.datetime64(day) and one <= until])
        )

    def stated(
        self, request: BarRequest, now_us: int, *, is_adjusted: bool, without: frozenset[date] = frozenset()
    ) -> FetchedBars:
        """Return what a provider states at a moment, the running session's bar among it; some days may be absent."""
        today = to_datetime(now_us).date()
        first = np.datetime64(request.first)
        chosen = (
            (self.days >= first)
            & (self.days <= np.datetime64(today))
            & ~np.isin(self.days, np.array(sorted(without), dtype="datetime64[D]"))
        )
        days = self.days[chosen]
        ratios = np.array([self.ratio_after(day, today) for day in days]) if is_adjusted else np.ones(len(days))
        events = [day for day in (*self.splits, *self.dividends) if request.first <= day <= today]
        return FetchedBars(
            days.astype("datetime64[us]"),
            self.prices[:, chosen] / ratios,
            self.volumes[chosen] * ratios,
            now_us,
            splits=[(day, self.splits[day]) for day in events if day in self.splits],
            dividends=[
                (day, self.dividends[day] / (self.ratio_after(day, today) if is_adjusted else 1.0))
                for day in events
                if day in self.dividends
            ],
            is_adjusted=is_adjusted,
            currency=self.currency,
            name=f"{self.symbol} Corp.",
        )  # fmt: skip


class MemoryProvider:
    """States true stocks; keeps what it was asked."""

    name = "memory"

    def __init__(self, *stocks: TrueStock, is_adjusted: bool = True) -> None:
        self.stocks = {one.symbol: one for one in stocks}
        self.is_adjusted, self.now_us = is_adjusted, 0
        self.without: frozenset[date] = frozenset()
        self.asked: list[BarRequest] = []
        self.failures: list[Exception] = []

    def exchange_of(self, symbol: str) -> str | None:
        return None

    def reach_days(self, interval: str) -> int | None:
        return None

    def fetch(self, request: BarRequest, *, describe: bool) -> FetchedBars:
        self.asked.append(request)
        if self.failures:
            raise self.failures.pop(0)
        stock = self.stocks[request.symbol]
        return stock.stated(request, self.now_us, is_adjusted=self.is_adjusted, without=self.without)


class MemoryBarStore:
    """Bars in a `MemorySink`, and actions in a dictionary."""

    def __init__(self) -> None:
        self.sink = MemorySink()
        self.actions: dict[tuple[str, date, str], CorporateAction] = {}
        self.known: dict[str, Instrument] = {}

    def instrument(self, symbol: str) -> Instrument:
        return self.known.get(symbol, Instrument())

    def describe(self, symbol: str, known: Instrument) -> None:
        self.known.setdefault(symbol, known)

    def closes(self, symbol: str) -> dict[int, float]:
        return {moment: row["close_price"] for (name, moment), row in sorted(self.sink.rows.items()) if name == symbol}

    def stored(self, symbol: str, first_us: int, last_us: int) -> tuple[np.ndarray, np.ndarray]:
        found = {moment: close for moment, close in self.closes(symbol).items() if first_us <= moment <= last_us}
        return np.array(list(found), dtype=np.int64), np.array(list(found.values()), dtype=float)

    def first_us(self, symbol: str) -> int | None:
        return min(self.closes(symbol), default=None)

    def add_actions(self, actions) -> int:
        new = {(one.instrument, one.day, one.kind): one for one in actions}
        added = [key for key, one in new.items() if self.actions.get(key) != one]
        self.actions.update(new)
        return len(added)


def moment_of(day: date, hours_after_close: float) -> int:
    """Return a moment relative to the close of a session."""
    return int(NYSE.closes([np.datetime64(day)])[0]) + int(hours_after_close * HOUR_US)
