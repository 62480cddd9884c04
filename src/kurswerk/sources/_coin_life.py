"""The life of one simulated coin, trade by trade on its bonding curve.

The curve holds the product of its virtual reserves constant, as pump.fun does: 30 SOL and 1.073e9 tokens at the start,
so price = reserves² / (30 · 1.073e9), and it is complete with 85 real SOL. Buys arrive by attention, which decays by a
power law, follows the mood of the market and wanders by itself, and by momentum: each buy brings more (a
self-exciting process after Hawkes, 1971). Holders sell after a typical holding time, sooner into a rise and in panic.

Pumps come in three steps: some minutes of quiet accumulation (small buys from fresh wallets, a whale now and
then), the burst, the sell-off. A third of the accumulations come to nothing and a fifth of the bursts come out of
the blue, so that the precursors are informative but not decisive. Developers buy at birth; some sell all at once.
"""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel
from kurswerk.market.bonding_curve import (
    COMPLETE_SOL,
    KING_OF_THE_HILL_PCT,
    MICRO_SOL,
    START_SOL,
    START_TOKENS,
    SUPPLY,
    WHALE_SOL,
)
from kurswerk.sources._random import State, exponential, log_uniform, normal, uniform

Float = NDArray[np.float64]
Int = NDArray[np.int64]

STEP_SECONDS = 5
MOST_ROWS = 1600  # 120 of 5 s, 100 of 30 s, 1380 of 60 s
PRODUCT = START_SOL * START_TOKENS
SILENT_SECONDS = 3600  # a coin nobody traded for so long is given up
MOST_PUMPS = 4
MOST_WALLETS = 4096

# Rows of the table that a life leaves, in the order of the columns of COINS.
PHASE, OPEN, HIGH, LOW, CLOSE, CAP, CURVE, RESERVES, KOTH = 0, 1, 2, 3, 4, 5, 6, 7, 8
VOLUME, BUY_VOLUME, SELL_VOLUME, NET, BUYS, SELLS, WALLETS, MICRO = 9, 10, 11, 12, 13, 14, 15, 16
DEV_SOLD, MAX_BUY, MAX_SELL, PRESSURE, SIGNERS = 17, 18, 19, 20, 21
WHALE_BUY, WHALE_SELL, WHALE_BUYS, WHALE_SELLS, VOLATILITY, TRADE_SIZE = 22, 23, 24, 25, 26, 27
N_COLUMNS = 28

# What a coin is born with.
ATTENTION, FADE, HOLDING, RUG_AT, DEV_SELLS, N_TRAITS = 0, 1, 2, 3, 4, 5
# What it is at a moment: reserves, tokens of the developer, momentum, wandering attention, panic, known wallets.
SOL, DEV_TOKENS, BUY_HEAT, SELL_HEAT, WANDER, PANIC, KNOWN, LAST_TRADE, N_STATES = 0, 1, 2, 3, 4, 5, 6, 7, 8
# What a pump does at a moment: additional buys per second, their median size, share of fresh wallets, urge to sell.
EXTRA, EXTRA_SIZE, FRESH, URGE, N_PUSHES = 0, 1, 2, 3, 4

_HEAT_SECONDS = 25.0
_BRANCHING = 0.42
_MEAN_TRADE = 0.32


@kernel
def live(rng: State, mood: Float, first_step: int, seconds: int) -> tuple[Float, Int, int]:
    """Live one coin for at most ``seconds``.

    Parameters
    ----------
    rng
        State of the generator, shape (1,); advanced.
    mood
        Factor on all coins' attention at each minute of the market.
    first_step
        Second of the market at which the coin is born.
    seconds
        End of the simulation, in seconds of age.

    Returns
    -------
    table, ages, phase
        float64 of shape (28, n_rows) in the order of the columns of ``COINS``; age in seconds at the end of each row's
        interval; phase in which the coin is left: that of its age, 99 given up or too old, 100 graduated.
    """
    traits, pumps = _be_born(rng)
    state = np.zeros(N_STATES)
    state[KNOWN] = 1.0
    seen = np.full(MOST_WALLETS, -1, dtype=np.int64)
    table = np.zeros((N_COLUMNS, MOST_ROWS))
    ages = np.empty(MOST_ROWS, dtype=np.int64)
    rows, age = 0, 0
    state[SOL] = 0.0
    while rows < MOST_ROWS:
        interval = 5 if age < 600 else 30 if age < 3600 else 60
        if age + interval > seconds:
            break
        row = table[:, rows]
        _open_row(row, state)
        if age == 0:
            _developer_buys(rng, state, row)
        for second in range(age, age + interval, STEP_SECONDS):
            _step(rng, traits, pumps, state, seen, rows, row, mood[(first_step + second) // 60], second)
        age += interval
        _close_row(row, state, age - interval)
        ages[rows] = age
        rows += 1
        if state[SOL] >= COMPLETE_SOL:
            return table[:, :rows], ages[:rows], 100
        if age - state[LAST_TRADE] >= SILENT_SECONDS:
            return table[:, :rows], ages[:rows], 99
    phase = 1 if age < 600 else 2 if age < 3600 else 3 if age < 86400 else 99
    return table[:, :rows], ages[:rows], phase


@kernel
def _be_born(rng: State) -> tuple[Float, Float]:
    """Draw what a coin is born with; a pump is (start of accumulation, start of burst, its end, size, fizzles)."""
    traits = np.zeros(N_TRAITS)
    traits[ATTENTION] = min(0.022 * np.exp(1.25 * normal(rng)), 0.6)
    traits[FADE] = log_uniform(rng, 400.0, 14400.0)
    traits[HOLDING] = log_uniform(rng, 500.0, 2500.0)
    traits[RUG_AT] = log_uniform(rng, 120.0, 14400.0) if uniform(rng) < 0.22 else 1e18
    traits[DEV_SELLS] = log_uniform(rng, 600.0, 28800.0) if uniform(rng) < 0.4 else 1e18
    pumps = np.full((MOST_PUMPS, 5), 1e18)
    for k in range(MOST_PUMPS):
        if uniform(rng) > 0.25:
            continue
        burst = log_uniform(rng, 240.0, 60000.0)
        quiet = 0.0 if uniform(rng) < 0.2 else 150.0 + 330.0 * uniform(rng)
        pumps[k, 0] = burst - quiet
        pumps[k, 1] = burst
        pumps[k, 2] = burst + 60.0 + 240.0 * uniform(rng)
        pumps[k, 3] = 0.12 + 0.5 * uniform(rng) ** 2
        pumps[k, 4] = 1.0 if quiet > 0.0 and uniform(rng) < 0.33 else 0.0
    return traits, pumps


@kernel
def _pushed(pumps: Float, reserves: float, second: int) -> tuple[float, float, float, float]:
    """Return additional buys per second, their median size, share of fresh wallets and urge to sell at an age."""
    extra, size, fresh, urge = 0.0, 0.02, 0.0, 1.0
    for k in range(MOST_PUMPS):
        start, burst, end = pumps[k, 0], pumps[k, 1], pumps[k, 2]
        if start <= second < burst:
            extra, fresh = 0.22, 0.9
        elif pumps[k, 4] == 0.0 and burst <= second < end:
            size = 0.25
            extra, fresh = pumps[k, 3] * reserves / (end - burst) / 0.45, 0.6
        elif pumps[k, 4] == 0.0 and end <= second < end + 600.0:
            urge = 4.0
    return extra, size, fresh, urge


@kernel
def _open_row(row: Float, state: Float) -> None:
    price = (START_SOL + state[SOL]) ** 2 / PRODUCT
    row[OPEN], row[HIGH], row[LOW], row[CLOSE] = price, price, price, price


@kernel
def _close_row(row: Float, state: Float, age: int) -> None:
    """Derive what follows from the trades; ``age`` is that at the start of the interval."""
    trades = row[BUYS] + row[SELLS]
    row[PHASE] = 100.0 if state[SOL] >= COMPLETE_SOL else 1.0 if age < 600 else 2.0 if age < 3600 else 3.0
    row[CAP] = row[CLOSE] * SUPPLY
    row[CURVE] = min(100.0 * state[SOL] / COMPLETE_SOL, 100.0)
    row[RESERVES] = START_SOL + state[SOL]
    row[KOTH] = 1.0 if row[CURVE] >= KING_OF_THE_HILL_PCT else 0.0
    row[VOLUME] = row[BUY_VOLUME] + row[SELL_VOLUME]
    row[NET] = row[BUY_VOLUME] - row[SELL_VOLUME]
    row[PRESSURE] = row[BUY_VOLUME] / row[VOLUME] if row[VOLUME] > 0.0 else 0.0
    row[SIGNERS] = row[WALLETS] / trades if trades > 0.0 else 0.0
    row[VOLATILITY] = (row[HIGH] - row[LOW]) / row[OPEN] * 100.0
    row[TRADE_SIZE] = row[VOLUME] / trades if trades > 0.0 else 0.0


@kernel
def _step(
    rng: State, traits: Float, pumps: Float, state: Float, seen: Int, rows: int, row: Float, mood: float, second: int
) -> None:
    """Live five seconds."""
    extra, extra_size, fresh, urge = _pushed(pumps, START_SOL + state[SOL], second)
    _developer_sells(rng, traits, state, row, second)
    state[WANDER] += -0.004 * state[WANDER] + 0.045 * normal(rng)
    base = traits[ATTENTION] * mood * np.exp(state[WANDER]) * (1.0 + second / traits[FADE]) ** -1.15
    base *= 0.04 if state[PANIC] > 0.02 else 1.0
    urge += 30.0 * state[PANIC]
    state[PANIC] *= 0.985
    clock = 0.0
    while state[SOL] < COMPLETE_SOL:
        selling = state[SOL] / _MEAN_TRADE / traits[HOLDING] * urge
        bound = base + extra + selling + state[BUY_HEAT] + state[SELL_HEAT]
        wait = exponential(rng) / max(bound, 1e-9)
        cooling = np.exp(-min(wait, STEP_SECONDS - clock) / _HEAT_SECONDS)
        state[BUY_HEAT] *= cooling
        state[SELL_HEAT] *= cooling
        clock += wait
        if clock >= STEP_SECONDS:
            break
        draw = uniform(rng) * bound
        if draw < base + extra + state[BUY_HEAT]:
            is_extra = draw < extra
            size = _buy_size(rng, extra_size if is_extra else 0.11)
            _buy(rng, state, row, size)
            _sign(rng, state, seen, rows, row, fresh if is_extra else 0.3)
            state[LAST_TRADE] = second
        elif draw < base + extra + state[BUY_HEAT] + selling + state[SELL_HEAT] and _holders_sell(rng, state, row):
            _sign(rng, state, seen, rows, row, 0.05)
            state[LAST_TRADE] = second


@kernel
def _buy_size(rng: State, median: float) -> float:
    """Draw SOL of a buy: log-normal, one in eighty a whale with a Pareto tail."""
    if uniform(rng) < 0.012:
        return float(min((1.0 - uniform(rng)) ** (-1.0 / 1.6), 20.0))
    return float(max(median * np.exp(1.1 * normal(rng)), 0.001))


@kernel
def _trade(state: Float, row: Float, sol: float) -> None:
    """Move the curve by SOL, in (positive) or out, and the candle with it."""
    state[SOL] += sol
    price = (START_SOL + state[SOL]) ** 2 / PRODUCT
    row[HIGH], row[LOW], row[CLOSE] = max(row[HIGH], price), min(row[LOW], price), price
    size = abs(sol)
    row[MICRO] += 1.0 if size < MICRO_SOL else 0.0
    if sol > 0.0:
        row[BUYS] += 1.0
        row[BUY_VOLUME] += size
        row[MAX_BUY] = max(row[MAX_BUY], size)
        row[WHALE_BUYS] += 1.0 if size >= WHALE_SOL else 0.0
        row[WHALE_BUY] += size if size >= WHALE_SOL else 0.0
    else:
        row[SELLS] += 1.0
        row[SELL_VOLUME] += size
        row[MAX_SELL] = max(row[MAX_SELL], size)
        row[WHALE_SELLS] += 1.0 if size >= WHALE_SOL else 0.0
        row[WHALE_SELL] += size if size >= WHALE_SOL else 0.0


@kernel
def _buy(rng: State, state: Float, row: Float, size: float) -> None:
    _trade(state, row, min(size, COMPLETE_SOL - state[SOL]))
    state[BUY_HEAT] += _BRANCHING / _HEAT_SECONDS * (0.5 + uniform(rng))
    state[SELL_HEAT] += 0.12 / _HEAT_SECONDS


@kernel
def _holders_sell(rng: State, state: Float, row: Float) -> bool:
    """Sell some of what others than the developer hold; False if there is nothing to sell."""
    reserves = START_SOL + state[SOL]
    tokens = PRODUCT / reserves
    held = START_TOKENS - tokens - state[DEV_TOKENS]
    if held <= 1.0:
        return False
    most = reserves - PRODUCT / (tokens + held)
    size = min(_buy_size(rng, 0.13), 0.5 * most)
    if size < 0.0005:
        return False
    _trade(state, row, -size)
    state[SELL_HEAT] += 0.25 / _HEAT_SECONDS * (0.5 + uniform(rng))
    return True


@kernel
def _sign(rng: State, state: Float, seen: Int, rows: int, row: Float, fresh: float) -> None:
    """Let a wallet sign a trade: a new one with probability ``fresh``, else mostly one of fifteen regulars."""
    if uniform(rng) < fresh and state[KNOWN] < MOST_WALLETS:
        wallet = int(state[KNOWN])
        state[KNOWN] += 1.0
    else:
        regulars = state[KNOWN] if uniform(rng) < 0.3 else min(state[KNOWN], 15.0)
        wallet = int(regulars * uniform(rng) ** 1.5)
    if seen[wallet] != rows:
        seen[wallet] = rows
        row[WALLETS] += 1.0


@kernel
def _developer_buys(rng: State, state: Float, row: Float) -> None:
    _trade(state, row, log_uniform(rng, 0.3, 6.0))
    state[DEV_TOKENS] = START_TOKENS - PRODUCT / (START_SOL + state[SOL])
    row[WALLETS] += 1.0


@kernel
def _developer_sells(rng: State, traits: Float, state: Float, row: Float, second: int) -> None:
    """Let the developer sell a part now and then, or all at once, which starts a panic."""
    rug = second >= traits[RUG_AT]
    if state[DEV_TOKENS] <= 0.0 or not (rug or second >= traits[DEV_SELLS]):
        return
    share = 1.0 if rug else 0.1 + 0.3 * uniform(rng)
    if not rug:
        traits[DEV_SELLS] = second + log_uniform(rng, 600.0, 28800.0)
    reserves = START_SOL + state[SOL]
    sol = min(reserves - PRODUCT / (PRODUCT / reserves + share * state[DEV_TOKENS]), state[SOL])
    state[DEV_TOKENS] = 0.0 if rug else state[DEV_TOKENS] * (1.0 - share)
    if sol <= 0.0:
        return
    _trade(state, row, -sol)
    row[WALLETS] += 1.0
    row[DEV_SOLD] += sol
    state[LAST_TRADE] = second
    if rug:
        state[PANIC] = 1.0
