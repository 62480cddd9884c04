"""The classic indicators on prices and volume, with any parameters.

Every one equals the independent implementation DaveSkender/Stock.Indicators from where that has a value.
"""

from math import inf

from kurswerk.features._graph import Graph, deviation, ema, highest, lowest, mean, plus
from kurswerk.features._kind import Catalogue, Param
from kurswerk.market import Role

INDICATORS = Catalogue()

CLOSE, HIGH, LOW, VOLUME = Role.CLOSE, Role.HIGH, Role.LOW, Role.VOLUME
W14, W20 = Param("window", 14), Param("window", 20)
W14_2, W20_2 = Param("window", 14, least=2), Param("window", 20, least=2)
BANDS = (W20_2, Param("deviations", 2, least=0.001, integer=False))
STOCHASTIC = (W14, Param("smoothing", 3))
MACD = (Param("fast", 12), Param("slow", 26), Param("signal", 9))
WILDER = "Wilder, New Concepts in Technical Trading Systems, 1978"
APPEL = "Appel, Technical Analysis: Power Tools for Active Investors, 2005"
LANE = "Lane, Lane's Stochastics, 1984"
BOLLINGER = "Bollinger, Bollinger on Bollinger Bands, 2001"
SCHOOL = "https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays"


@INDICATORS.define(W20, unit="price", low=0, high=inf, source=SCHOOL)
def sma(g: Graph, window: int) -> int:
    """SMA: mean of the close over `window` rows."""
    return mean(g, g.input(CLOSE), window)


@INDICATORS.define(W20, unit="price", low=0, high=inf, source=SCHOOL, name="ema")
def exponential_mean(g: Graph, window: int) -> int:
    """Exponential mean of the close: e += 2 / (w + 1) (close - e); starts as the mean of the first `window` rows."""
    return ema(g, g.input(CLOSE), window, 2.0 / (window + 1))


@INDICATORS.define(W14, unit="percent", low=0, high=100, source=WILDER)
def rsi(g: Graph, window: int) -> int:
    """Relative strength: 100 gains / (gains + losses), both in Wilder's mean of the close's one-row changes."""
    close = g.input(CLOSE)
    gains = ema(g, g.step("gain", close, (close, 1)), window, 1.0 / window)
    losses = ema(g, g.step("gain", (close, 1), close), window, 1.0 / window)
    return g.step("share", gains, losses, p=100)


@INDICATORS.define(*MACD, unit="price", low=-inf, high=inf, source=APPEL)
def macd(g: Graph, fast: int, slow: int, signal: int) -> int:  # noqa: ARG001 - named with all three by custom
    """MACD line: ema(close, fast) - ema(close, slow)."""
    return plus(g, exponential_mean(g, fast), exponential_mean(g, slow), -1.0)


@INDICATORS.define(*MACD, unit="price", low=-inf, high=inf, source=APPEL)
def macd_signal(g: Graph, fast: int, slow: int, signal: int) -> int:
    """MACD signal: exponential mean of the MACD line over `signal` rows."""
    return ema(g, macd(g, fast, slow, signal), signal, 2.0 / (signal + 1))


@INDICATORS.define(*MACD, unit="price", low=-inf, high=inf, source=APPEL)
def macd_histogram(g: Graph, fast: int, slow: int, signal: int) -> int:
    """MACD line - MACD signal."""
    return plus(g, macd(g, fast, slow, signal), macd_signal(g, fast, slow, signal), -1.0)


@INDICATORS.define(W14_2, unit="price", low=0, high=inf, source=SCHOOL)
def stddev(g: Graph, window: int) -> int:
    """Deviation of the population (n) of the close over `window` rows."""
    return deviation(g, g.input(CLOSE), window, sample=False)


@INDICATORS.define(
    W14_2, unit="standard deviations", low=-inf, high=inf, source="https://en.wikipedia.org/wiki/Standard_score"
)
def zscore(g: Graph, window: int) -> int:
    """How the close stands within `window` rows, as standard score: (close - sma) / stddev."""
    return g.step("ratio", plus(g, g.input(CLOSE), sma(g, window), -1.0), stddev(g, window), p=1)


@INDICATORS.define(*BANDS, unit="price", low=-inf, high=inf, source=BOLLINGER)
def bollinger_upper(g: Graph, window: int, deviations: float) -> int:
    """Upper band: sma + deviations · stddev."""
    return plus(g, sma(g, window), stddev(g, window), deviations)


@INDICATORS.define(*BANDS, unit="price", low=0, high=inf, source=BOLLINGER)
def bollinger_middle(g: Graph, window: int, deviations: float) -> int:  # noqa: ARG001 - named like its bands
    """Middle band: sma."""
    return sma(g, window)


@INDICATORS.define(*BANDS, unit="price", low=-inf, high=inf, source=BOLLINGER)
def bollinger_lower(g: Graph, window: int, deviations: float) -> int:
    """Lower band: sma - deviations · stddev."""
    return plus(g, sma(g, window), stddev(g, window), -deviations)


@INDICATORS.define(*BANDS, unit="ratio", low=-inf, high=inf, source=BOLLINGER)
def bollinger_percent_b(g: Graph, window: int, deviations: float) -> int:
    """Place of the close between the bands: (close - lower) / (upper - lower); 0 at the lower, 1 at the upper."""
    lower, upper = bollinger_lower(g, window, deviations), bollinger_upper(g, window, deviations)
    return g.step("position", g.input(CLOSE), lower, upper, p=1)


@INDICATORS.define(*BANDS, unit="ratio", low=0, high=inf, source=BOLLINGER)
def bollinger_width(g: Graph, window: int, deviations: float) -> int:
    """Distance of the bands against the middle: (upper - lower) / sma."""
    return g.step("ratio", stddev(g, window), sma(g, window), p=2.0 * deviations)


@INDICATORS.define(unit="price", low=0, high=inf, source=WILDER, name="true_range")
def range_of_row(g: Graph) -> int:
    """Range with the gap before it: max(high, close[1]) - min(low, close[1])."""
    return g.step("true_range", g.input(HIGH), g.input(LOW), (g.input(CLOSE), 1))


@INDICATORS.define(W14, unit="price", low=0, high=inf, source=WILDER)
def atr(g: Graph, window: int) -> int:
    """Average true range: Wilder's mean of the true range over `window` rows."""
    return _wilder(g, range_of_row(g), window)


@INDICATORS.define(W14, unit="percent", low=0, high=inf, source=WILDER)
def atr_pct(g: Graph, window: int) -> int:
    """Average true range in percent of the close: 100 atr / close."""
    return g.step("ratio", atr(g, window), g.input(CLOSE), p=100)


@INDICATORS.define(W14, unit="percent", low=0, high=100, source=WILDER)
def plus_di(g: Graph, window: int) -> int:
    """Directional indicator up, +DI: 100 Wilder's mean of the upward movement / atr."""
    high, low = g.input(HIGH), g.input(LOW)
    up = g.step("directional", high, (high, 1), (low, 1), low)
    return g.step("ratio", _wilder(g, up, window), atr(g, window), p=100)


@INDICATORS.define(W14, unit="percent", low=0, high=100, source=WILDER)
def minus_di(g: Graph, window: int) -> int:
    """Directional indicator down, -DI: 100 Wilder's mean of the downward movement / atr."""
    high, low = g.input(HIGH), g.input(LOW)
    down = g.step("directional", (low, 1), low, high, (high, 1))
    return g.step("ratio", _wilder(g, down, window), atr(g, window), p=100)


@INDICATORS.define(W14, unit="percent", low=0, high=100, source=WILDER)
def dx(g: Graph, window: int) -> int:
    """Directional movement: 100 |+DI - -DI| / (+DI + -DI)."""
    return g.step("magnitude", g.step("contrast", plus_di(g, window), minus_di(g, window), p=100))


@INDICATORS.define(W14, unit="percent", low=0, high=100, source=WILDER)
def adx(g: Graph, window: int) -> int:
    """Average directional movement: Wilder's mean of dx over `window` rows."""
    return _wilder(g, dx(g, window), window)


@INDICATORS.define(W14, unit="percent", low=0, high=100, source=WILDER)
def adxr(g: Graph, window: int) -> int:
    """Directional movement rating: mean of adx now and `window` rows ago."""
    strength = adx(g, window)
    return g.step("blend", strength, (strength, window), p=0.5)


@INDICATORS.define(*STOCHASTIC, unit="percent", low=0, high=100, source=LANE)
def stochastic_k(g: Graph, window: int, smoothing: int) -> int:
    """Place in the range, 100 (close - min low) / (max high - min low) over `window`, mean of `smoothing` rows."""
    low, high = lowest(g, g.input(LOW), window), highest(g, g.input(HIGH), window)
    return mean(g, g.step("position", g.input(CLOSE), low, high, p=100), smoothing)


@INDICATORS.define(*STOCHASTIC, Param("signal", 3), unit="percent", low=0, high=100, source=LANE)
def stochastic_d(g: Graph, window: int, smoothing: int, signal: int) -> int:
    """Signal of the stochastic: mean of stochastic_k over `signal` rows."""
    return mean(g, stochastic_k(g, window, smoothing), signal)


@INDICATORS.define(*STOCHASTIC, Param("signal", 3), unit="percent", low=-200, high=300, source=SCHOOL)
def stochastic_j(g: Graph, window: int, smoothing: int, signal: int) -> int:
    """Line J of KDJ: 3 stochastic_k - 2 stochastic_d."""
    k, d = stochastic_k(g, window, smoothing), stochastic_d(g, window, smoothing, signal)
    return plus(g, g.step("affine", k, p=3), d, -2.0)


@INDICATORS.define(W14, unit="price", low=-inf, high=inf, source=SCHOOL)
def momentum(g: Graph, window: int) -> int:
    """Change of the close over `window` rows: close - close[w]."""
    close = g.input(CLOSE)
    return plus(g, close, (close, window), -1.0)


@INDICATORS.define(W14, unit="percent", low=-100, high=inf, source=SCHOOL)
def roc(g: Graph, window: int) -> int:
    """Rate of change, the same as price_change: 100 (close - close[w]) / close[w]."""
    close = g.input(CLOSE)
    return g.step("relative_change", close, (close, window), p=100)


@INDICATORS.define(
    W20, unit="index", low=-inf, high=inf, source="Lambert, Commodities Channel Index, Commodities, 1980"
)
def cci(g: Graph, window: int) -> int:
    """Commodity channel index: (typical - mean) / (0.015 mean |typical - mean|), typical = (high + low + close) / 3."""
    typical = _typical(g)
    centre = mean(g, typical, window)
    spread = g.step("mean_deviation", typical, centre, window=window)
    return g.step("ratio", plus(g, typical, centre, -1.0), spread, p=1.0 / 0.015)


@INDICATORS.define(
    W14, unit="percent", low=0, high=100, source="Quong and Soudack, Technical Analysis of Stocks and Commodities, 1989"
)
def mfi(g: Graph, window: int) -> int:
    """Money flow index: 100 up / (up + down), sums over `window` rows of typical · volume where that rose or fell."""
    typical = _typical(g)
    flow = g.step("product", typical, g.input(VOLUME))
    up = mean(g, g.step("gated", flow, typical, (typical, 1)), window)
    down = mean(g, g.step("gated", flow, (typical, 1), typical), window)
    return g.step("share", up, down, p=100)


@INDICATORS.define(unit="volume", low=-inf, high=inf, source="Granville, New Key to Stock Market Profits, 1963")
def obv(g: Graph) -> int:
    """On-balance volume: running sum, from 0, of the volume where the close rose less the volume where it fell."""
    return g.step("on_balance", g.input(CLOSE), g.input(VOLUME))


@INDICATORS.define(W14, unit="percent", low=-100, high=0, source="Williams, How I Made One Million Dollars, 1973")
def williams_r(g: Graph, window: int) -> int:
    """Williams %R: -100 (max high - close) / (max high - min low) over `window` rows."""
    low, high = lowest(g, g.input(LOW), window), highest(g, g.input(HIGH), window)
    return g.step("position", g.input(CLOSE), high, low, p=-100)


def _wilder(g: Graph, x: int, window: int) -> int:
    return ema(g, x, window, 1.0 / window)


def _typical(g: Graph) -> int:
    return g.step("mean_of_three", g.input(HIGH), g.input(LOW), g.input(CLOSE))
