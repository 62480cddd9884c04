"""How good a model is by the outcomes of its live predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.evaluation import Bootstrap, Estimate, evaluate
from kurswerk.labels import LabelSpec
from kurswerk.oversight.ports import Float, Int

# The newest outcomes that metrics are computed from: intervals of more take seconds and hardly change.
DEFAULT_OUTCOMES, MOST_OUTCOMES = 20_000, 200_000
LIVE_METRICS = ("precision", "recall", "pr_auc", "roc_auc", "brier", "log_loss", "base_rate")
_UNKNOWN = Estimate(None, None, None)


@dataclass(frozen=True)
class OutcomeCounts:
    """Outcomes of a model's predictions of rows in scope.

    Attributes
    ----------
    known, positive
        Those whose label is known, and of these the ones that came true.
    predicted_positive, true_positive
        Of the known ones those that the model predicted as 1, and of these the ones that came true.
    unknown
        Those whose label stays unknown.
    corrected
        How often a label changed afterwards.
    """

    known: int = 0
    positive: int = 0
    predicted_positive: int = 0
    true_positive: int = 0
    unknown: int = 0
    corrected: int = 0

    @property
    def precision(self) -> float | None:
        """Share that came true where the model predicted 1; None where it never did.

        Examples
        --------
        >>> OutcomeCounts(known=10, positive=4, predicted_positive=2, true_positive=1).precision
        0.5
        """
        return self.true_positive / self.predicted_positive if self.predicted_positive else None

    @property
    def base_rate(self) -> float | None:
        """Share that came true among all known ones; None without any."""
        return self.positive / self.known if self.known else None

    def by_kind(self) -> dict[str, int]:
        """Return the counts of the confusion matrix, and of unknown labels.

        Examples
        --------
        >>> OutcomeCounts(known=10, positive=4, predicted_positive=2, true_positive=1, unknown=3).by_kind()
        {'true_positive': 1, 'false_positive': 1, 'false_negative': 3, 'true_negative': 5, 'unknown': 3}
        """
        missed = self.positive - self.true_positive
        return {
            "true_positive": self.true_positive,
            "false_positive": self.predicted_positive - self.true_positive,
            "false_negative": missed,
            "true_negative": self.known - self.predicted_positive - missed,
            "unknown": self.unknown,
        }


@dataclass(frozen=True, eq=False)
class JudgedScores:
    """Known outcomes of a model's predictions in scope, newest first, one place of every array each; shape (n,).

    Attributes
    ----------
    labels, probability
        1 or 0, and the probability of 1 that was predicted.
    codes, timestamps
        Instrument, as a number of its own, and moment of the row, microseconds UTC.
    unknown
        Why labels of the same period stay unknown → how many do.
    """

    labels: NDArray[np.int8]
    probability: Float
    codes: Int
    timestamps: Int
    unknown: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class JudgedForecasts:
    """Known outcomes of a model's forecasts in scope, newest first; float64 (n,) in percent."""

    actual: Float
    forecast: Float
    low: Float
    high: Float


@dataclass(frozen=True)
class ForecastPerformance:
    """How far a model's live forecasts were off.

    Attributes
    ----------
    known
        How many are measured.
    mae, rmse, bias
        Mean absolute error, root of the mean squared error, and mean of forecast less return, in percentage points.
    persistence_mae
        Mean absolute error of forecasting no change.
    interval_coverage, interval_width
        Share of returns inside their interval, and the mean width of these.
    """

    known: int
    mae: float
    rmse: float
    bias: float
    persistence_mae: float
    interval_coverage: float
    interval_width: float

    @classmethod
    def of(cls, found: JudgedForecasts) -> "ForecastPerformance | None":
        """Measure forecasts; None without any.

        Examples
        --------
        >>> one, two = np.array([1.0, -1.0]), np.array([0.0, 1.0])
        >>> ForecastPerformance.of(JudgedForecasts(one, two, two - 1, two + 1)).interval_coverage
        0.5
        """
        if not len(found.actual):
            return None
        error = found.forecast - found.actual
        covered = (found.actual >= found.low) & (found.actual <= found.high)
        return cls(
            known=len(error),
            mae=float(np.abs(error).mean()),
            rmse=float(np.sqrt(np.mean(error**2))),
            bias=float(error.mean()),
            persistence_mae=float(np.abs(found.actual).mean()),
            interval_coverage=float(covered.mean()),
            interval_width=float((found.high - found.low).mean()),
        )


class OutcomeLog(Protocol):
    """Reads outcomes."""

    def counts(self, days: int | None = None) -> Mapping[int, OutcomeCounts]:
        """Return the sums of each model that has outcomes, of its last ``days`` or all; deleted ones are left out."""
        ...

    def scores(
        self, model_id: int, *, since_us: int | None = None, until_us: int | None = None, limit: int = DEFAULT_OUTCOMES
    ) -> JudgedScores:
        """Return a model's newest known outcomes of rows in a period, both ends inclusive."""
        ...

    def forecasts(
        self, model_id: int, *, since_us: int | None = None, until_us: int | None = None, limit: int = DEFAULT_OUTCOMES
    ) -> JudgedForecasts:
        """Return a forecast model's newest returns with what was forecast, as far as that is still in the database."""
        ...


@dataclass(frozen=True)
class LivePerformance:
    """Metrics of a model's live predictions.

    Attributes
    ----------
    first_us, last_us
        Moments of the first and the last row, microseconds UTC; None without outcomes.
    threshold
        Smallest probability that counts as positive.
    counts
        Of the outcomes measured; ``corrected`` is 0.
    reasons
        Why labels stay unknown → how many do.
    estimates
        Each of `LIVE_METRICS` with its bootstrap interval.
    calibration
        Mean probability and share of positives by bins of the probability.
    bootstrap
        How the intervals were drawn; empty without outcomes.
    forecast
        Errors and coverage of a forecast model.
    """

    first_us: int | None
    last_us: int | None
    threshold: float
    counts: OutcomeCounts
    reasons: Mapping[str, int]
    estimates: Mapping[str, Estimate] = field(default_factory=lambda: dict.fromkeys(LIVE_METRICS, _UNKNOWN))
    calibration: Sequence[Mapping[str, float | int | None]] = ()
    bootstrap: Mapping[str, Any] = field(default_factory=dict)
    forecast: ForecastPerformance | None = None


def live_performance(
    log: OutcomeLog,
    model_id: int,
    label: LabelSpec,
    *,
    threshold: float = 0.5,
    since_us: int | None = None,
    until_us: int | None = None,
    limit: int = DEFAULT_OUTCOMES,
    bootstrap: Bootstrap | None = None,
) -> LivePerformance:
    """Measure a model by the outcomes of its newest predictions in scope.

    Parameters
    ----------
    threshold
        Smallest probability that counts as positive.
    since_us, until_us
        Moments of the rows, both ends inclusive; None is unbounded.
    limit
        How many outcomes at most.

    Raises
    ------
    StorageError
        If the database refuses or cannot be reached.
    """
    scores = log.scores(model_id, since_us=since_us, until_us=until_us, limit=limit)
    unknown = sum(scores.unknown.values())
    if not len(scores):
        return LivePerformance(None, None, threshold, OutcomeCounts(unknown=unknown), scores.unknown)
    found = evaluate(
        scores.labels,
        scores.probability,
        scores.codes,
        scores.timestamps,
        threshold=threshold,
        horizon_us=label.horizon_us or 0,
        bootstrap=bootstrap,
    )
    metrics = found.metrics
    counts = OutcomeCounts(
        known=found.num_samples,
        positive=found.num_positive,
        predicted_positive=metrics.tp + metrics.fp,
        true_positive=metrics.tp,
        unknown=unknown,
    )
    estimates = {name: found.estimates[name] for name in LIVE_METRICS}
    # Where nothing was predicted, or nothing came true, a share of it is not 0 but undefined.
    if not counts.predicted_positive:
        estimates["precision"] = _UNKNOWN
    if not counts.positive:
        estimates["recall"] = _UNKNOWN
    return LivePerformance(
        int(scores.timestamps.min()),
        int(scores.timestamps.max()),
        threshold,
        counts,
        scores.unknown,
        estimates,
        found.curves["calibration"],
        found.resampling,
        _forecast_performance(log, model_id, label, since_us, until_us, limit),
    )


def _forecast_performance(
    log: OutcomeLog, model_id: int, label: LabelSpec, since_us: int | None, until_us: int | None, limit: int
) -> ForecastPerformance | None:
    if not label.is_return:
        return None
    return ForecastPerformance.of(log.forecasts(model_id, since_us=since_us, until_us=until_us, limit=limit))
