"""Bars of many symbols on one time axis."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._state import FIELDS
from kurswerk.core.errors import DataError, UnknownNameError
from kurswerk.core.timestamps import DAY_US, format_timestamp
from kurswerk.market import MarketSchema, Panel, Role

Float = NDArray[np.float64]
Int = NDArray[np.int64]

YEAR_US = int(365.25 * DAY_US)
PriceBasis = Literal["raw", "split_adjusted", "adjusted", "unknown"]
_NONE: Float = np.empty((0, 0))


@dataclass(frozen=True, eq=False)
class MarketBars:
    """Bars of all symbols at all times; a bar that is missing is NaN in every price.

    Build it with `of`, `of_closes` or `from_panel`, which check shapes and prices.

    Attributes
    ----------
    times
        When each bar ends, microseconds UTC, ascending; shape (n_bars,).
    symbols
        Names; shape (n_symbols,).
    open, high, low, close
        In the currency of the account, above 0, or all NaN; shape (n_bars, n_symbols).
    volume
        Of each bar, NaN where unknown; shape (n_bars, n_symbols), or (0, 0) where there is none.
    reserves
        Of a constant-product curve, in the currency of the price; the same shapes.
    split, dividend
        What one share becomes at a bar (1 without a split) and what it is paid (0 without a dividend), both for shares
        held before it; the same shapes.
    volume_in_currency
        Whether volume counts currency, as for coins, instead of shares.
    price_basis
        ``raw`` as paid, ``split_adjusted``, or ``adjusted`` for dividends too.
    """

    times: Int
    symbols: tuple[str, ...]
    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float = field(default_factory=_NONE.copy)
    reserves: Float = field(default_factory=_NONE.copy)
    split: Float = field(default_factory=_NONE.copy)
    dividend: Float = field(default_factory=_NONE.copy)
    volume_in_currency: bool = False
    price_basis: PriceBasis = "unknown"

    @classmethod
    def of(
        cls,
        times: Int,
        symbols: Iterable[str],
        prices: Mapping[str, Float],
        *,
        volume_in_currency: bool = False,
        price_basis: PriceBasis = "unknown",
    ) -> Self:
        """Build bars from arrays of shape (n_bars, n_symbols), or (n_bars,) of one symbol.

        Parameters
        ----------
        prices
            ``open``, ``high``, ``low`` and ``close``; ``volume`` and ``reserves`` where there are some. A bar in
            which one of the four prices is missing counts as missing.

        Raises
        ------
        DataError
            If shapes differ, times do not ascend, or a price is not above 0 or outside of low to high.

        Examples
        --------
        >>> bars = MarketBars.of(np.array([0, 1]), ["A"], {name: np.array([1.0, np.nan]) for name in PRICES})
        >>> bars.close.tolist(), bars.present.tolist()
        ([[1.0], [nan]], [[True], [False]])
        """
        names = tuple(symbols)
        shape = (len(times), len(names))
        arrays = {name: _matrix(name, values, shape) for name, values in prices.items()}
        bars = cls(
            np.ascontiguousarray(times, dtype=np.int64),
            names,
            **arrays,
            volume_in_currency=volume_in_currency,
            price_basis=price_basis,
        )
        bars._refuse_impossible()
        present = bars.present
        if present.all():
            return bars
        holed: dict[str, Any] = {name: np.where(present, arrays[name], np.nan) for name in PRICES}
        return replace(bars, **holed)

    @classmethod
    def of_closes(cls, times: Int, symbols: Iterable[str], close: Float) -> Self:
        """Build bars of which only the close is known: all that happens, happens there."""
        return cls.of(times, symbols, dict.fromkeys(PRICES, close))

    @classmethod
    def from_panel(cls, panel: Panel, market: MarketSchema, *, price_basis: PriceBasis = "unknown") -> Self:
        """Align the rows of a panel on one time axis, that of all its rows.

        Parameters
        ----------
        panel
            With the columns of open, high, low and close; volume and reserves are read where it has them.
        market
            States which columns these are.

        Raises
        ------
        DataError
            If the panel has no rows, or lacks a price.
        """
        if len(panel) == 0:
            raise DataError("backtest.no_bars")
        times, rows = np.unique(panel.timestamps, return_inverse=True)
        codes = panel.codes
        arrays: dict[str, Float] = {}
        for name, role in _ROLES.items():
            column = market.roles.get(role)
            if column is None or column not in panel.columns:
                if name in PRICES:
                    raise DataError("backtest.no_price", price=name, market=market.name)
                continue
            arrays[name] = np.full((len(times), len(panel.instruments)), np.nan)
            arrays[name][rows, codes] = panel.column(column)
        in_currency = Role.RESERVES in market.roles
        return cls.of(times, panel.instruments, arrays, volume_in_currency=in_currency, price_basis=price_basis)

    def _refuse_impossible(self) -> None:
        if len(self.times) == 0 or len(self.symbols) == 0:
            raise DataError("backtest.no_bars")
        if np.any(np.diff(self.times) <= 0):
            raise DataError("backtest.times_not_ascending")
        with np.errstate(invalid="ignore"):
            wrong = (self.low <= 0) | (self.open > self.high) | (self.open < self.low)
            wrong |= (self.close > self.high) | (self.close < self.low) | np.isinf(self.high)
        if wrong.any():
            bar, symbol = (int(place[0]) for place in np.nonzero(wrong))
            raise DataError(
                "backtest.impossible_bar",
                count=int(wrong.sum()),
                symbol=self.symbols[symbol],
                time=format_timestamp(int(self.times[bar])),
            )

    @property
    def num_bars(self) -> int:
        """Number of moments."""
        return len(self.times)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether a symbol has a bar, shape (n_bars, n_symbols)."""
        return ~np.isnan(self.open + self.high + self.low + self.close)

    @cached_property
    def fields(self) -> Float:
        """All fields as the kernel reads them, those of a bar side by side; shape (n_bars, n_fields, n_symbols).

        The last field is the last that these bars have; made once for all runs over them.
        """
        count = max(k for k, name in enumerate(FIELDS) if getattr(self, name).shape[0] > 0) + 1
        block = np.empty((self.num_bars, count, len(self.symbols)))
        for k, name in enumerate(FIELDS[:count]):
            values = getattr(self, name)
            block[:, k] = values if values.shape[0] > 0 else _MISSING.get(name, np.nan)
        return block

    @cached_property
    def clock(self) -> Float:
        """Time since the first bar in years of 365.25 days; shape (n_bars,)."""
        return np.asarray((self.times - self.times[0]) / YEAR_US, dtype=np.float64)

    @property
    def bars_per_year(self) -> float:
        """Bars in a year, by how many there are from the first to the last; about 252 for daily bars of stocks."""
        span = int(self.times[-1] - self.times[0])
        return (self.num_bars - 1) * YEAR_US / span if span else 1.0

    def index_of(self, symbol: str) -> int:
        """Return the place of a symbol; UnknownNameError if it is not there."""
        if symbol not in self.symbols:
            raise UnknownNameError("instrument.unknown", name=symbol, known=self.symbols)
        return self.symbols.index(symbol)

    def of_symbol(self, symbol: str) -> "MarketBars":
        """Return the bars of one symbol."""
        k = self.index_of(symbol)
        cut: dict[str, Any] = {
            name: getattr(self, name)[:, k : k + 1].copy() for name in FIELDS if getattr(self, name).shape[0] > 0
        }
        return replace(self, symbols=(symbol,), **cut)

    def until(self, bar: int) -> "MarketBars":
        """Return the first ``bar`` bars."""
        cut: dict[str, Any] = {name: getattr(self, name)[:bar] for name in FIELDS if getattr(self, name).shape[0] > 0}
        return replace(self, times=self.times[:bar], **cut)


PRICES = ("open", "high", "low", "close")
_MISSING = {"split": 1.0, "dividend": 0.0}
_ROLES = {
    "open": Role.OPEN,
    "high": Role.HIGH,
    "low": Role.LOW,
    "close": Role.CLOSE,
    "volume": Role.VOLUME,
    "reserves": Role.RESERVES,
}


def _matrix(name: str, values: Float, shape: tuple[int, int]) -> Float:
    array = np.asarray(values, dtype=np.float64)
    array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.shape != shape:
        raise DataError("backtest.shape", name=name, found=list(array.shape), expected=list(shape))
    return np.ascontiguousarray(array)
