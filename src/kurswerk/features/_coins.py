"""The engineered features of coins alone: pressure, whales, developer and market context."""

from math import inf

from kurswerk.features._graph import Graph, deviation, mean, plus, total
from kurswerk.features._kind import Catalogue, Param
from kurswerk.market import Role
from kurswerk.market.coins import SOL_PRICE

COIN_FEATURES = Catalogue()

WINDOW = Param("window", 5)
OWN = "Kurswerk contracts"
VOLUME = Role.VOLUME
FEW_SIGNERS = 0.15
SPIKE = 2.0
SOL_ROWS = 20


@COIN_FEATURES.define(WINDOW, unit="ratio", low=0, high=1, source=OWN)
def buy_pressure_ma(g: Graph, window: int) -> int:
    """Mean of buy_pressure_ratio over `window` rows."""
    return mean(g, g.input("buy_pressure_ratio"), window)


@COIN_FEATURES.define(WINDOW, unit="ratio", low=-1, high=1, source=OWN)
def buy_pressure_trend(g: Graph, window: int) -> int:
    """Distance of buy_pressure_ratio from its mean over `window` rows; above 0 while pressure grows."""
    return plus(g, g.input("buy_pressure_ratio"), buy_pressure_ma(g, window), -1.0)


@COIN_FEATURES.define(WINDOW, unit="SOL", low=0, high=inf, source=OWN)
def whale_activity(g: Graph, window: int) -> int:
    """Volume of whales, bought and sold, summed over `window` rows."""
    return total(g, _whale_volume(g), window)


@COIN_FEATURES.define(WINDOW, unit="flag", low=0, high=1, source=OWN)
def whale_activity_spike(g: Graph, window: int) -> int:
    """1 if the volume of whales is above twice its mean over the `window` rows before, else 0."""
    return _spike(g, _whale_volume(g), window)


@COIN_FEATURES.define(WINDOW, unit="percent", low=0, high=inf, source=OWN)
def volatility_ma(g: Graph, window: int) -> int:
    """Mean of volatility_pct over `window` rows."""
    return mean(g, g.input("volatility_pct"), window)


@COIN_FEATURES.define(WINDOW, unit="ratio", low=0, high=inf, source=OWN)
def volatility_spike(g: Graph, window: int) -> int:
    """volatility_pct against its mean over the `window` rows before."""
    return g.step("ratio", g.input("volatility_pct"), (volatility_ma(g, window), 1), p=1)


@COIN_FEATURES.define(WINDOW, unit="flag", low=0, high=1, source=OWN)
def wash_trading_flag(g: Graph, window: int) -> int:
    """1 if there is volume but few wallets make it: mean(unique_signer_ratio, w) < 0.15 and mean(volume, w) > 0."""
    few = g.step("above", mean(g, g.input("unique_signer_ratio"), window), p=-FEW_SIGNERS, q=-1)
    traded = g.step("above", mean(g, g.input(VOLUME), window), p=0, q=1)
    return g.step("product", few, traded)


@COIN_FEATURES.define(WINDOW, unit="SOL", low=-inf, high=inf, source=OWN)
def net_volume_ma(g: Graph, window: int) -> int:
    """Mean of net_volume_sol over `window` rows."""
    return mean(g, g.input("net_volume_sol"), window)


@COIN_FEATURES.define(WINDOW, unit="count", low=0, high=inf, source=OWN)
def volume_flip(g: Graph, window: int) -> int:
    """How often in the last `window` rows net_volume_sol had the opposite sign of the row before; 0 has no sign."""
    net = g.input("net_volume_sol")
    return total(g, g.step("flips", net, (net, 1)), window)


@COIN_FEATURES.define(WINDOW, unit="flag", low=0, high=1, source=OWN)
def dev_sold_spike(g: Graph, window: int) -> int:
    """1 if dev_sold_amount is above twice its mean over the `window` rows before, else 0."""
    return _spike(g, g.input("dev_sold_amount"), window)


@COIN_FEATURES.define(unit="ratio", low=0, high=inf, source=OWN)
def buy_sell_ratio(g: Graph) -> int:
    """buy_volume_sol / sell_volume_sol."""
    return g.step("ratio", g.input("buy_volume_sol"), g.input("sell_volume_sol"), p=1)


@COIN_FEATURES.define(unit="ratio", low=0, high=1, source=OWN)
def buy_pressure(g: Graph) -> int:
    """Share of buying in the volume: buy_volume_sol / (buy_volume_sol + sell_volume_sol)."""
    return g.step("share", g.input("buy_volume_sol"), g.input("sell_volume_sol"), p=1)


@COIN_FEATURES.define(unit="ratio", low=0, high=1, source=OWN)
def sell_pressure(g: Graph) -> int:
    """Share of selling in the volume: sell_volume_sol / (buy_volume_sol + sell_volume_sol)."""
    return g.step("share", g.input("sell_volume_sol"), g.input("buy_volume_sol"), p=1)


@COIN_FEATURES.define(unit="ratio", low=0, high=inf, source=OWN)
def whale_buy_sell_ratio(g: Graph) -> int:
    """whale_buy_volume_sol / whale_sell_volume_sol."""
    return g.step("ratio", g.input("whale_buy_volume_sol"), g.input("whale_sell_volume_sol"), p=1)


@COIN_FEATURES.define(unit="SOL", low=-inf, high=inf, source=OWN)
def whale_net_volume(g: Graph) -> int:
    """whale_buy_volume_sol - whale_sell_volume_sol."""
    return plus(g, g.input("whale_buy_volume_sol"), g.input("whale_sell_volume_sol"), -1.0)


@COIN_FEATURES.define(unit="ratio", low=-1, high=1, source="https://www.investopedia.com/terms/i/imbalanceoforders.asp")
def order_imbalance(g: Graph) -> int:
    """(num_buys - num_sells) / (num_buys + num_sells)."""
    return g.step("contrast", g.input("num_buys"), g.input("num_sells"), p=1)


@COIN_FEATURES.define(unit="flag", low=0, high=1, source=OWN)
def dev_sold_flag(g: Graph) -> int:
    """1 if the developer sold in this row: dev_sold_amount > 0."""
    return g.step("above", g.input("dev_sold_amount"), p=0, q=1)


@COIN_FEATURES.define(unit="SOL", low=0, high=inf, source=OWN)
def dev_sold_cumsum(g: Graph) -> int:
    """All that the developer has sold so far: running sum of dev_sold_amount."""
    return g.step("running_sum", g.input("dev_sold_amount"))


@COIN_FEATURES.define(unit="percent", low=-100, high=inf, source=OWN)
def sol_price_change_pct(g: Graph) -> int:
    """Change of SOL in US dollars since the coin's row before: 100 (sol - sol[1]) / sol[1]."""
    sol = g.input(SOL_PRICE)
    return g.step("relative_change", sol, (sol, 1), p=100)


@COIN_FEATURES.define(unit="percent", low=0, high=inf, source=OWN)
def sol_price_volatility(g: Graph) -> int:
    """Sample standard deviation (n - 1) of the last 20 values of sol_price_change_pct on the coin's rows."""
    return deviation(g, sol_price_change_pct(g), SOL_ROWS, sample=True)


def _whale_volume(g: Graph) -> int:
    return plus(g, g.input("whale_buy_volume_sol"), g.input("whale_sell_volume_sol"))


def _spike(g: Graph, x: int, window: int) -> int:
    return g.step("exceeds", x, (mean(g, x, window), 1), p=SPIKE)
