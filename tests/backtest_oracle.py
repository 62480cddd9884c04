"""The rules of a back-test once more: slow, in exact decimals, one object for each position and order.

It shares no code with the kernel, and takes its inputs as plain lists.
"""

from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

D = Decimal
INF = D("Infinity")
NIL = D(0)
YEAR_US = D(36525) * D(864_000_000)


@dataclass
class Order:
    quantity: D
    level: D = NIL
    last_bar: int = 0
    rank: D = NIL


@dataclass
class Position:
    shares: D = NIL
    entry: D = NIL
    best: D = NIL
    opened: int = 0
    flow: D = NIL
    closing: str = ""
    order: Order | None = None
    price: D = NIL
    seen: int = 0
    reserve: D = NIL
    traded: D = NIL


@dataclass
class Outcome:
    equity: list[D] = field(default_factory=list)
    fills: list[tuple[int, int, D, D, str]] = field(default_factory=list)
    trades: list[tuple[int, int, int, D, str]] = field(default_factory=list)
    costs: dict[str, D] = field(default_factory=dict)
    cash: D = NIL


def exact(value: Any) -> D | None:
    number = float(value)
    return None if number != number else D(number)


class Oracle:
    """One run; ``bars`` holds lists of lists by name, ``rules`` the nested dictionary of the rules."""

    def __init__(self, bars: Any, rules: dict[str, Any]) -> None:
        self.n, self.k = bars.close.shape
        names = ("open", "high", "low", "close", "volume", "reserves", "split", "dividend")
        self.data = {
            name: [[exact(value) for value in row] for row in getattr(bars, name).tolist()] or None for name in names
        }
        self.times = [D(int(time)) for time in bars.times]
        self.in_currency = bars.volume_in_currency
        self.rules = rules
        for part in rules.values():
            for name, value in part.items():
                if isinstance(value, float | int) and not isinstance(value, bool):
                    part[name] = D(value)
        self.a, self.x, self.c = rules["account"], rules["execution"], rules["costs"]
        self.exits = rules["exits"]
        self.cash = self.a["cash"]
        self.book = [Position() for _ in range(self.k)]
        self.out = Outcome(costs=dict.fromkeys(
            ("commission", "spread", "slippage", "impact", "borrow", "margin_interest", "cash_interest", "dividends",
             "delisting"), D(0)))  # fmt: skip
        self.rate = self.c["commission_bps"] / 10_000

    # prices

    def at(self, name: str, t: int, s: int) -> D | None:
        table = self.data[name]
        return None if table is None else table[t][s]

    def value(self, name: str, t: int) -> tuple[D, D]:
        equity, gross = self.cash, D(0)
        for s, p in enumerate(self.book):
            price = self.at(name, t, s)
            worth = p.shares * (p.price if price is None else price)
            equity, gross = equity + worth, gross + abs(worth)
        return equity, gross

    # fills

    def shares_of_costs(self, t: int, s: int, price: D, taker: bool) -> tuple[D, D]:
        if not taker:
            return D(0), D(0)
        half = self.c["spread_bps"] / 20_000
        slip = self.c["slippage_bps"] / 10_000
        slip += self.c["slippage_range"] * (self.at("high", t, s) - self.at("low", t, s)) / price
        return half, min(slip, 1 - half)

    def commission(self, size: D, paid: D) -> D:
        asked = self.rate * size * paid + self.c["commission_per_share"] * size
        return max(asked, self.c["commission_minimum"]) + self.c["fixed"]

    def fill(self, t: int, s: int, quantity: D, price: D, taker: bool, reason: str) -> None:
        p = self.book[s]
        half, slip = self.shares_of_costs(t, s, price, taker)
        sign = 1 if quantity > 0 else -1
        size = abs(quantity)
        paid = price * (1 + sign * (half + slip))
        if self.c["price_impact"]:
            amount = size * paid
            amount /= 1 - sign * amount / p.reserve
            self.out.costs["impact"] += abs(amount - size * paid)
            paid = amount / size
        commission = self.commission(size, paid)
        self.out.costs["spread"] += size * price * half
        self.out.costs["slippage"] += size * price * slip
        self.out.costs["commission"] += commission
        self.move(t, s, quantity, paid, commission, reason)

    def move(self, t: int, s: int, quantity: D, paid: D, commission: D, reason: str) -> None:
        p = self.book[s]
        if p.shares == 0:
            p.entry = p.best = paid
            p.opened, p.flow = t, D(0)
        elif p.shares * quantity > 0:
            p.entry = (p.entry * abs(p.shares) + paid * abs(quantity)) / (abs(p.shares) + abs(quantity))
        self.cash -= quantity * paid + commission
        p.flow -= quantity * paid + commission
        side = 1 if p.shares > 0 else -1
        p.shares += quantity
        p.traded += abs(quantity)
        self.out.fills.append((t, s, quantity, paid, reason))
        if p.shares == 0:
            self.out.trades.append((s, p.opened, side, p.flow, reason))

    def whole(self, size: D) -> D:
        lot = self.x["lot"]
        return size if not lot else (size / lot).to_integral_value(rounding="ROUND_FLOOR") * lot

    def allowed(self, t: int, s: int, price: D) -> D:
        if self.x["participation"] is None or self.data["volume"] is None:
            return INF
        volume = self.at("volume", t, s)
        if volume is None or volume <= 0:
            return D(0)
        if self.in_currency:
            volume /= price
        return max(D(0), self.whole(self.x["participation"] * volume - self.book[s].traded))

    def most(self, t: int, s: int, sign: int, price: D, taker: bool, equity: D, gross: D) -> D:
        """Return the largest size for which gross <= leverage * equity holds afterwards."""
        half, slip = self.shares_of_costs(t, s, price, taker)
        quoted = price * (1 + sign * (half + slip))
        if self.c["price_impact"]:
            cash, reserve = self.cash - self.c["fixed"], self.book[s].reserve
            if reserve <= 0:
                return D(0)
            spent = min(cash / (1 + self.rate), cash - self.c["commission_minimum"])
            return max(D(0), spent * reserve / (quoted * (reserve + spent)))
        lever = self.a["leverage"]
        # gross + q * price <= lever * (equity - q * |quoted - price| - commission(q)), solved for q
        free = lever * (equity - self.c["fixed"]) - gross
        per_share = self.rate * quoted + self.c["commission_per_share"]
        worse = price + lever * abs(quoted - price)
        by_rate = free / (worse + lever * per_share)
        by_minimum = (free - lever * self.c["commission_minimum"]) / worse
        return max(D(0), min(by_rate, by_minimum))

    def enlarge(self, t: int, s: int, price: D, taker: bool, equity: D, gross: D, reason: str) -> tuple[D, D]:
        p = self.book[s]
        wanted, p.order = p.order.quantity, None
        sign = 1 if wanted > 0 else -1
        size = min(abs(wanted), self.most(t, s, sign, price, taker, equity, gross))
        size = min(self.whole(size), self.allowed(t, s, price))
        if size * price <= D("1e-9") * abs(equity):
            return equity, gross
        before = self.cash
        self.fill(t, s, sign * size, price, taker, reason)
        return equity + self.cash - before + sign * size * price, gross + size * price

    # phases

    def orders_at(self, name: str, t: int, reason: str) -> None:
        for s, p in enumerate(self.book):
            price = self.at(name, t, s)
            if p.closing and price is not None:
                self.shrink(t, s, abs(p.shares), price, p.closing)
                p.closing = p.closing if p.shares else ""
        if self.x["order"] != "market":
            return
        waiting = [s for s, p in enumerate(self.book) if p.order and self.at(name, t, s) is not None]
        for s in waiting:
            if self.book[s].order.quantity * self.book[s].shares < 0:
                self.turn(t, s, self.at(name, t, s))
        adding = [s for s in waiting if self.book[s].order]
        adding.sort(key=lambda s: (-self.book[s].order.rank, s))
        equity, gross = self.value(name, t)
        for s in adding:
            equity, gross = self.enlarge(t, s, self.at(name, t, s), True, equity, gross, reason)

    def turn(self, t: int, s: int, price: D) -> None:
        """Reduce a position; what goes beyond it opens one on the other side."""
        p = self.book[s]
        quantity, rank, p.order = p.order.quantity, p.order.rank, None
        held = abs(p.shares)
        self.shrink(t, s, min(abs(quantity), held), price, "rebalance")
        if p.shares == 0 and abs(quantity) > held:
            p.order = Order((abs(quantity) - held) * (1 if quantity > 0 else -1), rank=rank)

    def shrink(self, t: int, s: int, size: D, price: D, reason: str, taker: bool = True) -> None:
        size = min(size, self.allowed(t, s, price))
        if size > 0:
            self.fill(t, s, size if self.book[s].shares < 0 else -size, price, taker, reason)

    def leave(self, t: int, s: int, price: D, taker: bool, reason: str) -> None:
        p = self.book[s]
        self.shrink(t, s, abs(p.shares), price, reason, taker)
        p.order = None
        if p.shares != 0:
            p.closing = reason

    def stop_of(self, p: Position) -> tuple[D | None, str]:
        sign = 1 if p.shares > 0 else -1
        levels = []
        if self.exits["stop_loss"] is not None:
            levels.append((p.entry * (1 - sign * self.exits["stop_loss"]), "stop_loss"))
        if self.exits["trailing_stop"] is not None:
            levels.append((p.best * (1 - sign * self.exits["trailing_stop"]), "trailing_stop"))
        if not levels:
            return None, ""
        return (max if sign > 0 else min)(levels, key=lambda one: one[0])

    def exits_inside(self, t: int) -> None:
        for s, p in enumerate(self.book):
            if p.shares == 0 or p.closing or self.at("close", t, s) is None:
                continue
            long = p.shares > 0
            o, h, l = (self.at(name, t, s) for name in ("open", "high", "low"))  # noqa: E741 - open, high, low
            stop, reason = self.stop_of(p)
            goal = self.exits["take_profit"]
            target = None if goal is None else p.entry * (1 + goal if long else 1 - goal)
            if stop is not None and (o <= stop if long else o >= stop):
                self.leave(t, s, o, True, reason)
            elif target is not None and (o >= target if long else o <= target):
                self.leave(t, s, o, False, "take_profit")
            elif stop is not None and (l <= stop if long else h >= stop):
                self.leave(t, s, stop, True, reason)
            elif target is not None and (h >= target if long else l <= target):
                self.leave(t, s, target, False, "take_profit")
            else:
                p.best = max(p.best, h) if long else min(p.best, l)

    def resting(self, t: int) -> None:
        equity, gross = self.value("open", t)
        for s, p in enumerate(self.book):
            if p.order is None:
                continue
            order = p.order
            o, h, l, c = (self.at(name, t, s) for name in ("open", "high", "low", "close"))  # noqa: E741 - as above
            buying = order.quantity > 0
            if c is not None and p.shares == 0:
                limit = self.x["order"] == "limit"
                below = buying == limit  # reached from above
                at_open = o <= order.level if below else o >= order.level
                inside = l <= order.level if below else h >= order.level
                if at_open or inside:
                    price = o if at_open else order.level
                    equity, gross = self.enlarge(t, s, price, not limit, equity, gross, "signal")
                    if p.shares != 0:
                        stop, reason = self.stop_of(p)
                        if stop is not None and (l <= stop if buying else h >= stop):
                            self.leave(t, s, (min if buying else max)(stop, price), True, reason)
                        else:
                            p.best = max(p.best, c) if buying else min(p.best, c)
            if t >= order.last_bar:
                p.order = None

    def pass_time(self, t: int) -> None:
        years = (self.times[t] - self.times[t - 1]) / YEAR_US
        rate = self.a["cash_rate"] if self.cash > 0 else self.a["margin_rate"]
        interest = self.cash * rate * years
        self.out.costs["cash_interest" if self.cash > 0 else "margin_interest"] += abs(interest)
        self.cash += interest
        for p in self.book:
            if p.shares < 0:
                fee = -p.shares * p.price * self.a["borrow_rate"] * years
                self.cash, p.flow = self.cash - fee, p.flow - fee
                self.out.costs["borrow"] += fee

    def actions(self, t: int) -> None:
        for s, p in enumerate(self.book):
            amount, factor = self.at("dividend", t, s), self.at("split", t, s)
            self.cash += p.shares * amount
            p.flow += p.shares * amount
            self.out.costs["dividends"] += p.shares * amount
            p.shares *= factor
            for name in ("entry", "best", "price"):
                setattr(p, name, getattr(p, name) / factor)
            if p.order:
                p.order.quantity *= factor
                p.order.level /= factor

    def close_of(self, t: int) -> tuple[D, D]:
        for s, p in enumerate(self.book):
            price, reserve = self.at("close", t, s), self.at("reserves", t, s)
            if price is not None:
                p.price, p.seen = price, t
            if reserve is not None and reserve > 0:
                p.reserve = reserve
            days = self.a["delisted_after_days"]
            if days is not None and p.shares and (self.times[t] - self.times[p.seen]) >= days * 86_400_000_000:
                paid = p.price * (1 + self.a["delisting_return"])
                self.out.costs["delisting"] += p.shares * (p.price - paid)
                self.move(t, s, -p.shares, paid, D(0), "delisting")
                p.closing, p.order = "", None
        return self.value("close", t)

    def size_of(self, sizes: Any, t: int, s: int, price: D, equity: D) -> D | None:
        kind, table = sizes
        value = exact(table[t if len(table) > 1 else 0][s if len(table[0]) > 1 else 0])
        if value is None:
            return None
        return self.whole({"fraction": value * equity / price, "cash": value / price, "shares": value}[kind])

    def follow(self, t: int, s: int, signal: int, price: D, equity: D, sizes: Any, ranks: Any) -> None:
        p = self.book[s]
        if signal == 2 or (signal == 1 and p.shares < 0) or (signal == -1 and p.shares > 0):
            p.order = None
            if p.shares != 0 and not p.closing:
                p.closing = "signal"
        if signal == -1 and not self.a["allow_short"] and p.shares <= 0:
            p.order = None
        wants_long, wants_short = (
            signal == 1 and p.shares <= 0,
            signal == -1 and p.shares >= 0 and self.a["allow_short"],
        )
        if not (wants_long or wants_short):
            return
        size = self.size_of(sizes, t, s, price, equity)
        p.order = None
        if size is not None and size * price > D("1e-9") * abs(equity):
            sign = 1 if wants_long else -1
            away = self.x["offset"] * (-sign if self.x["order"] == "limit" else sign)
            rank = exact(ranks[t][s]) if len(ranks) else D(0)
            p.order = Order(sign * size, price * (1 + away), t + int(self.x["valid_bars"]), rank)

    def aim(self, t: int, s: int, weight: D, price: D, equity: D) -> None:
        p = self.book[s]
        p.order, p.closing = None, ""
        if weight == 0:
            p.closing = "rebalance" if p.shares else ""
            return
        target = self.whole(abs(weight) * max(equity, D(0)) / price) * (1 if weight > 0 else -1)
        if abs(target - p.shares) * price > D("1e-9") * abs(equity):
            p.order = Order(target - p.shares, rank=abs(weight))

    def run(self, signals: Any = None, weights: Any = None, sizes: Any = None, ranks: Any = ()) -> Outcome:
        with localcontext() as context:
            context.prec = 50
            reason = "signal" if signals is not None else "rebalance"
            for t in range(self.n):
                self.bar(t, reason, signals, weights, sizes, ranks)
            self.out.cash = self.cash
        return self.out

    def bar(self, t: int, reason: str, signals: Any, weights: Any, sizes: Any, ranks: Any) -> None:
        at_close = self.x["fill"] == "close"
        if t:
            self.pass_time(t)
        if self.data["split"]:
            self.actions(t)
        for p in self.book:
            p.traded = D(0)
        if not at_close:
            self.orders_at("open", t, reason)
        self.exits_inside(t)
        if self.x["order"] != "market":
            self.resting(t)
        equity, gross = self.close_of(t)
        if gross > 0 and equity < self.a["maintenance"] * gross:
            for p in self.book:
                p.order = None
                p.closing = "margin_call" if p.shares else p.closing
        else:
            self.decide(t, equity, signals, weights, sizes, ranks)
        if at_close:
            self.orders_at("close", t, reason)
            equity, _ = self.value("close", t)
        self.out.equity.append(equity)

    def decide(self, t: int, equity: D, signals: Any, weights: Any, sizes: Any, ranks: Any) -> None:
        for s, p in enumerate(self.book):
            price = self.at("close", t, s)
            if signals is None:
                weight = exact(weights[t][s])
                if weight is not None and price is not None:
                    self.aim(t, s, weight, price, equity)
                continue
            longest = self.exits["max_bars"]
            held = t - p.opened + (0 if self.x["fill"] == "close" else 1)
            if longest is not None and p.shares and not p.closing and held >= longest:
                p.closing = "time_stop"
            if signals[t][s] and price is not None:
                self.follow(t, s, int(signals[t][s]), price, equity, sizes, ranks)
