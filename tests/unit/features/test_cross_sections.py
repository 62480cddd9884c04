"""Features that compare instruments: against scipy and numpy, and that no bit depends on what must not matter."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from kurswerk.core.errors import DataError, SpecError, UnknownNameError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.features import FeaturePlan, LiveEngine, _cross, cross_feature_names, resolve
from kurswerk.features._cross_kernels import group_ranks, group_sums
from kurswerk.market import Column, MarketSchema, Panel, Role, market_named, sections
from kurswerk.market.calendar import calendar_of
from kurswerk.market.moments import moments_joined, moments_read, panel_moments
from unit.features.markets import same_bits

BARS = MarketSchema(
    name="sector bars",
    table="sector_bars",
    key="symbol",
    columns={"close": Column(), "signal": Column(signed=True), "sector": Column()},
    roles={Role.CLOSE: "close"},
)
NAMES = [
    *(f"{one}_signal" for one in _cross.OPERATORS),
    "signal", "market_rank_price_change_2", "beta_5", "residual_return_5",
]  # fmt: skip
PLAN = FeaturePlan(NAMES, BARS)


def bars(seed, instruments=9, moments=14, holes=0.1):
    """A panel on a grid of minutes, with ties, holes, unknown sectors and rows that are missing altogether."""
    rng = np.random.default_rng(seed)
    shape = instruments, moments
    signal = rng.choice([-2.0, -0.0, 0.0, 1.5, 1e-9, 3.25], shape) * rng.choice([1.0, 1.0, 1e8], shape)
    signal[rng.random(shape) < holes] = np.nan
    signal[rng.random(shape) < holes / 4] = np.inf
    sector = np.repeat(rng.integers(1, 4, instruments).astype(float), moments).reshape(shape)
    sector[rng.random(shape) < holes / 2] = np.nan
    close = np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=1))
    there = rng.random(shape) >= holes / 2
    codes, times = np.nonzero(there)
    columns = {"close": close[there], "signal": signal[there], "sector": sector[there]}
    return Panel.from_codes([f"S{k:02d}" for k in range(instruments)], codes, times * MINUTE_US, columns)


def at_moments(panel, values):
    """Yield places and values of each moment, for those that are finite."""
    for moment in np.unique(panel.timestamps):
        rows = np.flatnonzero(panel.timestamps == moment)
        yield rows, values[rows]


def expected(operator, values):
    """What numpy and scipy find of the finite values of one group; NaN elsewhere for rank and z-score."""
    known = np.isfinite(values)
    v, out = values[known], np.full(len(values), np.nan)
    n = len(v)
    if operator.endswith("rank"):
        out[known] = (rankdata(v) - 0.5) / max(n, 1)
    elif operator.endswith("zscore"):
        spread = v.std(ddof=1) if n > 1 else 0.0
        out[known] = (v - v.mean()) / spread if spread > 0 else np.nan
    elif operator.endswith("mean"):
        out[:] = v.mean() if n else np.nan
    elif operator.endswith("dispersion"):
        out[:] = v.std(ddof=1) if n > 1 else np.nan
    else:
        out[:] = (v > 0).mean() if n else np.nan
    return out


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_operator_agrees_with_numpy_and_scipy(seed):
    panel = bars(seed)
    found, signal, sector = PLAN.compute(panel), panel.column("signal"), panel.column("sector")
    for k, operator in enumerate(_cross.OPERATORS):
        wanted = np.full(len(panel), np.nan)
        for rows, _ in at_moments(panel, signal):
            if operator.startswith("market"):
                wanted[rows] = expected(operator, signal[rows])
                continue
            for number in np.unique(sector[rows][np.isfinite(sector[rows])]):
                same = rows[sector[rows] == number]
                wanted[same] = expected(operator, signal[same])
        np.testing.assert_allclose(found[:, k], wanted, rtol=1e-9, atol=1e-12, err_msg=operator)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_beta_and_residual_agree_with_a_regression_by_numpy(seed):
    panel = bars(seed, holes=0.0)
    plan = FeaturePlan(["price_change_1", "beta_5", "residual_return_5"], BARS)
    own, beta, residual = plan.compute(panel).T.reshape(3, 9, 14)
    market = own.mean(axis=0)
    for i, j in [(0, 6), (4, 13), (8, 9)]:
        x, y = market[j - 4 : j + 1], own[i, j - 4 : j + 1]
        slope = np.polyfit(x, y, 1)[0]
        np.testing.assert_allclose([beta[i, j], residual[i, j]], [slope, y[-1] - slope * x[-1]], rtol=1e-7)
    assert np.isnan(beta[:, :5]).all()
    assert plan.lookback == 6


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), start=st.integers(0, 40), length=st.integers(0, 60))
def test_no_bit_depends_on_arrival_threads_or_the_rows_asked_for(seed, start, length):
    panel = bars(seed)
    whole = PLAN.compute(panel)
    order = np.random.default_rng(seed).permutation(len(panel))
    columns = dict(zip(panel.columns, panel.values[:, order], strict=True))
    shuffled = Panel.from_codes(panel.instruments, panel.codes[order], panel.timestamps[order], columns)
    assert same_bits(whole, PLAN.compute(shuffled, threads=2))
    rows = slice(start, start + length)
    assert same_bits(whole[rows], PLAN.compute(panel, rows=rows))
    np.testing.assert_array_equal(whole.astype(np.float32), PLAN.compute(panel, dtype=np.float32))
    assert same_bits(whole, PLAN.compare(PLAN.first_stage.compute(panel), panel))


def test_blocks_of_sections_do_not_touch_a_bit(monkeypatch):
    panel = bars(3, instruments=40)
    whole = PLAN.compute(panel)
    monkeypatch.setattr(sections, "BLOCK_MEMBERS", 50)
    assert same_bits(whole, PLAN.compute(panel, threads=2))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_members_without_a_value_do_not_count(seed):
    panel = bars(seed)
    plan = FeaturePlan([name for name in NAMES if name.endswith("_signal")], BARS)
    counted = np.isfinite(panel.column("signal"))
    assert same_bits(plan.compute(panel)[counted], plan.compute(panel.where(counted)))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_outsiders_are_compared_with_members_and_are_none(seed):
    panel = bars(seed)
    late = np.random.default_rng(seed).random(len(panel)) < 0.2
    plan = FeaturePlan([name for name in NAMES if name.endswith("_signal")], BARS)
    marked = replace(panel, outsiders=late)
    found = plan.compute(marked)
    assert same_bits(found[~late], plan.compute(panel.where(~late)))
    signal = panel.column("signal")
    for row in np.flatnonzero(late & np.isfinite(signal)):
        members = signal[(panel.timestamps == panel.timestamps[row]) & ~late]
        members = members[np.isfinite(members)]
        share = ((members < signal[row]).sum() + 0.5 * (members == signal[row]).sum()) / max(len(members), 1)
        np.testing.assert_array_equal(found[row, 0], share if len(members) else np.nan)
    assert marked.fingerprint() != panel.fingerprint()
    assert replace(panel, outsiders=np.zeros(len(panel), bool)).fingerprint() == panel.fingerprint()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 600))
def test_rows_between_moments_read_the_last_one_and_never_the_future(seed, cut):
    rng = np.random.default_rng(seed)
    n = 120
    columns = {"close": rng.uniform(1, 2, n), "signal": rng.normal(size=n), "sector": np.ones(n)}
    times = rng.permutation(600)[:n] * 1_000_000
    panel = Panel.from_codes(list("ABCDEF"), rng.integers(0, 6, n), times, columns)
    found = FeaturePlan(["market_mean_signal", "market_rank_signal"], BARS).compute(panel)
    signal, codes = panel.column("signal"), panel.codes
    for row, moment in enumerate(panel.timestamps):
        read = moment // MINUTE_US * MINUTE_US
        joined = (panel.timestamps > read - MINUTE_US) & (panel.timestamps <= read)
        newest = [np.flatnonzero(joined & (codes == k))[-1:] for k in range(len(panel.instruments))]
        values = signal[np.concatenate(newest)]
        if not len(values):
            assert np.isnan(found[row]).all()
            continue
        np.testing.assert_allclose(found[row, 0], values.mean(), rtol=1e-12)
        np.testing.assert_allclose(
            found[row, 1], ((values < signal[row]).sum() + 0.5 * (values == signal[row]).sum()) / len(values)
        )
    past = panel.timestamps <= cut * 1_000_000
    assert same_bits(
        found[past], FeaturePlan(["market_mean_signal", "market_rank_signal"], BARS).compute(panel.where(past))
    )


@pytest.mark.parametrize("values", [
    1.0 + np.arange(300) * 2.0**-52,  # alike in the upper half of their bits
    -1.0 - np.arange(300)[::-1] * 2.0**-52,
    np.zeros(200), np.array([-0.0, 0.0, 5e-324, -5e-324] * 20), np.repeat(1e308, 60),
    np.append(np.arange(200) * 1e-9, 1e12), np.array([-1e308, 1e308] * 40), np.arange(100.0),
])  # fmt: skip
def test_ranks_are_exact_whatever_the_values(values):
    values = np.random.default_rng(1).permutation(values)
    n, groups = len(values), np.zeros(len(values), dtype=np.int64)
    counts, means, deviations, positive = (np.empty(1) for _ in range(4))
    group_sums(values, groups, counts, means, deviations, positive)
    out = np.empty(n)
    group_ranks(values, groups, counts, out)
    np.testing.assert_array_equal(out, (rankdata(values) - 0.5) / n)


def test_moments_of_days_are_the_closes_of_their_exchange():
    stocks = market_named("stocks")
    closes = calendar_of("XNYS").closes(["2018-07-02", "2018-07-03"])  # the second is a half day
    panel = Panel.from_columns(["A", "A", "B", "B", "C"], np.array([*closes, *(closes - 3_600_000_000), closes[0]]), {})
    joined, read = panel_moments(panel.with_exchanges({"A": "XNYS", "B": "XNAS"}), stocks)
    assert joined[:4].tolist() == [*closes.tolist()] * 2
    assert joined[4] == moments_joined(stocks, closes[:1])[0] > closes[0]  # without an exchange: by days UTC
    assert read is joined
    hourly = market_named("stocks_1h")
    assert moments_joined(hourly, np.array([1]))[0] == moments_joined(hourly, np.array([3_600_000_000]))[0]
    assert moments_read(hourly, np.array([3_599_999_999]))[0] == 0
    with pytest.raises(DataError, match="XNYS"):
        panel_moments(replace(panel.with_exchanges({"A": "XNYS"}), timestamps=panel.timestamps * 0), stocks)


def test_definitions_cover_operator_base_window_and_moments(monkeypatch):
    first = resolve("market_rank_signal", BARS)
    hashes = {
        resolve(name, BARS).definition_hash
        for name in ("market_rank_signal", "sector_rank_signal", "market_rank_close", "market_mean_signal", "beta_5",
                     "beta_6", "residual_return_5")
    }  # fmt: skip
    assert len(hashes) == 7
    assert resolve("market_rank_close", replace(BARS, interval="1h")).definition_hash not in hashes
    assert (first.inputs, first.lookback, first.range) == (("signal",), 1, (0, 1))
    assert resolve("sector_zscore_price_change_3", BARS).inputs == ("close", "sector")
    monkeypatch.setattr(_cross, "_source", lambda step: "other text")
    assert first.cross.definition_hash(BARS, {"signal": resolve("signal", BARS).definition_hash}) not in hashes


def test_what_cannot_be_compared_is_refused():
    for name, error in (
        ("market_rank_market_mean_signal", SpecError),
        ("market_rank_no_such_thing", UnknownNameError),
        ("beta_1", SpecError),
        ("beta_060", UnknownNameError),
        ("sector_rank_price_close", UnknownNameError),
    ):
        with pytest.raises(error):
            resolve(name, BARS if "close" not in name else market_named("coins"))
    with pytest.raises(SpecError, match="market_rank_signal"):
        LiveEngine(FeaturePlan(["signal", "market_rank_signal"], BARS))


def test_a_market_lists_the_comparisons_that_it_allows():
    for name in ("coins", "candles", "stocks"):
        market = market_named(name)
        names = cross_feature_names(market)
        assert "market_rank_price_change_5" in names
        assert "beta_60" in names
        assert all(resolve(one, market).cross is not None for one in names)
