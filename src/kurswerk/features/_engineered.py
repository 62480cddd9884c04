"""The engineered features of price, volume and market capitalisation, for every market that has them."""

from math import inf

from kurswerk.features._graph import Graph, deviation, highest, lowest, mean, plus
from kurswerk.features._kind import Catalogue, Param
from kurswerk.market import Role

ENGINEERED = Catalogue()

WINDOW = Param("window", 5)
WINDOW_2 = Param("window", 5, least=2)
OWN = "Kurswerk contracts"
CLOSE, HIGH, LOW, VOLUME = Role.CLOSE, Role.HIGH, Role.LOW, Role.VOLUME


@ENGINEERED.define(
    WINDOW, unit="percent", low=-100, high=inf, source="https://www.investopedia.com/terms/r/rateofchange.asp"
)
def price_change(g: Graph, window: int) -> int:
    """Change of the close over `window` rows: 100 (close - close[w]) / close[w]."""
    close = g.input(CLOSE)
    return g.step("relative_change", close, (close, window), p=100)


@ENGINEERED.define(
    WINDOW, unit="percent", low=-100, high=inf, source="https://www.investopedia.com/terms/r/rateofchange.asp"
)
def price_roc(g: Graph, window: int) -> int:
    """Rate of change of the close, another name for price_change: 100 (close - close[w]) / close[w]."""
    return price_change(g, window)


@ENGINEERED.define(
    WINDOW_2, unit="percent", low=0, high=inf, source="https://www.investopedia.com/terms/v/volatility.asp"
)
def price_volatility(g: Graph, window: int) -> int:
    """Sample standard deviation (n - 1) of the last `window` one-row changes of the close in percent."""
    return deviation(g, price_change(g, 1), window, sample=True)


@ENGINEERED.define(WINDOW, unit="percent", low=0, high=inf, source=OWN)
def price_range(g: Graph, window: int) -> int:
    """Width of the price's range over `window` rows against the close: 100 (max high - min low) / close."""
    width = plus(g, highest(g, g.input(HIGH), window), lowest(g, g.input(LOW), window), -1.0)
    return g.step("ratio", width, g.input(CLOSE), p=100)


@ENGINEERED.define(WINDOW, unit="market cap per row", low=-inf, high=inf, source=OWN)
def mcap_velocity(g: Graph, window: int) -> int:
    """Mean change of the market cap per row over `window` rows: (mcap - mcap[w]) / w."""
    mcap = g.input(Role.MARKET_CAP)
    return g.step("affine", plus(g, mcap, (mcap, window), -1.0), p=1.0 / window)


@ENGINEERED.define(
    WINDOW, unit="ratio", low=0, high=inf, source="https://www.investopedia.com/terms/r/relative-volume-rvol.asp"
)
def volume_ratio(g: Graph, window: int) -> int:
    """Volume against its mean over the last `window` rows, the row's own included: volume / mean(volume, w)."""
    volume = g.input(VOLUME)
    return g.step("ratio", volume, mean(g, volume, window), p=1)


@ENGINEERED.define(
    WINDOW_2, unit="standard deviations", low=-inf, high=inf, source="https://en.wikipedia.org/wiki/Standard_score"
)
def volume_spike(g: Graph, window: int) -> int:
    """How the volume stands against the `window` rows before, as standard score: (volume - mean) / sample deviation."""
    volume = g.input(VOLUME)
    above = plus(g, volume, (mean(g, volume, window), 1), -1.0)
    return g.step("ratio", above, (deviation(g, volume, window, sample=True), 1), p=1)
