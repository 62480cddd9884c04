"""Features of the running all-time high: the greatest high up to and including the row, never a later one."""

from math import inf

from kurswerk.core.timestamps import HOUR_US
from kurswerk.features._graph import TIME, Graph, mean, plus, total
from kurswerk.features._kind import Catalogue, Param
from kurswerk.market import Role

ALL_TIME_HIGH = Catalogue()

WINDOW = Param("window", 5)
OWN = "Kurswerk contracts; https://www.investopedia.com/terms/a/alltimehigh.asp"
NEAR_PERCENT = 5.0


@ALL_TIME_HIGH.define(unit="percent", low=0, high=100, source=OWN)
def ath_distance_pct(g: Graph) -> int:
    """How far the close lies below the all-time high: 100 (ath - close) / ath."""
    high, close = _ath(g), g.input(Role.CLOSE)
    return g.step("ratio", plus(g, high, close, -1.0), high, p=100)


@ALL_TIME_HIGH.define(unit="flag", low=0, high=1, source=OWN)
def is_near_ath(g: Graph) -> int:
    """1 if the close lies less than 5 % below the all-time high, else 0."""
    return g.step("above", ath_distance_pct(g), p=-NEAR_PERCENT, q=-1)


@ALL_TIME_HIGH.define(unit="flag", low=0, high=1, source=OWN)
def is_at_ath(g: Graph) -> int:
    """1 if this row's high sets or equals the all-time high, else 0."""
    below = g.step("exceeds", _ath(g), g.input(Role.HIGH), p=1)
    return g.step("affine", below, p=-1, q=1)


@ALL_TIME_HIGH.define(unit="flag", low=0, high=1, source=OWN)
def ath_breakout(g: Graph) -> int:
    """1 if this row's high is above the all-time high of the row before, else 0; NaN in a coin's first row."""
    return g.step("exceeds", g.input(Role.HIGH), (_ath(g), 1), p=1)


@ALL_TIME_HIGH.define(unit="hours", low=0, high=inf, source=OWN)
def ath_age_hours(g: Graph) -> int:
    """Hours since the row that first reached the present all-time high."""
    when = g.step("running_high_place", g.input(Role.HIGH), g.input(TIME))
    return g.step("affine", plus(g, g.input(TIME), when, -1.0), p=1.0 / HOUR_US)


@ALL_TIME_HIGH.define(WINDOW, unit="percentage points", low=-100, high=100, source=OWN)
def ath_distance_trend(g: Graph, window: int) -> int:
    """Change of ath_distance_pct over `window` rows; below 0 while the price comes nearer."""
    distance = ath_distance_pct(g)
    return plus(g, distance, (distance, window), -1.0)


@ALL_TIME_HIGH.define(WINDOW, unit="ratio", low=0, high=1, source=OWN)
def ath_approach(g: Graph, window: int) -> int:
    """Share of the last `window` rows in which ath_distance_pct was smaller than in the row before."""
    distance = ath_distance_pct(g)
    return mean(g, g.step("exceeds", (distance, 1), distance, p=1), window)


@ALL_TIME_HIGH.define(WINDOW, unit="count", low=0, high=inf, source=OWN)
def ath_breakout_count(g: Graph, window: int) -> int:
    """How many of the last `window` rows are an ath_breakout."""
    return total(g, ath_breakout(g), window)


def _ath(g: Graph) -> int:
    return g.step("running_high", g.input(Role.HIGH))
