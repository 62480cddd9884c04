"""Compare two models on identical rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import NoDataError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_datetime
from kurswerk.evaluation import compare_paired, winner
from kurswerk.jobs import Progress, no_progress
from kurswerk.registry import Comparison, ResultStore, TestResult
from kurswerk.training._checks import check_scoring, different_models
from kurswerk.training._costs import Costs
from kurswerk.training._dataset import Dataset
from kurswerk.training._forecasting import forecast_comparison
from kurswerk.training._period import Period
from kurswerk.training._testing import Scored, result_of, score
from kurswerk.training.ports import TrainingStores

_UNSAVED = 0
_OF_OTHER_TARGETS: Final = {
    "more_than_luck": None,
    "sentence": "The models answer different questions (their targets differ), so no paired test is possible.",
}


def compare_models(
    model_a: int | str,
    model_b: int | str,
    period: Period,
    stores: TrainingStores,
    *,
    mints: Sequence[str] | None = None,
    costs: str | Costs | None = None,
    progress: Progress = no_progress,
) -> tuple[int, Comparison]:
    """Test both models on the rows that both can judge; the higher F1 wins, an equal one is a draw.

    Of two forecasts of the same returns the one wins whose errors are smaller by more than luck, or nobody.

    Where both watch the same target, a paired test decides whether the difference is more than luck.

    Raises
    ------
    SpecError
        If both are the same model.
    NoDataError
        If no row of the period has a known label for both.
    """
    evaluated = evaluate_comparison(model_a, model_b, period, stores, mints=mints, costs=costs, progress=progress)
    return evaluated.save(stores.results)


@dataclass(frozen=True)
class EvaluatedComparison:
    """Two tests on identical rows, and the comparison that follows from them; nothing is stored yet."""

    result_a: TestResult
    result_b: TestResult
    comparison: Comparison

    def save(self, results: ResultStore) -> tuple[int, Comparison]:
        """Store the tests and the comparison that names them; return its id and itself."""
        comparison = replace(
            self.comparison, test_a_id=results.save_test(self.result_a), test_b_id=results.save_test(self.result_b)
        )
        return results.save_comparison(comparison), comparison


def evaluate_comparison(
    model_a: int | str,
    model_b: int | str,
    period: Period,
    stores: TrainingStores,
    *,
    mints: Sequence[str] | None = None,
    costs: str | Costs | None = None,
    progress: Progress = no_progress,
) -> EvaluatedComparison:
    """Do what `compare_models` does, and store nothing."""
    record_a, record_b = different_models(model_a, model_b, stores.models)
    for record in (record_a, record_b):
        check_scoring(record, period, mints, stores)
    progress(0.0, Message("progress.comparing", name=record_a.name))
    a = score(record_a, period, mints, stores, costs)
    progress(0.4, Message("progress.comparing", name=record_b.name))
    b = score(record_b, period, mints, stores, costs)
    a, b = _on_identical_rows(a, b)
    progress(0.7, Message("progress.evaluating", count=len(a.probability)))
    result_a, result_b = result_of(a, period), result_of(b, period)
    first, significance = _judged(a, b, result_a, result_b)
    comparison = Comparison(
        model_a_id=record_a.id,
        model_b_id=record_b.id,
        test_a_id=_UNSAVED,
        test_b_id=_UNSAVED,
        test_start=to_datetime(period.start_us),
        test_end=to_datetime(period.end_us),
        num_samples=len(a.probability),
        a_metrics=result_a.metrics,
        b_metrics=result_b.metrics,
        winner_id={"a": record_a.id, "b": record_b.id, None: None}[first],
        significance=significance,
    )
    return EvaluatedComparison(result_a, result_b, comparison)


def _on_identical_rows(a: Scored, b: Scored) -> tuple[Scored, Scored]:
    """Keep the rows, by coin and time, whose label is known to both."""
    keys_a, keys_b = _keys(a, b)
    kept_a, kept_b = np.isin(keys_a, keys_b), np.isin(keys_b, keys_a)
    if not kept_a.any():
        raise NoDataError("comparison.no_common_row", a=a.record.name, b=b.record.name)
    return _only(a, kept_a), _only(b, kept_b)


def _keys(a: Scored, b: Scored) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return one number per (coin, time) pair of both, in one sequence, so that equal pairs have equal numbers."""
    coins = sorted({*a.dataset.panel.instruments, *b.dataset.panel.instruments})
    number = {coin: k for k, coin in enumerate(coins)}
    moments = np.unique(np.concatenate((a.dataset.timestamps, b.dataset.timestamps)))

    def keys(dataset: Dataset) -> NDArray[np.int64]:
        coin = np.array([number[name] for name in dataset.panel.instruments], dtype=np.int64)[dataset.codes]
        return np.searchsorted(moments, dataset.timestamps) * len(coins) + coin

    return keys(a.dataset), keys(b.dataset)


def _only(scored: Scored, kept: NDArray[np.bool_]) -> Scored:
    dataset = replace(scored.dataset, rows=scored.dataset.rows[kept])
    part = scored.forecasts
    if part is not None:
        part = replace(part, forecast=part.forecast[kept], low=part.low[kept], high=part.high[kept])
    return replace(scored, dataset=dataset, probability=scored.probability[kept], forecasts=part)


def _judged(
    a: Scored, b: Scored, result_a: TestResult, result_b: TestResult
) -> tuple[Literal["a", "b"] | None, dict[str, Any]]:
    """Return the winner and why: among forecasts of one target by Diebold and Mariano, among others by F1."""
    if a.forecasts is None and b.forecasts is None:
        return winner(result_a.metrics.f1, result_b.metrics.f1), _significance(a, b)
    if a.forecasts is None or b.forecasts is None or a.spec.label_spec() != b.spec.label_spec():
        return None, dict(_OF_OTHER_TARGETS)
    names = (a.record.name, b.record.name)
    found = forecast_comparison(a.spec, a.dataset, a.forecasts, b.forecasts, names)
    return found.winner, found.as_json()


def _significance(a: Scored, b: Scored) -> dict[str, Any]:
    if a.spec.label_spec() != b.spec.label_spec():
        return dict(_OF_OTHER_TARGETS)
    # The targets are equal, so both models were scored on the same rows: those of either will do.
    dataset = a.dataset
    horizon_us = int(np.max(dataset.labels.end_us[dataset.rows] - dataset.timestamps, initial=0))
    return compare_paired(
        dataset.y,
        a.probability,
        b.probability,
        dataset.codes,
        dataset.timestamps,
        horizon_us=horizon_us,
        names=(a.record.name, b.record.name),
    ).as_json()
