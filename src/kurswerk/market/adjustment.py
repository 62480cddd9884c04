"""Corporate actions, and prices with and without them.

A split of two for one halves the price; who held a share holds two afterwards. *Forward-adjusted* prices are multiplied
by the splits up to each bar, so that they run on without a jump and an earlier one never changes. *Back-adjusted*
prices, as many vendors give them, are divided by the splits that came later: all of them change with every split.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError

Float = NDArray[np.float64]
Dates = NDArray[np.datetime64]

KINDS = ("split", "dividend", "spin_off")
# Factor files print six significant digits, or fewer where the rest are zeros.
_DIGITS = 6
_DECIMAL = re.compile(r"(\d+)(?:\.(\d*))?", re.ASCII)


@dataclass(frozen=True)
class CorporateAction:
    """What a company did with its shares.

    Attributes
    ----------
    instrument
        Whose shares.
    day
        The first day on which they trade without what is handed out (ex-date).
    kind
        One of `KINDS`.
    factor
        What prices are multiplied by from that day on, to run on without a jump: for a split the new shares per old
        one; for a dividend close / (close - amount), with the close of the day before.
    amount
        Cash of a dividend per share, in the currency of the price, None for others.
    known_us
        Since when it is known, microseconds UTC; None is the beginning of its day.
    """

    instrument: str
    day: date
    kind: str
    factor: float
    amount: float | None = None
    known_us: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError("action.unknown_kind", kind=self.kind, choices=KINDS, instrument=self.instrument)
        if not (isfinite(self.factor) and self.factor > 0):
            raise DataError(
                "action.bad_factor", factor=self.factor, instrument=self.instrument, day=self.day.isoformat()
            )


@dataclass(frozen=True)
class FactorRow:
    """One row of a factor file: up to and including ``day`` a raw price is multiplied by both factors.

    Attributes
    ----------
    instrument, day
        Whose prices, and the last day that the factors are for.
    price_factor
        Dividends since then.
    split_factor
        Splits since then, as the file prints it.
    reference_price
        The raw close of the day.
    """

    instrument: str
    day: date
    price_factor: float
    split_factor: str
    reference_price: float


def rational(text: str) -> Fraction:
    """Return the simplest fraction that a decimal of six significant digits may stand for.

    References
    ----------
    The simplest fraction between two others: Stern-Brocot tree (R. Graham, D. Knuth, O. Patashnik, "Concrete
    Mathematics", section 4.5).

    Raises
    ------
    DataError
        If the text is no positive decimal.

    Examples
    --------
    >>> rational("0.0178571"), rational("0.25"), rational("1.0")
    (Fraction(1, 56), Fraction(1, 4), Fraction(1, 1))
    """
    match = _DECIMAL.fullmatch(text.strip())
    value = Fraction(text.strip()) if match else Fraction(0)
    if match is None or value <= 0:
        raise DataError("action.bad_factor_text", given=text)
    whole, decimals = match[1].lstrip("0"), match[2] or ""
    leading = len(whole) if whole else len(decimals.lstrip("0")) - len(decimals)
    half_a_digit = Fraction(10) ** (leading - _DIGITS) / 2
    return _simplest(value - half_a_digit, value + half_a_digit)


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction of the smallest denominator in [low, high], both positive."""
    floor = low.numerator // low.denominator
    if floor == low:
        return Fraction(floor)
    if floor + 1 <= high:
        return Fraction(floor + 1)
    return floor + 1 / _simplest(1 / (high - floor), 1 / (low - floor))


def actions_from_factors(rows: Iterable[FactorRow], next_session: Callable[[date], date]) -> Iterator[CorporateAction]:
    """Derive splits and dividends from the steps of a factor file.

    Parameters
    ----------
    rows
        In any order.
    next_session
        Returns the first session after a day: the ex-date, since the file's day is the last one with the old factor.

    Raises
    ------
    DataError
        If a factor is not positive.
    """
    ordered = sorted(rows, key=lambda row: (row.instrument, row.day))
    for before, after in pairwise(ordered):
        if before.instrument != after.instrument:
            continue
        ratio = rational(after.split_factor) / rational(before.split_factor)
        growth = after.price_factor / before.price_factor if before.price_factor > 0 else float("nan")
        if ratio == 1 and growth == 1.0:
            continue
        day = next_session(before.day)
        if ratio != 1:
            yield CorporateAction(before.instrument, day, "split", float(ratio))
        if growth != 1.0:
            amount = before.reference_price * (1.0 - 1.0 / growth)
            yield CorporateAction(before.instrument, day, "dividend", growth, amount)


def undo_split_adjustment(days: Dates, prices: Float, splits: Sequence[tuple[date, float]]) -> Float:
    """Return prices as they were paid, of prices that the splits of later days are already in.

    Vendors that adjust up to the day of the fetch, as Yahoo does, list the splits that they have taken into account
    beside the prices: with these, and with no others, the adjustment is undone.

    Parameters
    ----------
    days
        Day of each price, shape (n,), ascending.
    prices
        Adjusted prices, shape (n,).
    splits
        Ex-date and new shares per old one of each split that is in the prices.

    Raises
    ------
    DataError
        If what comes out jumps back by a split's ratio at its ex-date: then the prices were not adjusted for it.

    Examples
    --------
    >>> days = np.array(["2020-08-28", "2020-08-31"], dtype="datetime64[D]")
    >>> undo_split_adjustment(days, np.array([124.81, 129.04]), [(date(2020, 8, 31), 4.0)]).tolist()
    [499.24, 129.04]
    """
    factors = np.ones(len(days))
    for day, ratio in splits:
        factors[days < np.datetime64(day)] *= ratio
    for day, ratio in splits:
        place = int(np.searchsorted(days, np.datetime64(day)))
        if 0 < place < len(days) and _was_raw(prices[place - 1], prices[place], ratio):
            raise DataError("action.not_adjusted", day=day.isoformat(), ratio=ratio, before=float(prices[place - 1]),
                            after=float(prices[place]))  # fmt: skip
    paid: Float = prices * factors
    return paid


def _was_raw(before: float, after: float, ratio: float) -> bool:
    """Return whether a price fell by about the ratio of a split, which an adjusted one does not."""
    moved = np.log(after / before)
    return bool(abs(moved + np.log(ratio)) < abs(moved))
