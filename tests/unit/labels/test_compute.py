"""Labels against a slow reading of their definition, and the properties that any label has."""

import math
import operator
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import UnknownNameError
from kurswerk.labels import Labels, LabelSpec, _compute, _kernels, compute_labels
from kurswerk.market import Panel

MINUTE = 60_000_000
COMPARE = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq}
KERNELS = (
    "horizon_rows",
    "next_rows",
    "change_at",
    "returns_at",
    "change_within",
    "meets_target",
    "hit_at",
    "hit_within",
)
PLAIN = types.SimpleNamespace(**{name: getattr(_kernels, name).py_func for name in KERNELS})

usual = st.sampled_from([90.0, 95.0, 100.0, 102.0, 105.0, 110.0, 121.0])
odd = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -5.0, 1e308, 5e-324])
values = st.one_of(usual, usual, usual, usual, usual, odd)

changes = st.builds(
    LabelSpec,
    target_var=st.just("price_close"),
    minutes=st.sampled_from([1, 2, 3, 5, 0.5]),
    min_percent_change=st.sampled_from([0.001, 2.0, 5.0, 10.0, 99.0]),
    direction=st.sampled_from(["up", "down"]),
    mode=st.sampled_from(["at", "within"]),
)
thresholds = st.builds(
    LabelSpec,
    target_var=st.just("price_close"),
    operator=st.sampled_from(sorted(COMPARE)),
    target_value=st.sampled_from([0.0, 100.0, 105.0]),
    minutes=st.sampled_from([1, 3, 5]),
    mode=st.sampled_from(["at", "within"]),
)
next_rows = st.builds(
    LabelSpec,
    target_var=st.just("price_close"),
    operator=st.sampled_from(sorted(COMPARE)),
    target_value=st.sampled_from([0.0, 100.0, 105.0]),
)
returns = st.builds(
    LabelSpec, target_var=st.just("price_close"), minutes=st.sampled_from([1, 2, 5, 0.5]), is_return=st.just(True)
)
specs = st.one_of(changes, changes, thresholds, next_rows, returns)


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    keys, times, prices = [], [], []
    for key in "abc"[: draw(st.integers(1, 3))]:
        steps = draw(st.lists(st.sampled_from([1, 2, 3, 6, 20]), min_size=1, max_size=14))
        moments = np.cumsum(steps) * MINUTE // 2
        keys += [key] * len(moments)
        times += moments.tolist()
        prices += draw(st.lists(values, min_size=len(moments), max_size=len(moments)))
    return Panel.from_columns(keys, np.array(times), {"price_close": np.array(prices)})


def reaches(spec: LabelSpec, base: float, value: float) -> bool:
    if spec.operator is not None:
        return COMPARE[spec.operator](value, spec.target_value)
    moved = (value - base) / base * 100
    if spec.is_return:
        return moved > 0
    return (moved if spec.direction == "up" else -moved) >= spec.min_percent_change


def slow_label(rows: list[tuple[int, float]], i: int, spec: LabelSpec) -> tuple[int, int, int]:
    """(label, end, exit) of row i of one coin's (time, value) rows, straight from the definition."""
    now, base = rows[i]
    if spec.horizon_us is None:
        window = [i + 1] if i + 1 < len(rows) else []
        end = rows[i + 1][0] if window else now
    else:
        end = now + spec.horizon_us
        window = [j for j, (time, _) in enumerate(rows) if now < time <= end]
        if rows[-1][0] < end:
            window = []
    watched = window if spec.mode == "within" else window[-1:]
    usable = window and math.isfinite(base) and all(math.isfinite(rows[j][1]) for j in watched)
    if not usable or (spec.operator is None and base <= 0):
        return -1, end, -1
    if spec.is_return and not math.isfinite(slow_return(base, rows[window[-1]][1])):
        return -1, end, -1
    return int(any(reaches(spec, base, rows[j][1]) for j in watched)), end, window[-1]


def slow_return(base: float, value: float) -> float:
    try:
        return (value - base) / base * 100
    except OverflowError:
        return math.inf


@pytest.fixture(params=["compiled", "python"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "python":
        monkeypatch.setattr(_compute, "_kernels", PLAIN)


class TestAgainstDefinition:
    @pytest.mark.parametrize("python", [False, True])
    def test_equal(self, python: bool) -> None:
        @settings(max_examples=60 if python else 250, deadline=None)
        @given(panels(), specs)
        def equal(panel: Panel, spec: LabelSpec) -> None:
            found = compute_labels(panel, spec)
            price = panel.column("price_close")
            for k in range(len(panel.instruments)):
                start, stop = panel.offsets[k], panel.offsets[k + 1]
                rows = [(int(panel.timestamps[i]), float(price[i])) for i in range(start, stop)]
                for i in range(len(rows)):
                    label, end, exit_row = slow_label(rows, i, spec)
                    assert found.values[start + i] == label
                    assert found.end_us[start + i] == end
                    assert found.exit_row[start + i] == (exit_row + start if exit_row >= 0 else -1)
                    assert (found.returns is not None) == spec.is_return
                    if found.returns is not None and exit_row >= 0:
                        assert found.returns[start + i] == slow_return(rows[i][1], rows[exit_row][1])
                    elif found.returns is not None:
                        assert math.isnan(found.returns[start + i])

        with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
            if python:
                patch.setattr(_compute, "_kernels", PLAIN)
            equal()


def same(a: Labels, b: Labels, rows: np.ndarray) -> bool:
    pairs = ((a.values, b.values), (a.end_us, b.end_us), (a.exit_row, b.exit_row))
    return all(np.array_equal(x[rows], y[rows]) for x, y in pairs)


@settings(max_examples=100, deadline=None)
@given(panels(), specs, st.integers(0, 200))
def test_a_cut_forgets_labels_but_changes_none(panel: Panel, spec: LabelSpec, half_minutes: int) -> None:
    kept = panel.timestamps <= half_minutes * MINUTE // 2
    whole = compute_labels(panel, spec)
    part = compute_labels(panel.where(kept), spec)
    known = part.known
    assert np.array_equal(part.values[known], whole.values[kept][known])
    assert np.array_equal(part.end_us[known], whole.end_us[kept][known])
    assert (part.end_us[known] <= half_minutes * MINUTE // 2).all()


@settings(max_examples=100, deadline=None)
@given(panels(), specs, st.data())
def test_sees_nothing_past_its_end_and_nothing_before_its_row(
    panel: Panel, spec: LabelSpec, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(panel) - 1))
    before = compute_labels(panel, spec)
    inside = (panel.codes == panel.codes[row]) & (panel.timestamps <= before.end_us[row])
    inside &= np.arange(len(panel)) >= row
    changed = np.where(inside, panel.values[0], np.float64(7.25))
    after = compute_labels(
        Panel(panel.instruments, panel.offsets, panel.timestamps, panel.columns, changed[np.newaxis]), spec
    )
    assert same(before, after, np.array([row]))


@settings(max_examples=60, deadline=None)
@given(panels(), specs)
def test_each_coin_alone_gives_the_same(panel: Panel, spec: LabelSpec) -> None:
    whole = compute_labels(panel, spec)
    for k in range(len(panel.instruments)):
        mask = panel.codes == k
        alone = compute_labels(panel.where(mask), spec)
        assert np.array_equal(alone.values, whole.values[mask])
        exits = whole.exit_row[mask]
        assert np.array_equal(alone.exit_row, np.where(exits < 0, -1, exits - panel.offsets[k]))


@settings(max_examples=60, deadline=None)
@given(panels(), specs)
def test_the_panel_is_left_alone_and_the_answer_repeats(panel: Panel, spec: LabelSpec) -> None:
    before = panel.fingerprint()
    first, second = compute_labels(panel, spec), compute_labels(panel, spec)
    assert panel.fingerprint() == before
    assert same(first, second, np.arange(len(panel)))
    assert first.values.dtype == np.int8
    assert first.end_us.dtype == first.exit_row.dtype == np.int64


@settings(max_examples=60, deadline=None)
@given(panels(), changes)
def test_within_is_implied_by_at(panel: Panel, spec: LabelSpec) -> None:
    parts = {"target_var": spec.target_var, "minutes": spec.minutes, "direction": spec.direction}
    at = compute_labels(panel, LabelSpec(**parts, min_percent_change=spec.min_percent_change, mode="at"))
    within = compute_labels(panel, LabelSpec(**parts, min_percent_change=spec.min_percent_change, mode="within"))
    both = at.known & within.known
    assert (within.values[both] >= at.values[both]).all()
    assert not (within.known & ~at.known).any()


def minute_panel(prices: list[float]) -> Panel:
    return Panel.from_columns(["a"] * len(prices), np.arange(len(prices)) * MINUTE, {"price_close": np.array(prices)})


@pytest.mark.usefixtures("kernels")
def test_row_whose_horizon_lies_beyond_the_data_is_unknown_even_if_already_reached() -> None:
    spec = LabelSpec("price_close", minutes=3, min_percent_change=5, direction="up", mode="within")
    found = compute_labels(minute_panel([100, 100, 200, 100, 100]), spec)
    assert found.values.tolist() == [1, 1, -1, -1, -1]
    assert found.end_us.tolist() == [3 * MINUTE, 4 * MINUTE, 5 * MINUTE, 6 * MINUTE, 7 * MINUTE]
    assert found.known.tolist() == [True, True, False, False, False]


@pytest.mark.usefixtures("kernels")
def test_gap_without_a_row_inside_the_horizon_is_unknown() -> None:
    panel = Panel.from_columns(
        ["a"] * 3, np.array([0, 10, 11]) * MINUTE, {"price_close": np.array([100.0, 100.0, 110.0])}
    )
    spec = LabelSpec("price_close", minutes=1, min_percent_change=5, direction="up")
    assert compute_labels(panel, spec).values.tolist() == [-1, 1, -1]


@pytest.mark.usefixtures("kernels")
def test_last_row_has_no_next_row() -> None:
    found = compute_labels(minute_panel([1, 3, 2]), LabelSpec("price_close", ">=", 2.5))
    assert found.values.tolist() == [1, 0, -1]
    assert found.end_us.tolist() == [MINUTE, 2 * MINUTE, 2 * MINUTE]
    assert found.exit_row.tolist() == [1, 2, -1]


def test_one_row_and_unknown_column() -> None:
    spec = LabelSpec("price_close", minutes=1, min_percent_change=5, direction="up")
    assert compute_labels(minute_panel([100.0]), spec).values.tolist() == [-1]
    with pytest.raises(UnknownNameError, match="did you mean 'price_close'"):
        compute_labels(minute_panel([100.0]), LabelSpec("price_clse", ">", 1.0))


def test_empty_panel_has_no_labels() -> None:
    empty = minute_panel([100.0]).where(np.array([False]))
    for spec in (LabelSpec("price_close", ">", 1.0), LabelSpec("price_close", ">", 1.0, minutes=5, mode="within")):
        assert len(compute_labels(empty, spec).values) == 0
