"""Every fault that is planted is found by the probe meant for it, and clean pipelines raise nothing."""

from dataclasses import replace

import numpy as np
import pytest

from kurswerk.checks import Effort, certificate, probe_pipeline
from kurswerk.core.errors import DataError
from kurswerk.labels import LabelSpec, compute_labels
from unit.checks import pipelines as toy
from unit.checks.pipelines import EMBARGO, HORIZON, Toy, ToyFeatures, ToyFold, ToyLabels, ToyPipeline, with_feature

EFFORT = Effort(trials=4, panel_rows=300, fit_rows=300)


@pytest.fixture(scope="module")
def panel():
    return toy.market()


def failed(pipeline, panel, until=None):
    """Return what probes found, up to the probe named, or of all."""
    found = {}
    for finding in probe_pipeline(pipeline, panel, effort=EFFORT):
        if not finding.passed:
            found[finding.check] = finding.message
        if finding.check == until:
            break
    return found


# --- faults in features


def centred_window(panel):
    values = np.pad(panel.column("volume_sol"), 1, constant_values=np.nan)
    return (values[:-2] + values[1:-1] + values[2:]) / 3


def scaled_by_all_rows(panel):
    values = panel.column("price_close")
    with np.errstate(all="ignore"):
        mean = np.nansum(values) / np.count_nonzero(~np.isnan(values))
        return (values - mean) / np.sqrt(np.nansum((values - mean) ** 2))


def below_final_high(panel):
    return toy.per_coin(lambda coin: coin.column("price_close") / np.fmax.reduce(coin.column("price_close")))(panel)


def mean_across_coins(panel):
    values = panel.column("volume_sol")
    shifted = np.concatenate(([np.nan, np.nan], values))
    return (shifted[2:] + shifted[1:-1] + shifted[:-2]) / 3


def filled_backwards(panel):
    def one(coin):
        values = coin.column("volume_sol").copy()
        for i in range(len(values) - 2, -1, -1):
            if np.isnan(values[i]):
                values[i] = values[i + 1]
        return values

    return toy.per_coin(one)(panel)


def filled_forwards(panel):
    def one(coin):
        values = coin.column("volume_sol").copy()
        for i in range(1, len(values)):
            if np.isnan(values[i]):
                values[i] = values[i - 1]
        return values

    return toy.per_coin(one)(panel)


def zero_until_full(panel):
    return np.where(np.isnan(toy.MEAN.batch(panel)), 0.0, toy.MEAN.batch(panel))


def next_change(panel):
    def one(coin):
        price = coin.column("price_close")
        return np.append(price[1:] / price[:-1], np.nan)

    return toy.per_coin(one)(panel)


def rank_in_market(panel):
    """Place among the other coins' rows before this one: no look ahead, but coins are mixed."""
    price, order = panel.column("price_close"), np.argsort(panel.timestamps, kind="stable")
    total = np.zeros(len(panel))
    total[order] = np.cumsum(np.nan_to_num(price[order]))
    return total


class DriftingLive(toy.HistoryLive):
    """Keeps the window's sum by adding the new and taking off the oldest value."""

    def take(self, key, moment, values):
        result = super().take(key, moment, values)
        recent = [row[2] for row in self.rows[key]]
        total = 0.0
        for i, value in enumerate(recent):
            total += value
            if i >= 3:
                total -= recent[i - 3]
        result[-1] = total / 3 if len(recent) >= 3 else np.nan
        return result


class ForgetfulLive(toy.HistoryLive):
    """Its snapshots hold the last row only."""

    def snapshot(self, key):
        return np.array(self.rows[key][-1:]).tobytes()


class ChunkLive(toy.HistoryLive):
    """Looks at the last row of a chunk for all its rows of a coin."""

    def update(self, keys, timestamps, values):
        result = super().update(keys, timestamps, values)
        newest = dict(zip(keys, result, strict=True))
        return np.array([newest[key] for key in keys])


class LateTakingLive(toy.HistoryLive):
    """Takes late rows as if they were new."""

    def update(self, keys, timestamps, values):
        return np.array([self.take(k, t, v) for k, t, v in zip(keys, timestamps, values, strict=True)])

    def take(self, key, moment, values):
        if self.rows.get(key) and moment <= self.rows[key][-1][0]:
            moment = self.rows[key][-1][0] + 1
        return super().take(key, moment, values)


class StaleLive(toy.HistoryLive):
    """Does not replay the late row when it rebuilds."""

    def rebuild(self, history):
        return None


# --- faults in labels


def label_of_the_past(panel):
    """The change up to the row, shifted the wrong way."""
    values = np.full(len(panel), -1, dtype=np.int8)
    for k in range(len(panel.instruments)):
        a, b = panel.offsets[k], panel.offsets[k + 1]
        price = panel.column("price_close")[a:b]
        values[a + 6 : b] = price[6:] > price[:-6] * 1.01
    honest = toy.label_rise(panel)
    return ToyLabels(np.where(honest.values >= 0, values, -1).astype(np.int8), honest.end_us)


def label_by_row_count(panel):
    """Ten rows ahead, whatever time that is."""
    values = np.full(len(panel), -1, dtype=np.int8)
    for k in range(len(panel.instruments)):
        a, b = panel.offsets[k], panel.offsets[k + 1]
        price = panel.column("price_close")[a:b]
        values[a : b - 10] = price[10:] > price[:-10] * 1.01
    return ToyLabels(values, panel.timestamps + HORIZON)


def label_across_coins(panel):
    price = panel.column("price_close")
    later = np.append(price[1:], np.nan)
    return ToyLabels((later > price).astype(np.int8), panel.timestamps + HORIZON)


def unknown_called_negative(panel):
    honest = toy.label_rise(panel)
    return ToyLabels(np.maximum(honest.values, 0).astype(np.int8), honest.end_us)


def end_understated(panel):
    honest = toy.label_rise(panel)
    return ToyLabels(honest.values, honest.end_us - HORIZON // 2)


def end_overstated(panel):
    honest = toy.label_rise(panel)
    return ToyLabels(honest.values, honest.end_us + HORIZON)


# --- faults in folds


def shuffled_folds(times, ends):
    rows = np.random.default_rng(0).permutation(len(times))
    parts = np.array_split(rows, 3)
    return [ToyFold(np.setdiff1d(rows, part), part, int(times[part].min())) for part in parts]


def without_purge(times, ends):
    return toy.walk_forward(times, ends, purge=False)


def without_embargo(times, ends):
    return toy.walk_forward(times, ends, embargo=0)


def trained_on_its_test(times, ends):
    return [replace(f, train=np.concatenate((f.train, f.test[:3]))) for f in toy.walk_forward(times, ends)]


def overlapping_tests(times, ends):
    folds = toy.walk_forward(times, ends)
    return [*folds[:-1], replace(folds[-1], test=np.concatenate((folds[-2].test[-5:], folds[-1].test)))]


# --- faults in fitted steps


def scaler_on_all_rows(rows, fold):
    return toy.fit_steps(rows.X[fold.train], rows.y[fold.train], scale_X=rows.X)


def selection_on_all_rows(rows, fold):
    return toy.fit_steps(rows.X[fold.train], rows.y[fold.train], select=(rows.X, rows.y))


def threshold_on_test_rows(rows, fold):
    test = (rows.X[fold.test], rows.y[fold.test])
    return toy.fit_steps(rows.X[fold.train], rows.y[fold.train], tune=test)


def target_mean_of_coins_over_all_rows(rows, fold):
    means = np.bincount(rows.codes, rows.y) / np.maximum(np.bincount(rows.codes), 1)
    X = np.column_stack((rows.X, means[rows.codes]))
    fit = toy.fit_steps(X[fold.train], rows.y[fold.train])
    width = rows.X.shape[1]
    return toy.ToyFit({**fit.steps, **{step: fit.steps[step][:width] for step in ("mean", "scale", "weights")},
                       "coins": fit.steps["mean"][width:]})  # fmt: skip


def smote_with_test_rows(rows, fold):
    """Resampled before the cut: synthetic rows between training and test rows are trained on."""
    X, y = toy.resample(rows.X, rows.y)
    kept = np.concatenate((fold.train, np.arange(len(rows), len(y))))
    return toy.fit_steps(X[kept], y[kept])


def fit_with_other_seed_each_time(rows, fold, calls=iter(range(10**6))):  # noqa: B008 - counting calls is the fault
    noise = np.random.default_rng(next(calls)).normal(size=len(fold.train))
    return toy.fit_steps(rows.X[fold.train] + noise[:, None].astype(np.float32), rows.y[fold.train])


def refuses_what_lies_in_the_test_rows(rows, fold):
    if np.nanmax(np.abs(rows.X[fold.test])) > 1e5:
        raise DataError("a value is out of bounds")
    return toy.fit_inside(rows, fold)


def other_steps_on_large_test_rows(rows, fold):
    fit = toy.fit_inside(rows, fold)
    return toy.ToyFit({**fit.steps, **({"clip": 1.0} if np.nanmax(rows.X[fold.test]) > 1e5 else {})})


def names_the_base_rate_of_the_test_rows(rows, fold):
    fit = toy.fit_inside(rows, fold)
    return toy.ToyFit({**fit.steps, "order": ["volume" if rows.y[fold.test].mean() > 0.5 else "change", None]})


# --- faults in the rows that training begins with


def smote_before_split(pipeline, panel):
    rows = toy.begin(pipeline, panel)
    X, y = toy.resample(rows.X, np.where(np.arange(len(rows)) % 5 == 0, rows.y, 0).astype(np.int8))
    kept = np.arange(len(y)) % len(rows)
    return replace(rows.take(kept), X=X, y=y)


def synthetic_rows_numbered_on(pipeline, panel):
    rows = toy.begin(pipeline, panel)
    return replace(rows, panel_rows=np.append(rows.panel_rows[:-1], len(panel)))


def filled_with_zero(pipeline, panel):
    rows = toy.begin(pipeline, panel)
    return replace(rows, X=np.nan_to_num(rows.X))


def labels_shifted_by_a_row(pipeline, panel):
    rows = toy.begin(pipeline, panel)
    return replace(rows, y=np.roll(rows.y, 1))


def label_in_the_features(pipeline, panel):
    rows = toy.begin(pipeline, panel)
    return replace(rows, X=np.column_stack((rows.X[:, :-1], rows.y.astype(np.float32) * 3)))


FAULTS = {
    "centred window": (with_feature(Toy("x", 3, centred_window)), "future_rows"),
    "scaled by mean and deviation of all rows": (with_feature(Toy("x", 1, scaled_by_all_rows)), "future_rows"),
    "distance from the final high": (with_feature(Toy("x", None, below_final_high)), "future_rows"),
    "change to the next row": (with_feature(Toy("x", 1, next_change)), "future_rows"),
    "coins mixed in one window": (with_feature(Toy("x", 3, mean_across_coins)), "other_coins"),
    "coins mixed in a running sum": (with_feature(Toy("x", None, rank_in_market)), "other_coins"),
    "missing values filled from later": (with_feature(Toy("x", 1, filled_backwards)), "missing_values"),
    "missing values filled from earlier": (with_feature(Toy("x", None, filled_forwards)), "missing_values"),
    "zero until the window is full": (with_feature(Toy("x", 3, zero_until_full)), "window_full"),
    "running sum that drifts": (ToyPipeline(ToyFeatures(live_type=DriftingLive)), "batch_equals_rows"),
    "state lost at a restart": (ToyPipeline(ToyFeatures(live_type=ForgetfulLive)), "restart"),
    "state depends on the chunk": (ToyPipeline(ToyFeatures(live_type=ChunkLive)), "random_chunks"),
    "late row taken as new": (ToyPipeline(ToyFeatures(live_type=LateTakingLive)), "late_row"),
    "late row forgotten in the rebuild": (ToyPipeline(ToyFeatures(live_type=StaleLive)), "late_row"),
    "label of the past": (ToyPipeline(label=label_of_the_past), "label_future"),
    "label reads rows before its own": (ToyPipeline(label=label_of_the_past), "label_past"),
    "label by row count": (ToyPipeline(label=label_by_row_count), "label_end"),
    "label reads the next coin": (ToyPipeline(label=label_across_coins), "label_other_coins"),
    "unknown labels called negative": (ToyPipeline(label=unknown_called_negative), "label_horizon"),
    "label ends later than declared": (ToyPipeline(label=end_understated), "label_end"),
    "label reaches past its horizon": (ToyPipeline(label=end_overstated), "label_horizon"),
    "shuffled folds": (ToyPipeline(split=shuffled_folds), "fold_order"),
    "no purge": (ToyPipeline(split=without_purge), "purge"),
    "embargo ignored": (ToyPipeline(split=without_embargo), "purge"),
    "test rows trained on": (ToyPipeline(split=trained_on_its_test), "fold_disjoint"),
    "rows tested twice": (ToyPipeline(split=overlapping_tests), "fold_disjoint"),
    "scaler fitted on all rows": (ToyPipeline(fit=scaler_on_all_rows), "fold_sealing"),
    "features selected on all rows": (ToyPipeline(fit=selection_on_all_rows), "fold_sealing"),
    "threshold tuned on test rows": (ToyPipeline(fit=threshold_on_test_rows), "fold_sealing"),
    "coin's mean target over all rows": (ToyPipeline(fit=target_mean_of_coins_over_all_rows), "fold_sealing"),
    "SMOTE reaches into the test rows": (ToyPipeline(fit=smote_with_test_rows), "fold_sealing"),
    "test rows looked at for bounds": (ToyPipeline(fit=refuses_what_lies_in_the_test_rows), "fold_sealing"),
    "another step where test rows are large": (ToyPipeline(fit=other_steps_on_large_test_rows), "fold_sealing"),
    "choice by the test rows' base rate": (ToyPipeline(fit=names_the_base_rate_of_the_test_rows), "fold_sealing"),
    "no seed": (ToyPipeline(fit=fit_with_other_seed_each_time), "fit_repeatable"),
    "SMOTE before the split": (ToyPipeline(start=smote_before_split), "real_rows"),
    "rows that are not in the data": (ToyPipeline(start=synthetic_rows_numbered_on), "real_rows"),
    "missing values trained as zero": (ToyPipeline(start=filled_with_zero), "real_rows"),
    "labels shifted by a row": (ToyPipeline(start=labels_shifted_by_a_row), "real_rows"),
    "the label among the features": (ToyPipeline(start=label_in_the_features), "target_leak"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(name, panel):
    pipeline, probe = FAULTS[name]
    found = failed(pipeline, panel, until=probe)
    assert probe in found, f"not found by {probe}; found by {sorted(found)}"


# --- clean pipelines


def labelled(spec):
    return ToyPipeline(label=lambda panel: compute_labels(panel, spec), horizon_us=spec.horizon_us)


CLEAN = {
    "plain": ToyPipeline(),
    "recursive": with_feature(toy.EMA),
    "one window": ToyPipeline(ToyFeatures((toy.MEAN, toy.CHANGE))),
    "at": labelled(LabelSpec("price_close", minutes=10, min_percent_change=2, direction="up")),
    "within": labelled(LabelSpec("price_close", minutes=6, min_percent_change=3, direction="down", mode="within")),
    "threshold": labelled(LabelSpec("volume_sol", ">", 1.5, minutes=5)),
    "threshold within": labelled(LabelSpec("volume_sol", ">", 3.0, minutes=3, mode="within")),
    "next row": labelled(LabelSpec("num_buys", ">=", 6)),
}


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("seed", [0, 1])
def test_clean_pipeline_raises_nothing(name, seed):
    panel = toy.market(seed=seed + 10)
    findings = list(probe_pipeline(CLEAN[name], panel, seed, effort=EFFORT))
    assert {f.check: f.message for f in findings if not f.passed} == {}
    result = certificate(findings, model=name)
    assert result["certified"]
    assert result["differing_bits"] == result["leaks_found"] == 0
    assert result["values_compared"] > 10_000
    assert result["leak_probes"] == len(findings) >= 20


def test_rows_of_one_class_are_no_proof(panel):
    def one_class(pipeline, data):
        rows = toy.begin(pipeline, data)
        return replace(rows, y=np.zeros_like(rows.y))

    found = failed(ToyPipeline(start=one_class), panel)
    assert "no fold" in found["fold_sealing"]
    assert "no fold" in found["fit_repeatable"]


def test_embargo_is_the_one_declared():
    strict = ToyPipeline(embargo_us=EMBARGO * 3)
    assert "purge" in failed(strict, toy.market())
