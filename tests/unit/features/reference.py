"""Every feature again, written row by row in plain Python, sharing nothing with the library."""

import math
from statistics import mean, pstdev, stdev

NAN = math.nan


def missing(values):
    return any(v is None or v != v for v in values)


def div(x, y):
    return NAN if missing([x, y]) or y == 0 else x / y


class Rows:
    """The rows of one coin up to the one asked for."""

    def __init__(self, columns, times, last):
        self.columns, self.times, self.last = columns, times, last

    def at(self, name, lag=0):
        place = self.last - lag
        return self.columns[name][place] if place >= 0 else NAN

    def window(self, name, size, lag=0):
        return [self.at(name, lag + k) for k in range(size - 1, -1, -1)]

    def back(self, lag):
        return Rows(self.columns, self.times, self.last - lag)

    def all(self, name):
        return [v for v in self.columns[name][: self.last + 1] if v == v]


def change(r, name, lag):
    before = r.at(name, lag)
    return div(100 * (r.at(name) - before), before)


def agg(function, values):
    return NAN if missing(values) else function(values)


def flag(condition, *values):
    return NAN if missing(values) else float(condition)


def volatility(r, name, w):
    return agg(stdev, [change(r.back(k), name, 1) for k in range(w)])


def spike(values, value):
    return NAN if missing([*values, value]) else float(value > 2 * mean(values))


def whales(r, lag=0):
    return r.at("whale_buy_volume_sol", lag) + r.at("whale_sell_volume_sol", lag)


def score(before, value):
    if missing([*before, value]):
        return NAN
    return div(value - mean(before), stdev(before))


def flips(r, w):
    pairs = [(r.at("net_volume_sol", k), r.at("net_volume_sol", k + 1)) for k in range(w)]
    return NAN if missing([v for pair in pairs for v in pair]) else float(sum(a * b < 0 for a, b in pairs))


def ath(r):
    return NAN if r.last < 0 or missing([r.at("price_high")]) else max(r.all("price_high"))


def distance(r):
    return div(100 * (ath(r) - r.at("price_close")), ath(r))


def ath_age(r):
    if missing([ath(r)]):
        return NAN
    return (r.times[r.last] - r.times[list(r.columns["price_high"]).index(ath(r))]) / 3.6e9


def breakout(r):
    return flag(r.at("price_high") > ath(r.back(1)), r.at("price_high"), ath(r.back(1)))


def approach(r, w):
    steps = [(distance(r.back(k + 1)), distance(r.back(k))) for k in range(w)]
    return NAN if missing([v for step in steps for v in step]) else mean([float(a > b) for a, b in steps])


def wash(r, w):
    signers, volume = r.window("unique_signer_ratio", w), r.window("volume_sol", w)
    return NAN if missing(signers + volume) else float(mean(signers) < 0.15 and mean(volume) > 0)


def price_range(r, w):
    high, low = r.window("price_high", w), r.window("price_low", w)
    return NAN if missing(high + low) else div(100 * (max(high) - min(low)), r.at("price_close"))


def minus(a, b):
    return NAN if missing([a, b]) else a - b


def cumulated(r, name):
    return NAN if missing([r.at(name)]) else math.fsum(r.all(name))


WINDOWED = {
    "price_change": lambda r, w: change(r, "price_close", w),
    "price_roc": lambda r, w: change(r, "price_close", w),
    "price_volatility": lambda r, w: volatility(r, "price_close", w),
    "price_range": price_range,
    "mcap_velocity": lambda r, w: minus(r.at("market_cap_close"), r.at("market_cap_close", w)) / w,
    "volume_ratio": lambda r, w: div(r.at("volume_sol"), agg(mean, r.window("volume_sol", w))),
    "volume_spike": lambda r, w: score(r.window("volume_sol", w, 1), r.at("volume_sol")),
    "buy_pressure_ma": lambda r, w: agg(mean, r.window("buy_pressure_ratio", w)),
    "buy_pressure_trend": lambda r, w: minus(r.at("buy_pressure_ratio"), agg(mean, r.window("buy_pressure_ratio", w))),
    "whale_activity": lambda r, w: agg(math.fsum, [whales(r, k) for k in range(w)]),
    "whale_activity_spike": lambda r, w: spike([whales(r, k + 1) for k in range(w)], whales(r)),
    "volatility_ma": lambda r, w: agg(mean, r.window("volatility_pct", w)),
    "volatility_spike": lambda r, w: div(r.at("volatility_pct"), agg(mean, r.window("volatility_pct", w, 1))),
    "wash_trading_flag": wash,
    "net_volume_ma": lambda r, w: agg(mean, r.window("net_volume_sol", w)),
    "volume_flip": flips,
    "dev_sold_spike": lambda r, w: spike(r.window("dev_sold_amount", w, 1), r.at("dev_sold_amount")),
    "ath_distance_trend": lambda r, w: minus(distance(r), distance(r.back(w))),
    "ath_approach": approach,
    "ath_breakout_count": lambda r, w: agg(math.fsum, [breakout(r.back(k)) for k in range(w)]),
    "sma": lambda r, w: agg(mean, r.window("price_close", w)),
    "stddev": lambda r, w: agg(pstdev, r.window("price_close", w)),
}

PLAIN = {
    "buy_sell_ratio": lambda r: div(r.at("buy_volume_sol"), r.at("sell_volume_sol")),
    "buy_pressure": lambda r: div(r.at("buy_volume_sol"), r.at("buy_volume_sol") + r.at("sell_volume_sol")),
    "sell_pressure": lambda r: div(r.at("sell_volume_sol"), r.at("buy_volume_sol") + r.at("sell_volume_sol")),
    "whale_buy_sell_ratio": lambda r: div(r.at("whale_buy_volume_sol"), r.at("whale_sell_volume_sol")),
    "whale_net_volume": lambda r: minus(r.at("whale_buy_volume_sol"), r.at("whale_sell_volume_sol")),
    "order_imbalance": lambda r: div(r.at("num_buys") - r.at("num_sells"), r.at("num_buys") + r.at("num_sells")),
    "dev_sold_flag": lambda r: flag(r.at("dev_sold_amount") > 0, r.at("dev_sold_amount")),
    "dev_sold_cumsum": lambda r: cumulated(r, "dev_sold_amount"),
    "ath_distance_pct": distance,
    "is_near_ath": lambda r: flag(distance(r) < 5, distance(r)),
    "is_at_ath": lambda r: flag(r.at("price_high") == ath(r), ath(r)),
    "ath_breakout": breakout,
    "ath_age_hours": ath_age,
    "sol_price_change_pct": lambda r: change(r, "sol_price_usd", 1),
    "sol_price_volatility": lambda r: volatility(r, "sol_price_usd", 20),
}


def expected(kind, window, columns, times):
    """Values of one feature for all rows of one coin."""
    rows = [Rows(columns, times, k) for k in range(len(times))]
    if kind in PLAIN:
        return [PLAIN[kind](r) for r in rows]
    return [WINDOWED[kind](r, window) for r in rows]
