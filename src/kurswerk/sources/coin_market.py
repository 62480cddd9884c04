"""A simulated market of coins: seeded, reproducible, in the form of the tables a collector fills."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.errors import SpecError
from kurswerk.core.jit import kernel
from kurswerk.core.timestamps import MICROSECONDS, MINUTE_US
from kurswerk.ingest import arrow_schema
from kurswerk.market import COINS, Kind
from kurswerk.sources._coin_life import HIGH, live
from kurswerk.sources._random import State, normal, stream, uniform

Float = NDArray[np.float64]

# 2025-01-01T00:00:00Z; a simulation must not depend on when it runs.
DEFAULT_START_US = 1_735_689_600 * MICROSECONDS
MOST_HOURS = 24.0 * 366
_COINS_A_BATCH = 64
_BASE58 = np.frombuffer(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", dtype=np.uint8)
_MARKET, _BIRTHS, _FIRST_COIN = 0, 1, 2  # numbers of the random streams


@dataclass(frozen=True)
class CoinMarket:
    """A market of coins that are born, trade on a bonding curve, are pumped, rugged, given up or graduate.

    The same arguments give the same bytes, however the rows are fetched; each coin's life is independent of how many
    coins there are, but for its time of birth. No row is later than ``start_us`` + ``hours``. A row's timestamp is the
    end of its interval, its phase that of the interval.

    Columns of ``coin_metrics``, all filled: prices in SOL per token along the interval; ``market_cap_close``
    price_close · 1e9 tokens; ``bonding_curve_pct`` real SOL of 85, in per cent; ``is_koth`` from half the curve on;
    ``net_volume_sol`` buys minus sells; ``num_micro_trades`` under 0.01 SOL; whales trade 1 SOL or more;
    ``dev_sold_amount`` in SOL; ``buy_pressure_ratio`` buy volume of all volume and ``unique_signer_ratio`` wallets per
    trade, both 0 without trades; ``volatility_pct`` (high - low) / open in per cent; ``avg_trade_size_sol`` 0
    without trades.

    Parameters
    ----------
    n_coins
        Number of coins born, at least 1.
    hours
        Length of the simulation, in (0, 8784]; births are spread evenly at random over it.
    seed
        At least 0.
    start_us
        Its beginning in microseconds UTC, a whole second.

    Raises
    ------
    SpecError
        If an argument is out of range.
    """

    n_coins: int
    hours: float
    seed: int = 42
    start_us: int = DEFAULT_START_US

    def __post_init__(self) -> None:
        if self.n_coins < 1:
            raise SpecError("simulation.too_few_coins", coins=self.n_coins)
        if not 0.0 < self.hours <= MOST_HOURS:
            raise SpecError("simulation.hours_out_of_range", hours=self.hours, most=MOST_HOURS)
        if self.seed < 0:
            raise SpecError("simulation.negative_seed", seed=self.seed)
        if self.start_us < 0 or self.start_us % MICROSECONDS:
            raise SpecError("simulation.start_out_of_range", start=self.start_us)

    @property
    def end_us(self) -> int:
        """End of the simulation in microseconds UTC."""
        return self.start_us + self._seconds * MICROSECONDS

    @property
    def _seconds(self) -> int:
        return int(self.hours * 3600)

    @cached_property
    def births(self) -> NDArray[np.int64]:
        """Second of each coin's birth, from the start, ascending; shape (n_coins,)."""
        draws = np.random.default_rng([self.seed, _BIRTHS]).random(self.n_coins)
        births: NDArray[np.int64] = np.sort((draws * self._seconds).astype(np.int64))
        return births

    @cached_property
    def _minutes(self) -> tuple[Float, Float]:
        """Mood and SOL's price in USD at each minute."""
        return _market_minutes(stream(self.seed, _MARKET), self._seconds // 60 + 2)

    def _life(self, coin: int) -> tuple[Float, NDArray[np.int64], int]:
        birth = int(self.births[coin])
        return live(stream(self.seed, _FIRST_COIN + coin), self._minutes[0], birth, self._seconds - birth)

    def _times(self, coin: int, ages: NDArray[np.int64]) -> NDArray[np.int64]:
        times: NDArray[np.int64] = self.start_us + (self.births[coin] + ages) * MICROSECONDS
        return times

    def mint(self, coin: int) -> str:
        """Return the address of a coin: 44 characters of base 58 that end in ``pump``."""
        draws = np.random.default_rng([self.seed, _FIRST_COIN + coin]).integers(0, len(_BASE58), 40)
        return _BASE58[draws].tobytes().decode() + "pump"

    def batches(self, coins_a_batch: int = _COINS_A_BATCH) -> Iterator[pa.RecordBatch]:
        """Yield the rows of ``coin_metrics``, coin after coin, each by time, in `arrow_schema`."""
        for first in range(0, self.n_coins, coins_a_batch):
            batch = self.rows_of(range(first, min(first + coins_a_batch, self.n_coins)))
            if batch.num_rows:
                yield batch

    def rows_of(self, coins: Sequence[int]) -> pa.RecordBatch:
        """Return the rows of some coins, one after the other, each by time, in `arrow_schema`."""
        lives = [self._life(coin) for coin in coins]
        owners = np.repeat(np.arange(len(coins)), [len(ages) for _, ages, _ in lives])
        mints = pa.array([self.mint(coin) for coin in coins]).take(pa.array(owners))
        times = np.concatenate([self._times(coin, ages) for coin, (_, ages, _) in zip(coins, lives, strict=True)])
        table = np.concatenate([rows for rows, _, _ in lives], axis=1)
        arrays = [mints, pa.array(times).view(pa.timestamp("us", "UTC"))]
        arrays += [_arrow(table[row], column.kind) for row, column in enumerate(COINS.columns.values())]
        return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(list(COINS.columns), COINS))

    def streams(self) -> pa.Table:
        """Return the rows of ``coin_streams`` as of the end: one for each coin."""
        rows = [self._stream(coin) for coin in range(self.n_coins)]
        moment = pa.timestamp("us", "UTC")
        kinds = [pa.string(), pa.bool_(), pa.int64(), moment, pa.float64(), moment]
        names = ["token_address", "is_active", "current_phase_id", "created_at", "ath_price_sol", "ath_timestamp"]
        columns = [pa.array(list(values), kind) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
        return pa.Table.from_arrays(columns, names=names)

    def _stream(self, coin: int) -> tuple[object, ...]:
        table, ages, phase = self._life(coin)
        born = self.start_us + int(self.births[coin]) * MICROSECONDS
        if not len(ages):
            return self.mint(coin), True, phase, born, None, None
        best = int(np.argmax(table[HIGH]))
        high, at = float(table[HIGH, best]), int(self._times(coin, ages)[best])
        return self.mint(coin), phase < 99, phase, born, high, at

    def exchange_rates(self) -> pa.Table:
        """Return the rows of ``exchange_rates``: one a minute, without ``id``."""
        prices = self._minutes[1][: self._seconds // 60 + 1]
        times = self.start_us + np.arange(len(prices), dtype=np.int64) * MINUTE_US
        return pa.table(
            {
                "created_at": pa.array(times).view(pa.timestamp("us", "UTC")),
                "sol_price_usd": pa.array(prices),
                "usd_to_eur_rate": pa.array(np.full(len(prices), 0.92)),
                "native_currency_price_usd": pa.array(prices),
                "blockchain_id": pa.array(np.ones(len(prices), dtype=np.int64)),
                "source": pa.array(["simulator"] * len(prices)),
            }
        )


def simulate_coins(
    n_coins: int, hours: float, seed: int = 42, start_us: int = DEFAULT_START_US
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``coin_metrics`` of a `CoinMarket`.

    Examples
    --------
    >>> sum(batch.num_rows for batch in simulate_coins(1, 24.0, seed=7)) <= 1600
    True
    """
    return CoinMarket(n_coins, hours, seed, start_us).batches()


def _arrow(values: Float, kind: Kind) -> pa.Array:
    if kind is Kind.FLOAT:
        return pa.array(values)
    return pa.array(values.astype(np.int64 if kind is Kind.INT else np.bool_))


@kernel
def _market_minutes(rng: State, minutes: int) -> tuple[Float, Float]:
    """Draw a mean-reverting mood around 1 with a daily rhythm, and SOL in USD with changing volatility."""
    mood, price = np.empty(minutes), np.empty(minutes)
    level, sol, volatility = 0.0, 150.0 + 50.0 * uniform(rng), 0.0007
    for i in range(minutes):
        level += -0.01 * level + 0.05 * normal(rng)
        volatility = 0.0007 + 0.97 * (volatility - 0.0007) + 0.0001 * normal(rng) ** 2
        sol *= np.exp(volatility * normal(rng))
        mood[i] = np.exp(level + 0.25 * np.sin(i / 1440.0 * 6.283185307179586))
        price[i] = sol
    return mood, price
