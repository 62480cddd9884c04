"""What was paid: a provider's bars and actions without the splits that are in them, checked against what is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.ingest.fetching.missing import bar_ends
from kurswerk.ingest.fetching.ports import FetchedBars, Float, Int
from kurswerk.market.adjustment import CorporateAction, undo_split_adjustment
from kurswerk.market.calendar import Calendar

# Providers state prices as floats of 32 bits.
_SAME_PRICE = 1e-5
# A common factor further from 1 than any rounding, and than most revisions.
_OTHER_SCALE = 0.01
_LEAST_SHARED = 3
_MOST_OUTSIDE, _LEAST_OUTSIDE = 0.2, 3


@dataclass(frozen=True, eq=False)
class PaidBars:
    """Bars as they were paid, and the actions that a provider states beside them.

    Attributes
    ----------
    ends_us
        When each bar ends, microseconds UTC, shape (n,), ascending, possibly with repeats.
    prices, volumes
        As in `FetchedBars`; volumes in whole shares.
    splits, dividends
        Ex-date, and new shares per old one or cash per share of that day.
    outside
        Bars that were left out because they lie in no session.
    """

    ends_us: Int
    prices: Float
    volumes: Float
    splits: Sequence[tuple[date, float]]
    dividends: Sequence[tuple[date, float]]
    outside: int

    @property
    def closes(self) -> Float:
        """Close of each bar."""
        return np.asarray(self.prices[3])

    def actions(self, symbol: str, calendar: Calendar, ends_us: Int, closes: Float) -> list[CorporateAction]:
        """Return splits, and those dividends before which there is a close.

        Parameters
        ----------
        ends_us, closes
            Bars of the symbol, ascending: the factor of a dividend is relative to the last close before its day.
        """
        found = [CorporateAction(symbol, day, "split", ratio) for day, ratio in self.splits]
        for day, amount in self.dividends:
            place = int(np.searchsorted(ends_us, _begin_us(calendar, day), side="right")) - 1
            # One as large as the price is a liquidation: nothing is left that could run on.
            if place >= 0 and 0.0 < amount < closes[place]:
                factor = float(closes[place] / (closes[place] - amount))
                found.append(CorporateAction(symbol, day, "dividend", factor, amount))
        return found


def paid_bars(symbol: str, answer: FetchedBars, calendar: Calendar, interval: str) -> PaidBars:
    """Take out of bars the splits that are in them.

    Raises
    ------
    DataError
        If bars lie outside the calendar's sessions, or prices do not follow the splits that are stated with them.
    """
    ends, inside = bar_ends(calendar, answer.starts, interval)
    outside = int(np.count_nonzero(~inside))
    # Shorter bars before and after a session are usual.
    if interval == "1d" and outside >= _LEAST_OUTSIDE and outside > _MOST_OUTSIDE * len(answer):
        raise DataError(
            "fetch.other_sessions", symbol=symbol, count=outside, bars=len(answer), exchange=calendar.exchange
        )
    days = calendar.sessions.dates[calendar.session_index(ends[inside])]
    prices, volumes = answer.prices[:, inside], answer.volumes[inside]
    # An event that is stated twice happened once.
    splits, dividends = list(dict.fromkeys(answer.splits)), list(dict.fromkeys(answer.dividends))
    if answer.is_adjusted and splits:
        adjusted = prices
        prices = np.stack([undo_split_adjustment(days, row, splits) for row in adjusted])
        _check_undone(symbol, days, adjusted[3], prices[3], splits)
        volumes = volumes / _later_ratio(days, splits)
        ex_dates = np.array([day for day, _ in dividends], dtype="datetime64[D]")
        ratios = _later_ratio(ex_dates, splits)
        dividends = [(day, amount * float(ratio)) for (day, amount), ratio in zip(dividends, ratios, strict=True)]
    return PaidBars(ends[inside], prices, np.rint(volumes), splits, dividends, outside)


def _later_ratio(days: NDArray[np.datetime64], splits: Sequence[tuple[date, float]]) -> Float:
    """Return how many shares one of each day is at the end: the product of the splits after it."""
    ratios = np.ones(len(days))
    for day, ratio in splits:
        ratios[days < np.datetime64(day)] *= ratio
    return ratios


def _check_undone(
    symbol: str, days: NDArray[np.datetime64], adjusted: Float, paid: Float, splits: Sequence[tuple[date, float]]
) -> None:
    """Adjust again, split by split from the latest back, and compare with what was fetched."""
    again = paid.copy()
    for day, ratio in sorted(splits, reverse=True):
        again[: int(np.searchsorted(days, np.datetime64(day)))] /= ratio
    differing = np.flatnonzero(~np.isclose(again, adjusted, rtol=1e-12, atol=0.0, equal_nan=True))
    if differing.size:
        place = int(differing[0])
        raise DataError(
            "fetch.not_undone", symbol=symbol, day=str(days[place]), fetched=float(adjusted[place]), again=again[place]
        )


def check_against_stored(symbol: str, bars: PaidBars, ends_us: Int, closes: Float) -> int:
    """Compare bars that are stored with what the provider states now; return how many it has changed since.

    Raises
    ------
    DataError
        If all of them differ by one factor: the provider has adjusted for a split that it does not state, or its
        prices are in another unit.
    """
    place = np.minimum(np.searchsorted(ends_us, bars.ends_us), max(len(ends_us) - 1, 0))
    there = ends_us[place] == bars.ends_us if len(ends_us) else np.zeros(len(bars.ends_us), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = bars.closes[there] / closes[place[there]]
    ratios = ratios[np.isfinite(ratios)]
    differing = int(np.count_nonzero(np.abs(ratios - 1.0) > _SAME_PRICE))
    if len(ratios) >= _LEAST_SHARED and differing == len(ratios):
        factor = float(np.median(ratios))
        if abs(factor - 1.0) > _OTHER_SCALE and np.all(np.abs(ratios / factor - 1.0) < _OTHER_SCALE):
            raise DataError("fetch.other_scale", symbol=symbol, count=len(ratios), factor=factor)
    return differing


def _begin_us(calendar: Calendar, day: date) -> int:
    """Return when the first session from a day on opens."""
    sessions = calendar.sessions
    place = int(np.searchsorted(sessions.dates, np.datetime64(day)))
    return int(sessions.opens_us[min(place, len(sessions) - 1)])
