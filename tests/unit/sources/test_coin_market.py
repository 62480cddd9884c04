"""The simulated market obeys the violations, repeats itself to the byte and looks like one."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreted import interpreted
from kurswerk.core.errors import SpecError
from kurswerk.ingest import arrow_schema, ingest_files
from kurswerk.market import COINS
from kurswerk.market.phases import BABY, GRADUATED, MATURE, SURVIVAL
from kurswerk.sources import CoinMarket, TableCandles, _coin_life, _random, coin_market, simulate_coins
from memory_sink import MemorySink

MARKET = CoinMarket(150, 24.0, seed=42)


def table_of(market, **options):
    return pa.Table.from_batches(market.batches(**options), schema=arrow_schema(list(COINS.columns), COINS))


@pytest.fixture(scope="module")
def rows():
    """All rows of a day, each column as an array."""
    table = table_of(MARKET)
    columns = {name: table[name].to_numpy() for name in COINS.columns}
    _, starts, codes = np.unique(table["mint"].to_numpy(), return_index=True, return_inverse=True)
    return columns | {
        "coin": np.argsort(np.argsort(starts))[codes],
        "seconds": (table["timestamp"].cast(pa.int64()).to_numpy() - MARKET.start_us) // 1_000_000,
    }


@settings(max_examples=8)
@given(coins=st.integers(1, 6), hours=st.floats(0.001, 3.0), seed=st.integers(0, 2**32), size=st.integers(1, 7))
def test_same_arguments_same_bytes_whatever_the_batches(coins, hours, seed, size):
    market = CoinMarket(coins, hours, seed)
    whole = table_of(market)
    assert table_of(CoinMarket(coins, hours, seed), coins_a_batch=size).combine_chunks() == whole.combine_chunks()
    times = whole["timestamp"].cast(pa.int64()).to_numpy()
    assert ((times > market.start_us) & (times <= market.start_us + hours * 3.6e9)).all()


def test_other_seeds_and_starts():
    a, b = table_of(CoinMarket(3, 2.0, 1)), table_of(CoinMarket(3, 2.0, 2))
    assert a != b
    later = table_of(CoinMarket(3, 2.0, 1, start_us=0))
    assert later.drop_columns("timestamp") == a.drop_columns("timestamp")


def test_a_longer_simulation_does_not_rewrite_a_life():
    rng = [_random.stream(1, 5) for _ in range(2)]
    mood = np.ones(2000)
    short, long = _coin_life.live(rng[0], mood, 0, 4000), _coin_life.live(rng[1], mood, 0, 40_000)
    rows = short[0].shape[1]
    assert np.array_equal(short[0], long[0][:, :rows])
    assert np.array_equal(short[1], long[1][:rows])


def test_interpreted_kernels_draw_the_same_life():
    compiled = _coin_life.live(_random.stream(3, 1), np.full(200, 3.0), 0, 5_000)
    minutes = coin_market._market_minutes(_random.stream(3, 0), 50)
    with interpreted(_random, _coin_life, coin_market):
        plain = _coin_life.live(_random.stream(3, 1), np.full(200, 3.0), 0, 5_000)
        plain_minutes = coin_market._market_minutes(_random.stream(3, 0), 50)
    np.testing.assert_allclose(plain[0], compiled[0], rtol=1e-9, atol=1e-12)
    assert np.array_equal(plain[1], compiled[1])
    assert plain[2] == compiled[2]
    np.testing.assert_allclose(plain_minutes, minutes, rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_interpreted_kernels_meet_pumps_rugs_and_ends(seed):
    mood = np.full(2000, [6.0, 0.3, 1.0, 60.0, 1e-9, 2.0][seed])
    compiled = _coin_life.live(_random.stream(seed, 9), mood, 0, 9_000)
    with interpreted(_random, _coin_life):
        plain = _coin_life.live(_random.stream(seed, 9), mood, 0, 9_000)
    np.testing.assert_allclose(plain[0], compiled[0], rtol=1e-9, atol=1e-12)
    assert plain[2] == compiled[2]


def test_no_row_breaks_a_validation_rule(tmp_path):
    table = table_of(CoinMarket(25, 24.0, seed=5))
    summary = ingest_files([TableCandles(table)], COINS, MemorySink(), tmp_path)
    assert (summary.accepted, summary.quarantined, summary.duplicates) == (table.num_rows, 0, 0)
    assert not any(column.null_count for column in table.columns)


def test_coins_pass_the_phases_at_their_intervals(rows):
    for coin in range(MARKET.n_coins):
        mine = rows["coin"] == coin
        ages = rows["seconds"][mine] - MARKET.births[coin]
        steps = np.diff(ages, prepend=0)
        phases = rows["phase_id_at_time"][mine]
        for phase in (BABY, SURVIVAL, MATURE):
            inside = (ages - steps >= phase.min_age_minutes * 60) & (ages <= (phase.max_age_minutes or 0) * 60)
            assert (steps[inside] == phase.interval_seconds).all()
            assert np.isin(phases[inside][:-1], phase.id).all()
        assert (phases[:-1] != GRADUATED.id).all()


def test_columns_agree_with_each_other(rows):
    buys, sells, volume = rows["buy_volume_sol"], rows["sell_volume_sol"], rows["volume_sol"]
    trades = rows["num_buys"] + rows["num_sells"]
    traded = trades > 0
    close, reserves = rows["price_close"], rows["virtual_sol_reserves"]
    np.testing.assert_allclose(volume, buys + sells, rtol=1e-12)
    np.testing.assert_allclose(rows["net_volume_sol"], buys - sells, rtol=1e-12)
    np.testing.assert_allclose(
        rows["buy_pressure_ratio"][traded], (buys / np.maximum(volume, 1e-300))[traded], rtol=1e-12
    )
    np.testing.assert_allclose(rows["avg_trade_size_sol"][traded], volume[traded] / trades[traded], rtol=1e-12)
    np.testing.assert_allclose(rows["unique_signer_ratio"][traded], rows["unique_wallets"][traded] / trades[traded])
    np.testing.assert_allclose(rows["market_cap_close"], close * 1e9, rtol=1e-12)
    np.testing.assert_allclose(close, reserves**2 / (30 * 1.073e9), rtol=1e-12)
    np.testing.assert_allclose(rows["bonding_curve_pct"], (reserves - 30) / 85 * 100, atol=1e-9)
    spread = (rows["price_high"] - rows["price_low"]) / rows["price_open"] * 100
    np.testing.assert_allclose(rows["volatility_pct"], spread, atol=1e-9)
    assert (rows["is_koth"] == (rows["bonding_curve_pct"] >= 50)).all()
    assert (rows["whale_buy_volume_sol"] <= buys * (1 + 1e-12)).all()
    assert (rows["max_single_buy_sol"] <= buys * (1 + 1e-12)).all()
    assert (rows["dev_sold_amount"] <= sells * (1 + 1e-12)).all()
    assert (rows["num_micro_trades"] <= trades).all()
    for name in ("buy_pressure_ratio", "unique_signer_ratio"):
        assert rows[name].min() >= 0
        assert rows[name].max() <= 1


def test_money_is_conserved(rows):
    """What was bought less what was sold is what lies in the curve; the next row opens where the last closed."""
    for coin in range(MARKET.n_coins):
        mine = rows["coin"] == coin
        held = np.cumsum(rows["net_volume_sol"][mine])
        np.testing.assert_allclose(held, rows["virtual_sol_reserves"][mine] - 30, atol=1e-8)
        assert (held > -1e-9).all()
        assert (rows["price_open"][mine][1:] == rows["price_close"][mine][:-1]).all()


def minutely_returns(rows):
    """Log returns of mature rows, and the coin of each."""
    mature = (rows["phase_id_at_time"] == MATURE.id) & (rows["num_buys"] + rows["num_sells"] > 0)
    return np.log(rows["price_close"] / rows["price_open"])[mature], rows["coin"][mature]


def test_returns_have_heavy_tails(rows):
    returns, _ = minutely_returns(rows)
    z = (returns - returns.mean()) / returns.std()
    assert (z**4).mean() > 8  # a normal distribution has 3


def test_buys_bring_buys(rows):
    """Counts of neighbouring rows differ by more than two draws of one Poisson rate would."""
    mature = rows["phase_id_at_time"] == MATURE.id
    buys, coins = rows["num_buys"][mature], rows["coin"][mature]
    same = coins[1:] == coins[:-1]
    assert (np.diff(buys)[same] ** 2).sum() / (buys[1:] + buys[:-1])[same].sum() > 1.5


def test_volatility_clusters(rows):
    returns, coins = minutely_returns(rows)
    size, same = np.abs(returns), coins[1:] == coins[:-1]
    assert np.corrcoef(size[1:][same], size[:-1][same])[0, 1] > 0.15


def rises(rows, seconds, percent):
    """Whether the price is so much higher after so long; NaN where the coin has no row then."""
    out = np.full(len(rows["seconds"]), np.nan)
    for coin in range(MARKET.n_coins):
        mine = np.flatnonzero(rows["coin"] == coin)
        place = np.searchsorted(rows["seconds"][mine], rows["seconds"][mine] + seconds)
        known = place < len(mine)
        now, then = rows["price_close"][mine[known]], rows["price_close"][mine[place[known]]]
        out[mine[known]] = then >= now * (1 + percent / 100)
    return out


def test_some_coins_rise_and_their_precursors_show_it(rows):
    rise = rises(rows, 300, 20)
    known = ~np.isnan(rise)
    base = rise[known].mean()
    assert 0.01 < base < 0.12
    late = known & (rows["phase_id_at_time"] > BABY.id) & (rows["num_buys"] >= 4)
    signs = (rows["buy_pressure_ratio"] > 0.75) & (rows["unique_signer_ratio"] > 0.85)
    assert rise[late & signs].mean() / base > 2.5
    assert rise[late & signs].mean() / rise[late].mean() > 1.1  # more than trading alone explains
    assert rise[late & signs].mean() < 0.8  # they explain something, but not all


def test_developers_leave_and_prices_fall(rows):
    last = np.array([np.flatnonzero(rows["coin"] == coin)[-1] for coin in range(MARKET.n_coins)])
    fell = rises(rows, 300, -15)
    rugged = (rows["dev_sold_amount"] > 1.0) & ~np.isnan(fell)
    rugged[last] = False
    assert rugged.sum() >= 5
    drop = rows["price_low"][rugged] / rows["price_open"][rugged] - 1
    assert np.median(drop) < -0.05


def test_survival_falls_and_few_graduate():
    streams = MARKET.streams()
    phases = np.array(streams["current_phase_id"].to_pylist())
    born = MARKET.births
    rows_of_old = born < 12 * 3600
    assert 0.3 < (phases[rows_of_old] == 99).mean() < 0.99
    assert 0 < (phases == 100).mean() < 0.15
    assert (np.array(streams["is_active"].to_pylist()) == (phases < 99)).all()


def test_streams_agree_with_the_rows(rows):
    streams = MARKET.streams().to_pylist()
    mints = table_of(CoinMarket(MARKET.n_coins, 24.0, seed=42))["mint"].to_pylist()
    first = dict.fromkeys(mints)
    assert list(first) == [row["token_address"] for row in streams if row["ath_price_sol"] is not None]
    for coin, row in enumerate(streams):
        if row["ath_price_sol"] is not None:
            assert row["ath_price_sol"] == rows["price_high"][rows["coin"] == coin].max()
            assert row["created_at"] < row["ath_timestamp"]
    assert all(len(mint) == 44 and mint.endswith("pump") for mint in first)
    assert len(first) == len({row["token_address"] for row in streams if row["ath_price_sol"] is not None})


def test_a_coin_without_a_row_is_in_the_streams():
    market = CoinMarket(200, 0.02, seed=1)
    streams = market.streams()
    assert streams.num_rows == 200
    assert streams["ath_price_sol"].null_count == 200 - len(set(table_of(market)["mint"].to_pylist())) > 0


def test_a_market_too_short_for_a_row_is_empty():
    assert list(simulate_coins(2, 0.001)) == []


def test_rates_are_one_a_minute_and_positive():
    market = CoinMarket(1, 2.5, seed=8)
    rates = market.exchange_rates()
    times = rates["created_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) == 60_000_000).all()
    assert (times[0], times[-1]) == (market.start_us, market.end_us)
    assert rates["sol_price_usd"].to_numpy().min() > 0
    assert rates["sol_price_usd"].to_numpy().std() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.0), "0 coins; simulate at least 1"),
        ((1, 0.0), "0.0 hours"),
        ((1, float("nan")), "nan hours"),
        ((1, 1e9), "1000000000.0 hours"),
        ((1, 1.0, -1), "seed -1"),
        ((1, 1.0, 1, 5), "start 5"),
        ((1, 1.0, 1, -1_000_000), "start -1000000"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(SpecError, match=message):
        CoinMarket(*arguments)
