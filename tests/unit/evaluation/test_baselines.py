"""Naive baselines know no more than their row did."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import UnknownNameError
from kurswerk.evaluation import Baseline, _baselines, persistence, recent_volatility
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import Panel

MINUTE = 60_000_000
price = st.sampled_from([100.0, 101.0, 105.0, 96.0, 0.0, np.nan, np.inf])


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    keys, times, prices = [], [], []
    for key in "ab"[: draw(st.integers(1, 2))]:
        n = draw(st.integers(1, 15))
        keys += [key] * n
        times += np.cumsum(draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))).tolist()
        prices += draw(st.lists(st.one_of(st.floats(50, 200), price), min_size=n, max_size=n))
    return Panel.from_columns(keys, np.array(times) * MINUTE, {"price_close": np.array(prices)})


def slow_volatility(prices: list[float], window: int) -> float:
    if len(prices) <= window:
        return np.nan
    steps = list(zip(prices[-window - 1 :], prices[-window:], strict=False))
    returns = [b / a - 1 if a > 0 else np.nan for a, b in steps]
    return statistics.pstdev(returns) if np.isfinite(returns).all() else np.nan


@settings(max_examples=150, deadline=None)
@given(panels(), st.integers(1, 4))
def test_volatility_equals_its_definition(panel: Panel, window: int) -> None:
    found = recent_volatility(panel, "price_close", window)
    with np.errstate(all="ignore"):
        plain = _baselines._recent_volatility.py_func(panel.offsets, panel.column("price_close"), window)
    assert np.array_equal(found, plain, equal_nan=True)
    for k in range(len(panel.instruments)):
        start, stop = panel.offsets[k], panel.offsets[k + 1]
        prices = panel.column("price_close")[start:stop].tolist()
        expected = [slow_volatility(prices[: i + 1], window) for i in range(len(prices))]
        assert found[start:stop] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=150, deadline=None)
@given(panels(), st.sampled_from(["at", "within"]), st.sampled_from([None, 1, 3]))
def test_persistence_is_the_latest_label_known_by_then(panel: Panel, mode: str, minutes: int | None) -> None:
    spec = LabelSpec("price_close", ">", 100.0, minutes=minutes, mode=mode if minutes else "at")
    labels = compute_labels(panel, spec)
    found = persistence(panel, labels)
    plain = _baselines._persistence.py_func(panel.offsets, panel.timestamps, labels.values, labels.end_us)
    assert np.array_equal(found, plain, equal_nan=True)
    codes = panel.codes
    for i in range(len(panel)):
        seen = panel.where((codes == codes[i]) & (panel.timestamps <= panel.timestamps[i]))
        past = compute_labels(seen, spec).values
        known = past[past >= 0]
        assert found[i] == (known[-1] if len(known) else pytest.approx(np.nan, nan_ok=True))


def test_unknown_column() -> None:
    panel = Panel.from_columns(["a"], np.array([0]), {"volume_sol": np.array([1.0])})
    with pytest.raises(UnknownNameError, match="price_close"):
        recent_volatility(panel, "price_close")


def test_decisions_follow_the_ranking_up_to_the_model_s_number() -> None:
    baseline = Baseline(np.array([0.1, np.nan, 0.9, 0.5]))
    assert baseline.decide(2).tolist() == [False, False, True, True]
    assert baseline.decide(4).tolist() == [True, False, True, True]
    own = np.array([True, False, False, False])
    assert Baseline(baseline.scores, own).decide(3) is own
