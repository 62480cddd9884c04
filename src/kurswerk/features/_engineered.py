"""The engineered features of coins: price, volume, pressure, whales, developer and market context."""

from math import inf

from kurswerk.features._graph import Graph, deviation, highest, lowest, mean, plus, total
from kurswerk.features._kind import Catalogue, Param
from kurswerk.market import SOL_PRICE

ENGINEERED = Catalogue()

WINDOW = Param("window", 5)
WINDOW_2 = Param("window", 5, least=2)
OWN = "Kurswerk contracts"
CLOSE, HIGH, LOW, VOLUME = "price_close", "price_high", "price_low", "volume_sol"
FEW_SIGNERS = 0.15
SPIKE = 2.0
SOL_ROWS = 20


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
    mcap = g.input("market_cap_close")
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


@ENGINEERED.define(WINDOW, unit="ratio", low=0, high=1, source=OWN)
def buy_pressure_ma(g: Graph, window: int) -> int:
    """Mean of buy_pressure_ratio over `window` rows."""
    return mean(g, g.input("buy_pressure_ratio"), window)


@ENGINEERED.define(WINDOW, unit="ratio", low=-1, high=1, source=OWN)
def buy_pressure_trend(g: Graph, window: int) -> int:
    """Distance of buy_pressure_ratio from its mean over `window` rows; above 0 while pressure grows."""
    return plus(g, g.input("buy_pressure_ratio"), buy_pressure_ma(g, window), -1.0)


@ENGINEERED.define(WINDOW, unit="SOL", low=0, high=inf, source=OWN)
def whale_activity(g: Graph, window: int) -> int:
    """Volume of whales, bought and sold, summed over `window` rows."""
    return total(g, _whale_volume(g), window)


@ENGINEERED.define(WINDOW, unit="flag", low=0, high=1, source=OWN)
def whale_activity_spike(g: Graph, window: int) -> int:
    """1 if the volume of whales is above twice its mean over the `window` rows before, else 0."""
    return _spike(g, _whale_volume(g), window)


@ENGINEERED.define(WINDOW, unit="percent", low=0, high=inf, source=OWN)
def volatility_ma(g: Graph, window: int) -> int:
    """Mean of volatility_pct over `window` rows."""
    return mean(g, g.input("volatility_pct"), window)


@ENGINEERED.define(WINDOW, unit="ratio", low=0, high=inf, source=OWN)
def volatility_spike(g: Graph, window: int) -> int:
    """volatility_pct against its mean over the `window` rows before."""
    return g.step("ratio", g.input("volatility_pct"), (volatility_ma(g, window), 1), p=1)


@ENGINEERED.define(WINDOW, unit="flag", low=0, high=1, source=OWN)
def wash_trading_flag(g: Graph, window: int) -> int:
    """1 if there is volume but few wallets make it: mean(unique_signer_ratio, w) < 0.15 and mean(volume, w) > 0."""
    few = g.step("above", mean(g, g.input("unique_signer_ratio"), window), p=-FEW_SIGNERS, q=-1)
    traded = g.step("above", mean(g, g.input(VOLUME), window), p=0, q=1)
    return g.step("product", few, traded)


@ENGINEERED.define(WINDOW, unit="SOL", low=-inf, high=inf, source=OWN)
def net_volume_ma(g: Graph, window: int) -> int:
    """Mean of net_volume_sol over `window` rows."""
    return mean(g, g.input("net_volume_sol"), window)


@ENGINEERED.define(WINDOW, unit="count", low=0, high=inf, source=OWN)
def volume_flip(g: Graph, window: int) -> int:
    """How often in the last `window` rows net_volume_sol had the opposite sign of the row before; 0 has no sign."""
    net = g.input("net_volume_sol")
    return total(g, g.step("flips", net, (net, 1)), window)


@ENGINEERED.define(WINDOW, unit="flag", low=0, high=1, source=OWN)
def dev_sold_spike(g: Graph, window: int) -> int:
    """1 if dev_sold_amount is above twice its mean over the `window` rows before, else 0."""
    return _spike(g, g.input("dev_sold_amount"), window)


@ENGINEERED.define(unit="ratio", low=0, high=inf, source=OWN)
def buy_sell_ratio(g: Graph) -> int:
    """buy_volume_sol / sell_volume_sol."""
    return g.step("ratio", g.input("buy_volume_sol"), g.input("sell_volume_sol"), p=1)


@ENGINEERED.define(unit="ratio", low=0, high=1, source=OWN)
def buy_pressure(g: Graph) -> int:
    """Share of buying in the volume: buy_volume_sol / (buy_volume_sol + sell_volume_sol)."""
    return g.step("share", g.input("buy_volume_sol"), g.input("sell_volume_sol"), p=1)


@ENGINEERED.define(unit="ratio", low=0, high=1, source=OWN)
def sell_pressure(g: Graph) -> int:
    """Share of selling in the volume: sell_volume_sol / (buy_volume_sol + sell_volume_sol)."""
    return g.step("share", g.input("sell_volume_sol"), g.input("buy_volume_sol"), p=1)


@ENGINEERED.define(unit="ratio", low=0, high=inf, source=OWN)
def whale_buy_sell_ratio(g: Graph) -> int:
    """whale_buy_volume_sol / whale_sell_volume_sol."""
    return g.step("ratio", g.input("whale_buy_volume_sol"), g.input("whale_sell_volume_sol"), p=1)


@ENGINEERED.define(unit="SOL", low=-inf, high=inf, source=OWN)
def whale_net_volume(g: Graph) -> int:
    """whale_buy_volume_sol - whale_sell_volume_sol."""
    return plus(g, g.input("whale_buy_volume_sol"), g.input("whale_sell_volume_sol"), -1.0)


@ENGINEERED.define(unit="ratio", low=-1, high=1, source="https://www.investopedia.com/terms/i/imbalanceoforders.asp")
def order_imbalance(g: Graph) -> int:
    """(num_buys - num_sells) / (num_buys + num_sells)."""
    return g.step("contrast", g.input("num_buys"), g.input("num_sells"), p=1)


@ENGINEERED.define(unit="flag", low=0, high=1, source=OWN)
def dev_sold_flag(g: Graph) -> int:
    """1 if the developer sold in this row: dev_sold_amount > 0."""
    return g.step("above", g.input("dev_sold_amount"), p=0, q=1)


@ENGINEERED.define(unit="SOL", low=0, high=inf, source=OWN)
def dev_sold_cumsum(g: Graph) -> int:
    """All that the developer has sold so far: running sum of dev_sold_amount."""
    return g.step("running_sum", g.input("dev_sold_amount"))


@ENGINEERED.define(unit="percent", low=-100, high=inf, source=OWN)
def sol_price_change_pct(g: Graph) -> int:
    """Change of SOL in US dollars since the coin's row before: 100 (sol - sol[1]) / sol[1]."""
    sol = g.input(SOL_PRICE)
    return g.step("relative_change", sol, (sol, 1), p=100)


@ENGINEERED.define(unit="percent", low=0, high=inf, source=OWN)
def sol_price_volatility(g: Graph) -> int:
    """Sample standard deviation (n - 1) of the last 20 values of sol_price_change_pct on the coin's rows."""
    return deviation(g, sol_price_change_pct(g), SOL_ROWS, sample=True)


def _whale_volume(g: Graph) -> int:
    return plus(g, g.input("whale_buy_volume_sol"), g.input("whale_sell_volume_sol"))


def _spike(g: Graph, x: int, window: int) -> int:
    return g.step("exceeds", x, (mean(g, x, window), 1), p=SPIKE)
