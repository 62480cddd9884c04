"""Features of users: the same properties as Kurswerk's own, and values of an implementation that shares no code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.checks import Effort, PlanFeatures, feature_checks
from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.features import FeaturePlan, _names, feature_names
from kurswerk.features import expressions as x
from kurswerk.market import MARKETS, Panel

CANDLES = MARKETS["candles"]
ROWS = 60


@pytest.fixture(autouse=True)
def _own_features_are_forgotten():
    before = dict(_names.OWN_KINDS)
    yield
    _names.OWN_KINDS.clear()
    _names.OWN_KINDS.update(before)
    _names.forget_resolved()


def a_panel(seed=0):
    rng = np.random.default_rng(seed)
    n = 2 * ROWS
    close = np.exp(np.concatenate([np.cumsum(rng.normal(0, 0.05, ROWS)) for _ in range(2)]))
    opened = close * np.exp(rng.normal(0, 0.02, n))
    columns = {
        "open": opened,
        "close": close,
        "high": np.maximum(opened, close) * rng.uniform(1, 1.02, n),
        "low": np.minimum(opened, close) * rng.uniform(0.98, 1, n),
        "volume": rng.lognormal(0, 1, n),
    }
    for values in columns.values():
        values[rng.random(n) < 0.01] = np.nan
    times = np.tile(np.arange(ROWS) * 60_000_000, 2)
    return Panel.from_columns(np.repeat(["A", "B"], ROWS), times, columns)


def lagged(values, rows):
    return np.concatenate([np.full(rows, np.nan), values[: len(values) - rows]])


def windows(values, window, function):
    padded = np.concatenate([np.full(window - 1, np.nan), values])
    return function(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)


def by_instrument(panel, function):
    """Apply a function of a dictionary of columns to each instrument alone."""
    parts = []
    for name in panel.instruments:
        rows = panel.rows_of(name)
        parts.append(function({column: panel.column(column)[rows] for column in panel.columns}))
    return np.concatenate(parts)


CASES = {
    "sum": (lambda: x.open_ + x.close + 2, lambda c: c["open"] + c["close"] + 2),
    "difference": (lambda: 3 - (x.high - x.low) - 1, lambda c: 3 - (c["high"] - c["low"]) - 1),
    "product": (lambda: -(x.close * x.volume) * 2, lambda c: -(c["close"] * c["volume"]) * 2),
    "quotient": (lambda: (x.close / x.open_) / 4, lambda c: c["close"] / c["open"] / 4),
    "inverse": (lambda: 5 / x.close, lambda c: 5 / c["close"]),
    "lag": (lambda: x.close.lag(2).lag(1), lambda c: lagged(c["close"], 3)),
    "change": (lambda: x.change(x.volume, 2), lambda c: c["volume"] - lagged(c["volume"], 2)),
    "percent": (lambda: x.percent_change(x.close, 1), lambda c: 100 * (c["close"] / lagged(c["close"], 1) - 1)),
    "mean of a lag": (lambda: x.mean(x.close.lag(1), 5), lambda c: windows(lagged(c["close"], 1), 5, np.mean)),
    "total": (lambda: x.total(x.volume, 3), lambda c: windows(c["volume"], 3, np.sum)),
    "deviation": (lambda: x.deviation(x.close, 6, sample=False), lambda c: windows(c["close"], 6, np.std)),
    "highest": (lambda: x.highest(x.high, 7), lambda c: windows(c["high"], 7, np.max)),
    "lowest": (lambda: x.lowest(x.low, 4), lambda c: windows(c["low"], 4, np.min)),
    "largest": (lambda: x.maximum(x.open_, x.close, x.low), lambda c: np.maximum(c["open"], c["close"])),
    "smallest": (lambda: x.minimum(x.open_, x.close), lambda c: np.minimum(c["open"], c["close"])),
    "distance": (lambda: x.absolute(x.open_ - x.close), lambda c: np.abs(c["open"] - c["close"])),
    "root": (lambda: x.root(x.volume), lambda c: np.sqrt(c["volume"])),
    "when": (lambda: x.when(x.close, x.open_, x.volume), lambda c: np.where(c["close"] > c["open"], c["volume"], 0)),
    "flags": (
        lambda: ((x.close > x.open_) & (x.volume < 1)) | (x.volume > 2),
        lambda c: ((c["close"] > c["open"]) & (c["volume"] < 1)) | (c["volume"] > 2),
    ),
    "less": (lambda: x.open_ < x.close, lambda c: c["open"] < c["close"]),
}


@pytest.mark.parametrize("case", CASES)
def test_an_expression_has_the_values_that_numpy_gives(case):
    expression, reference = CASES[case]

    @x.feature(unit="any", source="test")
    def own():
        """An expression."""
        return expression()

    panel = a_panel()
    plan = FeaturePlan(["own"], CANDLES)
    found = plan.compute(panel)[:, 0]
    inputs = {column: panel.column(column) for column in plan.inputs}
    expected = by_instrument(panel, lambda c: np.asarray(reference(c), dtype=float))
    if case in {"flags", "less", "when"}:  # numpy compares NaN as false; here a missing input makes the value missing
        expected[np.isnan(np.stack(list(inputs.values()))).any(axis=0)] = np.nan
    if case == "largest":
        expected[np.isnan(panel.column("low"))] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(window=st.integers(1, 12), rate=st.floats(0.01, 1))
def test_an_exponential_mean_starts_from_the_mean_of_its_first_values(window, rate):
    _names.OWN_KINDS.clear()
    _names.forget_resolved()

    @x.feature(unit="price", source="test")
    def smoothed():
        """Exponential mean."""
        return x.ema(x.close, window, rate)

    panel = Panel.from_columns(["A"] * 30, np.arange(30), {"close": np.random.default_rng(1).random(30)})
    values = panel.column("close")
    expected = np.full(30, np.nan)
    state = values[:window].mean()
    expected[window - 1] = state
    for row in range(window, 30):
        state += rate * (values[row] - state)
        expected[row] = state
    np.testing.assert_allclose(FeaturePlan(["smoothed"], CANDLES).compute(panel)[:, 0], expected, rtol=1e-12)


def test_a_feature_with_parameters_has_the_properties_of_every_feature():
    @x.feature(unit="percent", low=-100, high=0, source="test")
    def drawdown(window: int = 20):
        """Distance of the close from its highest."""
        top = x.highest(x.close, window)
        return 100 * (x.close - top) / top

    features = PlanFeatures(FeaturePlan(["drawdown_7"], CANDLES))
    found = list(feature_checks(features, a_panel(), 3, ranges=features.ranges, effort=Effort(trials=2)))
    assert [finding.message for finding in found if not finding.passed] == []
    assert "drawdown_20" in feature_names(CANDLES)


def test_a_definition_that_changes_changes_its_hash():
    def defined(rows):
        _names.OWN_KINDS.clear()
        _names.forget_resolved()

        @x.feature(unit="price", source="test")
        def own():
            """A change."""
            return x.change(x.close, rows)

        return FeaturePlan(["own"], CANDLES).definition_hash

    assert defined(1) == defined(1) != defined(2)


@pytest.mark.parametrize("rows", [-1, 1.5, True, 100_001])
def test_a_lag_that_is_no_earlier_row_is_refused(rows):
    with pytest.raises(SpecError, match="later row"):
        x.close.lag(rows)


def test_what_cannot_be_a_feature_is_refused_by_name():
    def register(name, function):
        function.__name__ = name
        x.feature(unit="any", source="test")(function)

    def documented(window: int = 5):
        """Mean."""
        return x.mean(x.close, window)

    def without_default(window):
        """Mean."""

    register("fine", documented)
    register("fine", documented)  # a cell of a notebook that is run again
    for name in ("rsi", "volume", "price_change"):
        with pytest.raises(SpecError, match=f"'{name}' already"):
            register(name, documented)
    for name in ("top_10", "Upper", "_hidden"):
        with pytest.raises(SpecError, match="cannot be used"):
            register(name, documented)
    with pytest.raises(SpecError, match="no number as its default"):
        register("other", without_default)
    with pytest.raises(SpecError, match="no docstring"):
        register("other", lambda window=5: x.close)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: x.close + "1", "type str"),
        (lambda: x.close / 0, "divided by 0"),
        (lambda: x.mean(x.close, 0), "window 0"),
        (lambda: x.deviation(x.close, 1), "from 2"),
        (lambda: x.close if x.close > 1 else x.open_, "instead of if"),
        (lambda: 3, "returned int"),
    ],
)
def test_an_expression_that_means_nothing_is_refused_with_the_remedy(wrong, words):
    @x.feature(unit="any", source="test")
    def own():
        """Wrong."""
        return wrong()

    with pytest.raises(SpecError, match=words):
        FeaturePlan(["own"], CANDLES)


def test_a_feature_whose_column_a_market_lacks_is_not_offered_there():
    @x.feature(unit="count", source="test")
    def buys():
        """Buys."""
        return x.column("num_buys")

    assert "buys" in feature_names(MARKETS["coins"])
    assert "buys" not in feature_names(CANDLES)
    with pytest.raises((SpecError, UnknownNameError), match="num_buys"):
        FeaturePlan(["buys"], CANDLES)
