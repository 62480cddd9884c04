"""Leak probes: a model's own pipeline on its own data, from the panel to the fitted folds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._change import place_in, sample_panel, sample_rows
from kurswerk.checks._comparisons import (
    COMPARISON_PROPERTIES,
    LABEL_COMPARISON_PROPERTIES,
    comparison_case,
    sample_moments,
)
from kurswerk.checks._evidence import Effort, Evidence, Finding, Place, PropertyCheck, examine_all
from kurswerk.checks._features import (
    CHUNKS,
    FUTURE_ROWS,
    LATE_ROW,
    MISSING,
    OTHER_COINS,
    PURE,
    RESTART,
    ROW_BY_ROW,
    WINDOW_FULL,
    FeatureCase,
)
from kurswerk.checks._labels import LABEL_PROPERTIES, LabelCase
from kurswerk.checks._splits import SPLIT_PROPERTIES, SplitCase
from kurswerk.checks.ports import FittedFold, FoldRows, Int, Pipeline, TrainingRows
from kurswerk.core.errors import KurswerkError
from kurswerk.market import Panel
from kurswerk.models import as_model_input


@dataclass(frozen=True, eq=False)
class PipelineCase:
    """A pipeline, the panel its training rows are compared with, and the rows on which folds are fitted again."""

    pipeline: Pipeline
    panel: Panel
    rows: TrainingRows
    fit_rows: TrainingRows


def probe_pipeline(
    pipeline: Pipeline, panel: Panel, random_state: int = 0, *, name: str = "model", effort: Effort | None = None
) -> Iterator[Finding]:
    """Try every leak probe on a pipeline and its own data.

    Rows are sampled as ``effort`` asks for: whole coins (of very long ones a stretch without gaps) where features are
    replayed, random training rows over the whole period where folds are fitted again. Where instruments are compared,
    whole moments take their place, one after the other.

    Parameters
    ----------
    pipeline
        The very functions the model is trained and served with.
    panel
        Data of the model's training period; a coin alone gets a companion where mixing is looked for.
    random_state
        The same one draws the same samples and changes.
    name
        What the findings call the model.

    Yields
    ------
    Finding
        One per probe, in a fixed order.

    Raises
    ------
    KurswerkError
        If the panel gives no training rows at all.
    """
    effort = effort or Effort()
    rng = np.random.default_rng(random_state)
    comparisons = pipeline.comparisons
    market = comparisons.market
    sample = sample_panel(panel, effort.panel_rows, rng)
    moments = sample if market is None else sample_moments(panel, market, effort.panel_rows, rng)
    if comparisons.plan is None:
        alone = FeatureCase(pipeline.features, sample)
        yield from examine_all(PROBED_FEATURE_PROPERTIES, alone, name, random_state, effort)
    else:
        compared = comparison_case(comparisons.plan, moments)
        yield from examine_all(COMPARISON_PROPERTIES, compared, name, random_state, effort)
    rows_of_labels = sample if comparisons.label_market is None else moments
    labels = LabelCase(pipeline.labels, pipeline.deadlines, rows_of_labels, comparisons.label_market)
    checks = LABEL_PROPERTIES if comparisons.label_market is None else LABEL_COMPARISON_PROPERTIES
    yield from examine_all(checks, labels, name, random_state, effort)
    fold_rows = effort.fold_rows
    whole = sample_panel(panel, fold_rows, rng) if market is None else sample_moments(panel, market, fold_rows, rng)
    rows = pipeline.training_rows(whole)

    def split(timestamps: Int, label_end_us: Int, embargo_us: Int) -> Any:
        return pipeline.folds(_dated(rows, timestamps, label_end_us, embargo_us))

    folds = SplitCase(split, rows.timestamps, rows.label_end_us, rows.embargo_us)
    yield from examine_all(SPLIT_PROPERTIES, folds, name, random_state, effort)
    case = PipelineCase(pipeline, whole, rows, sample_rows(rows, effort.fit_rows, rng))
    yield from examine_all(PIPELINE_PROPERTIES, case, name, random_state, effort)


def _dated(rows: TrainingRows, timestamps: Int, label_end_us: Int, embargo_us: Int) -> TrainingRows:
    """Return as many rows as there are times, with these times; folds may look at nothing else."""
    part = rows.take(np.arange(len(timestamps)))
    return replace(part, timestamps=timestamps, label_end_us=label_end_us, embargo_us=embargo_us)


def _real_rows(case: PipelineCase, evidence: Evidence) -> None:
    """Each row that training begins with is a row of the panel, with its features and its label, once."""
    rows, panel = case.rows, case.panel
    evidence.trials += 1
    numbers = rows.panel_rows
    outside = (numbers < 0) | (numbers >= len(panel))
    evidence.require(not outside.any(), f"{int(outside.sum())} of {len(rows)} training rows are no rows of the panel")
    evidence.require(
        len(np.unique(numbers)) == len(numbers), f"{len(numbers) - len(np.unique(numbers))} training rows stand twice"
    )
    if outside.any():
        return
    names = tuple(case.pipeline.features.names)

    place = place_in(panel, names, numbers)
    expected = _as_input(case.pipeline.features.batch(panel)[numbers], rows.X.dtype)
    labels = case.pipeline.labels(panel)
    evidence.equal(expected, _as_input(rows.X, rows.X.dtype), place, "features of training rows")
    evidence.equal(labels.values[numbers], rows.y, place, "labels of training rows")
    evidence.equal(panel.timestamps[numbers], rows.timestamps, place, "times of training rows")
    evidence.equal(labels.end_us[numbers], rows.label_end_us, place, "label ends of training rows")
    returns = getattr(labels, "returns", None)
    if rows.returns is not None and returns is not None:
        evidence.equal(returns[numbers], rows.returns, place, "returns of training rows")
    evidence.require(bool(np.all(rows.y >= 0)), "a row whose label is unknown is trained on")


def _as_input(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return as_model_input(values) if dtype == np.float32 else values


def _fits_repeat(case: PipelineCase, evidence: Evidence) -> None:
    for fold, first in _fitted(case, evidence):
        evidence.trials += 1
        again = case.pipeline.fit_fold(case.fit_rows, fold)
        _same_fit(case, evidence, first, again, "fitted again on the same rows")


def _sealed(case: PipelineCase, evidence: Evidence) -> None:
    """Change all that is not in the training part; nothing that was fitted may notice."""
    for number, (fold, first) in enumerate(_fitted(case, evidence)):
        outside = np.setdiff1d(np.arange(len(case.fit_rows)), fold.train)
        for what, changed in _outside_changed(case.fit_rows, outside, evidence.rng):
            evidence.trials += 1
            try:
                again = case.pipeline.fit_fold(changed, fold)
            except KurswerkError as error:
                evidence.require(False, f"fold {number} cannot be fitted with {what}: {error}")
            else:
                _same_fit(case, evidence, first, again, f"fold {number} with {what}")


def _outside_changed(rows: TrainingRows, outside: Int, rng: np.random.Generator) -> Iterator[tuple[str, TrainingRows]]:
    X = rows.X.copy()
    X[outside] = rng.normal(0.0, 1e6, size=(len(outside), X.shape[1])).astype(X.dtype)
    yield "absurd features outside the training part", replace(rows, X=X)
    y = rows.y.copy()
    y[outside] = 1 - y[outside]
    yield "opposite labels outside the training part", replace(rows, y=y, returns=_opposite(rows.returns, outside))
    order = np.arange(len(rows))
    order[outside] = rng.permutation(outside)
    yield "rows outside the training part in another order", rows.take(order)
    yield "rows outside the training part twice", rows.take(np.concatenate((np.arange(len(rows)), outside)))


def _opposite(returns: NDArray[np.float64] | None, rows: Int) -> NDArray[np.float64] | None:
    if returns is None:
        return None
    changed = returns.copy()
    changed[rows] = 100.0 - 10.0 * changed[rows]
    return changed


def _fitted(case: PipelineCase, evidence: Evidence) -> Iterator[tuple[FoldRows, FittedFold]]:
    """Yield the folds of the sampled rows with what is fitted on them; folds with one class alone are left out."""
    fitted = 0
    for fold in case.pipeline.folds(case.fit_rows):
        if len(np.unique(case.fit_rows.y[fold.train])) == 2:
            fitted += 1
            yield fold, case.pipeline.fit_fold(case.fit_rows, fold)
    evidence.require(fitted > 0, f"no fold of {len(case.fit_rows)} rows has both classes in its training part")


def _same_fit(case: PipelineCase, evidence: Evidence, first: FittedFold, again: FittedFold, what: str) -> None:
    before, after = first.state(), again.state()
    evidence.require(before.keys() == after.keys(), f"{what}: other fitted steps ({', '.join(after)})")
    for step in before.keys() & after.keys():
        left, right = _as_array(before[step]), _as_array(after[step])
        evidence.equal(left, right, _part(step), f"{what}: fitted state")
    X = case.fit_rows.X[:1000]
    evidence.equal(
        np.asarray(first.predict_proba(X)),
        np.asarray(again.predict_proba(X)),
        lambda at: f"row {at[0]}",
        f"{what}: probability",
    )


def _part(step: str) -> Place:
    return lambda index: f"'{step}' {list(index)}"


def _as_array(value: Any) -> NDArray[Any]:
    """Return arrays, bytes, numbers and text as an array whose bits can be compared."""
    if isinstance(value, bytes | str):
        return np.frombuffer(value.encode() if isinstance(value, str) else value, dtype=np.uint8)
    array = np.atleast_1d(np.asarray(value))
    if array.dtype.kind in "biuf":
        return array
    return np.frombuffer(repr(array.tolist()).encode(), dtype=np.uint8)


def _not_the_label(case: PipelineCase, evidence: Evidence) -> None:
    """No single feature separates the classes without one error."""
    y = case.rows.y
    for column, name in enumerate(case.pipeline.features.names):
        values = np.asarray(case.rows.X[:, column], dtype=np.float64)
        known = ~np.isnan(values)
        positive, negative = values[known & (y == 1)], values[known & (y == 0)]
        evidence.trials += 1
        evidence.values_compared += int(known.sum())
        if min(len(positive), len(negative)) < FEWEST_OF_A_CLASS:
            continue
        apart = positive.min() > negative.max() or positive.max() < negative.min()
        evidence.require(
            not apart,
            f"feature '{name}' alone separates all {len(positive)} positive from {len(negative)} negative rows",
        )


FEWEST_OF_A_CLASS = 30

PROBED_FEATURE_PROPERTIES: tuple[PropertyCheck[FeatureCase], ...] = (
    PURE,
    ROW_BY_ROW,
    CHUNKS,
    RESTART,
    LATE_ROW,
    FUTURE_ROWS,
    MISSING,
    WINDOW_FULL,
    OTHER_COINS,
)

REAL_ROWS = PropertyCheck("real_rows", "training begins with rows of the panel, each once, none synthetic", _real_rows)
FIT_REPEATS = PropertyCheck("fit_repeatable", "the same rows give the same fitted bits", _fits_repeat)
SEALED = PropertyCheck("fold_sealing", "rows outside the training part change no bit of any fitted step", _sealed)
NOT_THE_LABEL = PropertyCheck("target_leak", "no feature is the label in disguise", _not_the_label)

PIPELINE_PROPERTIES: tuple[PropertyCheck[PipelineCase], ...] = (REAL_ROWS, FIT_REPEATS, SEALED, NOT_THE_LABEL)
