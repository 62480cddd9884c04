"""A forecast's errors with intervals, against persistence and drift, and what its own intervals are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.core.messages import Message
from kurswerk.evaluation._blocks import Blocks, Bootstrap, Estimate, draw, make_blocks, resampling_json
from kurswerk.evaluation._candidate import Measured
from kurswerk.evaluation._forecast_tests import DieboldMariano, Moments, diebold_mariano, information_coefficient
from kurswerk.evaluation._interval_coverage import Calibrated, adaptive_coverage, coverage_by
from kurswerk.models import half_width

Float = NDArray[np.float64]
Int = NDArray[np.int64]

NO_CHANGE, DRIFT = "persistence", "drift"
FORECAST_METRICS: Final = (
    "mae",
    "rmse",
    "r2",
    "directional_accuracy",
    "pinball",
    "interval_coverage",
    "interval_width",
)


@dataclass(frozen=True)
class NaiveForecasts:
    """what forecasts without a model are, learnt from the same rows as the model.

    Attributes
    ----------
    drift
        Mean return of the rows learnt from; persistence forecasts 0: the price stays.
    persistence_half, drift_half
        Half of their conformal intervals, by their errors on the rows that the model was calibrated on.
    """

    drift: float
    persistence_half: float
    drift_half: float

    @classmethod
    def of(cls, learnt: Float, held_out: Float, coverage: float) -> "NaiveForecasts":
        """Learn from returns as the model does; DataError as for `kurswerk.models.half_width`."""
        drift = float(learnt.mean())
        return cls(drift, half_width(held_out, coverage), half_width(held_out - drift, coverage))


@dataclass(frozen=True, eq=False)
class ForecastPart:
    """Forecasts of one fitted model for some rows, in their order.

    Attributes
    ----------
    forecast, low, high
        Shape (n,), in the unit of the returns.
    naive
        Of the rows that this model learnt from.
    error_sizes
        Quantiles of its absolute errors on the rows it was calibrated on, ascending.
    """

    forecast: NDArray[np.floating]
    low: NDArray[np.floating]
    high: NDArray[np.floating]
    naive: NaiveForecasts
    error_sizes: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ForecastRows:
    """Rows that were forecast.

    Attributes
    ----------
    actual
        Return up to the deadline in percent, shape (n,).
    codes, timestamps, end_us
        Instrument, time and deadline of each row (microseconds), shape (n,).
    instruments
        Names by code.
    volatility
        Recent volatility as of each row, or None.
    """

    actual: Float
    codes: Int
    timestamps: Int
    end_us: Int
    instruments: Sequence[str]
    volatility: Float | None = None


@dataclass(frozen=True)
class ForecastEvaluation:
    """Metrics of forecasts on one set of rows, against baselines on the same rows; see `evaluate_forecasts`."""

    coverage: float
    estimates: Mapping[str, Estimate]
    baselines: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]
    diebold_mariano: Mapping[str, DieboldMariano]
    information_coefficient: Mapping[str, Any] | None
    coverage_by: Mapping[str, Any]
    adaptive: Mapping[str, float]
    resampling: Mapping[str, Any]

    @property
    def has_skill(self) -> bool:
        """Whether squared errors are smaller than those of every naive forecast by more than luck."""
        return all(test.better == "first" for test in self.diebold_mariano.values())

    @property
    def verdict(self) -> Message:
        """What the tests found, in one sentence."""
        tests = {name: _p_text(test) for name, test in self.diebold_mariano.items()}
        code = "forecast.has_skill" if self.has_skill else "forecast.no_skill"
        return Message(code, persistence=tests[NO_CHANGE], drift=tests[DRIFT])

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "coverage": self.coverage,
            "metrics": _json(self.estimates),
            "baselines": {name: _json(found) for name, found in self.baselines.items()},
            "differences": {name: _json(found) for name, found in self.differences.items()},
            "diebold_mariano": {name: test.as_json() for name, test in self.diebold_mariano.items()},
            "information_coefficient": self.information_coefficient,
            "coverage_by": dict(self.coverage_by),
            "adaptive": dict(self.adaptive),
            "has_skill": self.has_skill,
            "verdict": self.verdict.as_json(),
            "bootstrap": dict(self.resampling),
        }


def _json(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: estimate.as_json() for name, estimate in estimates.items()}


def _p_text(test: DieboldMariano) -> str:
    return "–" if test.p_value is None else f"{test.p_value:.3g}"


def evaluate_forecasts(
    rows: ForecastRows, parts: Sequence[ForecastPart], coverage: float, bootstrap: Bootstrap | None = None
) -> ForecastEvaluation:
    """Measure forecasts with intervals by instrument and block of time, against baselines on the same rows.

    Metrics are the mean absolute error and the root of the mean squared one, R² out of sample (one less the squared
    errors over those of the drift, which was known before), the share of right directions among values and forecasts
    that are not 0, the pinball loss averaged over the interval's ends and its middle, and how often the interval holds
    the value and how wide it is, all in the unit of the returns.

    Parameters
    ----------
    rows
        What was forecast.
    parts
        The models' forecasts, one part after the other in the order of the rows.
    coverage
        Nominal share of values inside the intervals.
    bootstrap
        Replicates, confidence and seed; the defaults of `Bootstrap` if None.

    Raises
    ------
    DataError
        If there are no rows, lengths differ, or a value is not finite.
    """
    bootstrap = bootstrap or Bootstrap()
    given = _checked(rows, _joined(parts))
    horizon_us = int(np.max(rows.end_us - rows.timestamps, initial=0))
    blocks = make_blocks(rows.codes, rows.timestamps, horizon_us)
    measured = _measure(rows.actual, given, coverage, blocks, bootstrap)
    model = measured[""]
    moments = Moments.of(rows.timestamps, rows.end_us)
    squared = {name: (rows.actual - one[0]) ** 2 for name, one in given.items()}
    naive = (NO_CHANGE, DRIFT)
    forecast, low, high = given[""]
    covered = (rows.actual >= low) & (rows.actual <= high)
    return ForecastEvaluation(
        coverage=coverage,
        estimates=model.estimates(blocks, bootstrap),
        baselines={name: measured[name].estimates(blocks, bootstrap) for name in naive},
        differences={name: model.minus(measured[name], blocks, bootstrap) for name in naive},
        diebold_mariano={name: diebold_mariano(squared[""], squared[name], moments) for name in naive},
        information_coefficient=information_coefficient(forecast, rows.actual, moments),
        coverage_by=coverage_by(covered, high - low, rows.timestamps, rows.codes, rows.instruments, rows.volatility),
        adaptive=adaptive_coverage(_calibrated(rows, parts), coverage),
        resampling=resampling_json(blocks, bootstrap),
    )


def compare_measured(
    rows: ForecastRows, a: ForecastPart, b: ForecastPart, coverage: float, bootstrap: Bootstrap
) -> tuple[dict[str, Mapping[str, Estimate]], dict[str, Any]]:
    """Return metrics of two models on identical rows as ``a``, ``b`` and ``difference``, and how they were drawn."""
    given = {"a": _checked(rows, _joined([a]))[""], "b": _checked(rows, _joined([b]))[""], DRIFT: _joined([a])[DRIFT]}
    blocks = make_blocks(rows.codes, rows.timestamps, int(np.max(rows.end_us - rows.timestamps, initial=0)))
    measured = _measure(rows.actual, given, coverage, blocks, bootstrap)
    found = {side: measured[side].estimates(blocks, bootstrap) for side in "ab"}
    difference = measured["a"].minus(measured["b"], blocks, bootstrap)
    return {**found, "difference": difference}, resampling_json(blocks, bootstrap)


Given = tuple[Float, Float, Float]
"""Forecast and both ends of its interval, shape (n,) each."""


def _joined(parts: Sequence[ForecastPart]) -> dict[str, Given]:
    """Return what the model, called ``""``, and the baselines forecast of all rows."""

    def constant(value_of: Any, half_of: Any) -> Given:
        value = np.concatenate([np.full(len(part.forecast), value_of(part.naive)) for part in parts])
        half = np.concatenate([np.full(len(part.forecast), half_of(part.naive)) for part in parts])
        return value, value - half, value + half

    forecast, low, high = (
        np.concatenate([np.asarray(getattr(part, name), dtype=np.float64) for part in parts])
        for name in ("forecast", "low", "high")
    )
    return {
        "": (forecast, low, high),
        NO_CHANGE: constant(lambda _: 0.0, lambda naive: naive.persistence_half),
        DRIFT: constant(lambda naive: naive.drift, lambda naive: naive.drift_half),
    }


def _checked(rows: ForecastRows, given: dict[str, Given]) -> dict[str, Given]:
    count = len(given[""][0])
    if len(rows.actual) == 0:
        raise DataError("evaluation.no_labelled_rows")
    if count != len(rows.actual) or len(rows.codes) != count:
        raise DataError("evaluation.forecasts_not_one_per_row", forecasts=count, rows=len(rows.actual))
    finite = np.isfinite(rows.actual) & np.isfinite(given[""]).all(axis=0)
    if not finite.all():
        raise DataError("evaluation.forecasts_not_finite", count=int(np.count_nonzero(~finite)))
    return given


def _measure(
    actual: Float, given: dict[str, Given], coverage: float, blocks: Blocks, bootstrap: Bootstrap
) -> dict[str, Measured]:
    """Measure all on the same rows and the same replicates."""
    of_drift = (actual - given[DRIFT][0]) ** 2
    sums = {name: _block_sums(actual, one, of_drift, coverage, blocks) for name, one in given.items()}
    drawn: dict[str, list[Float]] = {name: [np.ones(blocks.count) @ one] for name, one in sums.items()}

    def take(weights: Float) -> None:
        for name, one in sums.items():
            drawn[name].append(weights @ one)

    draw(blocks, bootstrap, take)
    found = {name: _metrics(np.array(rows)) for name, rows in drawn.items()}
    return {
        name: Measured(
            {metric: float(values[metric][0]) for metric in FORECAST_METRICS},
            {metric: values[metric][1:] for metric in FORECAST_METRICS},
        )
        for name, values in found.items()
    }


def _block_sums(actual: Float, given: Given, of_drift: Float, coverage: float, blocks: Blocks) -> Float:
    forecast, low, high = given
    error = actual - forecast
    decided = (actual != 0) & (forecast != 0)
    columns = (
        np.ones(len(actual)),
        np.abs(error),
        error**2,
        of_drift,
        decided,
        decided & ((actual > 0) == (forecast > 0)),
        pinball(actual, given, coverage),
        (actual >= low) & (actual <= high),
        high - low,
    )
    return np.column_stack([blocks.sums(np.asarray(column, dtype=np.float64)) for column in columns])


def pinball(actual: Float, given: Given, coverage: float) -> Float:
    """Return each row's pinball loss, averaged over the interval's two ends and the forecast as the median.

    A third of it is half the absolute error. Gneiting and Raftery, Strictly Proper Scoring Rules, JASA 102, 2007.
    """
    tail = (1 - coverage) / 2
    total = np.zeros(len(actual))
    for value, level in zip(given, (0.5, tail, 1 - tail), strict=True):
        error = actual - value
        total += np.maximum(level * error, (level - 1) * error)
    return total / len(given)


def _metrics(sums: Float) -> dict[str, Float]:
    """Turn weighted sums, shape (m, 9), into metrics of shape (m,); NaN where undefined."""
    rows, absolute, squared, of_drift, decided, right, loss, covered, width = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "mae": absolute / rows,
            "rmse": np.sqrt(squared / rows),
            "r2": np.where(of_drift > 0, 1 - squared / of_drift, np.nan),
            "directional_accuracy": np.where(decided > 0, right / decided, np.nan),
            "pinball": loss / rows,
            "interval_coverage": covered / rows,
            "interval_width": width / rows,
        }


def _calibrated(rows: ForecastRows, parts: Sequence[ForecastPart]) -> list[Calibrated]:
    bounds = np.cumsum([0, *(len(part.forecast) for part in parts)])
    return [
        Calibrated(
            rows.actual[bounds[k] : bounds[k + 1]],
            np.asarray(part.forecast, dtype=np.float64),
            rows.timestamps[bounds[k] : bounds[k + 1]],
            rows.end_us[bounds[k] : bounds[k + 1]],
            np.asarray(part.error_sizes, dtype=np.float64),
        )
        for k, part in enumerate(parts)
        if len(part.forecast)
    ]
