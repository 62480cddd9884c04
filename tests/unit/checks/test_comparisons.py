"""The probes of comparisons: what is right passes, each fault is caught by the probe made for it."""

from dataclasses import replace

import numpy as np
import pytest

from kurswerk.checks import COMPARISON_PROPERTIES, LABEL_COMPARISON_PROPERTIES, Effort, PlanFeatures, examine_all
from kurswerk.checks._comparisons import ComparisonCase, comparison_case, late_arrival, sample_moments
from kurswerk.checks._labels import LabelCase
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.features import FeaturePlan
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import Column, MarketSchema, Panel, Role

BARS = MarketSchema(
    name="sector bars",
    table="sector_bars",
    key="symbol",
    columns={"close": Column(), "volume": Column(), "sector": Column()},
    roles={Role.CLOSE: "close", Role.VOLUME: "volume"},
)
PLAN = FeaturePlan(
    ["price_change_2", "market_rank_price_change_1", "sector_zscore_price_change_1", "market_mean_price_change_3",
     "market_breadth_price_change_1", "beta_4", "residual_return_4", "market_rank_ema_3"],
    BARS,
)  # fmt: skip
EFFORT = Effort(trials=2)


def bars(off_grid=False, instruments=7, moments=24, seed=3):
    rng = np.random.default_rng(seed)
    codes, numbers = np.divmod(np.arange(instruments * moments), moments)
    times = numbers * MINUTE_US
    if off_grid:
        times = times // 2 + rng.integers(0, 20_000_000, len(times))
    close = np.exp(np.cumsum(rng.normal(0, 0.02, len(codes))))
    close[rng.random(len(codes)) < 0.03] = np.nan
    columns = {"close": close, "volume": rng.random(len(codes)), "sector": (codes % 3 + 1).astype(float)}
    return Panel.from_codes([f"S{k}" for k in range(instruments)], codes, times, columns)


def failed(case, properties=COMPARISON_PROPERTIES):
    return {one.check: one.message for one in examine_all(properties, case, "case", 0, EFFORT) if not one.passed}


@pytest.mark.parametrize("off_grid", [False, True])
def test_the_library_passes_every_probe(off_grid):
    assert failed(comparison_case(PLAN, bars(off_grid))) == {}


class Faulty(PlanFeatures):
    """The library's features with a fault in the batch."""

    def __init__(self, fault):
        super().__init__(PLAN)
        self.fault = fault

    def batch(self, panel):
        return self.fault(super().batch(panel), panel)


def with_later_moment(values, panel):
    values[:, 3] = np.nanmean(panel.column("close"))
    return values


def with_other_instruments(values, panel):
    values[:, 0] += np.nansum(panel.column("close")[panel.timestamps == panel.timestamps.min()])
    return values


def with_all_rows_as_members(values, panel):
    return PlanFeatures(PLAN).batch(replace(panel, outsiders=None))


def with_other_bits(values, panel):
    return values * (1 + 2.0**-52)


def without_comparing(values, panel):
    values[:, 1:] = 0.5
    return values


@pytest.mark.parametrize(("fault", "check"), [
    (with_later_moment, "future_rows"), (with_other_instruments, "declared_comparisons"),
    (with_all_rows_as_members, "outsiders"), (with_all_rows_as_members, "sealed_moments"),
    (with_other_bits, "sealed_moments"), (without_comparing, "declared_comparisons"),
])  # fmt: skip
def test_each_fault_is_caught_by_its_probe(fault, check):
    assert check in failed(ComparisonCase(Faulty(fault), bars(), plan=PLAN))


def label(**fields):
    return LabelSpec("close", minutes=3, direction="up", quantile=0.4, relative_to="market", market=BARS, **fields)


def label_case(labels=lambda panel: compute_labels(panel, label()), panel=None):
    panel = bars() if panel is None else panel
    return LabelCase(labels, lambda rows: compute_labels(rows, label()).end_us, panel, BARS)


def test_labels_that_compare_pass_their_probes():
    assert failed(label_case(), LABEL_COMPARISON_PROPERTIES) == {}
    assert failed(label_case(panel=bars(off_grid=True)), LABEL_COMPARISON_PROPERTIES) == {}


def test_labels_that_see_too_much_are_caught():
    def of_outsiders(panel):
        return compute_labels(replace(panel, outsiders=None), label())

    def of_the_past(panel):
        found, moved = compute_labels(panel, label()), opening(panel) != opening(bars())
        return replace(found, values=np.where(moved & found.known, 1 - found.values, found.values).astype(np.int8))

    def opening(panel):
        return np.nansum(panel.column("close")[panel.timestamps == panel.timestamps.min()])

    def beyond(panel):
        found = compute_labels(panel, replace(label(), minutes=6))
        return replace(found, end_us=panel.timestamps + 3 * MINUTE_US)

    assert "label_outsiders" in failed(label_case(of_outsiders), LABEL_COMPARISON_PROPERTIES)
    assert "label_end" in failed(label_case(beyond), LABEL_COMPARISON_PROPERTIES)
    assert "label_past" in failed(label_case(of_the_past), LABEL_COMPARISON_PROPERTIES)


def test_a_sample_has_whole_moments_only():
    panel = bars()
    rng = np.random.default_rng(1)
    for most in (7, 20, 60, 10_000):
        sample = sample_moments(panel, BARS, most, rng)
        assert len(sample) <= max(most, 7)
        for moment in np.unique(sample.timestamps):
            assert (sample.timestamps == moment).sum() == (panel.timestamps == moment).sum()


def test_rows_come_late_and_those_of_an_instrument_in_their_order():
    panel = bars(moments=200)
    arrival = late_arrival(panel, panel.timestamps, np.random.default_rng(2))
    assert sorted(arrival.order.tolist()) == list(range(len(panel)))
    assert 0.01 < arrival.outsiders.mean() < 0.2
    place = np.empty(len(panel), dtype=int)
    place[arrival.order] = np.arange(len(panel))
    assert all((np.diff(place[a:b]) > 0).all() for a, b in zip(panel.offsets[:-1], panel.offsets[1:], strict=True))
