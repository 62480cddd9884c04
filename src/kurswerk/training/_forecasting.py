"""Forecast models: fitted on the earlier rows, calibrated on the last ones, judged by their errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kurswerk.evaluation import (
    ForecastComparison,
    ForecastEvaluation,
    ForecastPart,
    ForecastRows,
    NaiveForecasts,
    compare_forecasts,
    evaluate_forecasts,
    purged_hold_out,
    recent_volatility,
)
from kurswerk.market import Role
from kurswerk.models import Forecasts, OnnxModel, Regressor, create, row_blocks
from kurswerk.training._dataset import Dataset, Examples
from kurswerk.training.spec import ModelSpec

Int = NDArray[np.int64]

# Of the rows a forecast model is given, by time: the last ones make its interval and are not learnt from.
CALIBRATION_SHARE = 0.2
_ROWS_AT_ONCE = 65_536
_Model = TypeVar("_Model", Regressor, OnnxModel)


@dataclass(frozen=True, eq=False)
class FittedForecaster:
    """A calibrated model and the naive forecasts of the same rows."""

    model: Regressor
    naive: NaiveForecasts

    @property
    def error_sizes(self) -> NDArray[np.float32]:
        """Quantiles of the absolute errors that the interval was taken from."""
        if self.model.calibration_ is None:
            raise TypeError("a fitted forecaster is calibrated")
        return self.model.calibration_.sizes

    def as_json(self) -> dict[str, Any]:
        """Return what tests of later rows need, beside the artifact."""
        return {
            "drift": self.naive.drift,
            "persistence_half": self.naive.persistence_half,
            "drift_half": self.naive.drift_half,
            "error_sizes": [float(size) for size in self.error_sizes],
        }


def calibration_parts(examples: Examples, rows: Int) -> tuple[Int, Int]:
    """Part rows to learn from and later rows to calibrate on; those whose horizon reaches the later ones are left out.

    Raises
    ------
    DataError
        If there are too few moments.
    """
    times, ends, embargo_us = examples.timestamps[rows], examples.label_end_us[rows], examples.embargo_us[rows]
    fold = purged_hold_out(times, ends, CALIBRATION_SHARE, embargo_us)
    return rows[fold.train], rows[fold.test]


def fit_forecaster(spec: ModelSpec, examples: Examples, rows: Int, watch: Any) -> FittedForecaster:
    """Fit and calibrate on the given rows and nothing else.

    Parameters
    ----------
    examples
        Of all rows of the panel, with ``returns``.
    rows
        Positions to train on, int64.
    watch
        Parts rows to learn from and rows to find the end of training by, for an estimator that stops early.

    Raises
    ------
    DataError
        If the rows are too few.
    """
    if examples.returns is None:
        raise TypeError("returns are needed")
    X, y = examples.X, examples.returns
    learnt, held_out = calibration_parts(examples, rows)
    model = create(spec.model_type, spec.full_params)
    if not isinstance(model, Regressor):
        raise TypeError("a specification of a return names a regressor")
    fitted_on, watched = watch(examples, learnt) if model.stops_early else (learnt, learnt[:0])
    model.fit(X, y, rows=fitted_on, held_out=(X[watched], y[watched]) if len(watched) else None)
    model.calibrate(X, y, held_out, spec.nominal_coverage)
    return FittedForecaster(model, NaiveForecasts.of(y[learnt], y[held_out], spec.nominal_coverage))


def forecast_rows(model: _Model, X: NDArray[np.float32], rows: Int) -> Forecasts:
    """Return forecasts of some rows, a block at a time so that no copy of the whole matrix is made."""
    parts = [model.forecast(block) for block in row_blocks(X, rows, _ROWS_AT_ONCE)]
    if not parts:
        return Forecasts.of(np.empty((0, 4), dtype=np.float32))
    return Forecasts(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def part_of(found: Forecasts, naive: NaiveForecasts, error_sizes: NDArray[np.floating]) -> ForecastPart:
    """Return forecasts as an evaluation takes them."""
    return ForecastPart(found.forecast, found.low, found.high, naive, error_sizes)


def stored_part(found: Forecasts, evaluation: Any) -> ForecastPart:
    """Return forecasts of a stored model as an evaluation takes them; ``evaluation`` is that of its training."""
    given = evaluation["forecast"]["calibration"]
    naive = NaiveForecasts(*(given[name] for name in ("drift", "persistence_half", "drift_half")))
    return part_of(found, naive, np.array(given["error_sizes"]))


def forecast_evaluation(
    spec: ModelSpec, dataset: Dataset, rows: Int, parts: Sequence[ForecastPart]
) -> ForecastEvaluation:
    """Measure forecasts of some rows of a dataset."""
    return evaluate_forecasts(_forecast_rows(spec, dataset, rows), parts, spec.nominal_coverage)


def forecast_comparison(
    spec: ModelSpec, dataset: Dataset, a: ForecastPart, b: ForecastPart, names: tuple[str, str]
) -> ForecastComparison:
    """Compare two models' forecasts of the rows of a dataset that take part."""
    return compare_forecasts(_forecast_rows(spec, dataset, dataset.rows), a, b, spec.nominal_coverage, names)


def _forecast_rows(spec: ModelSpec, dataset: Dataset, rows: Int) -> ForecastRows:
    panel, labels = dataset.panel, dataset.labels
    if labels.returns is None:
        raise TypeError("labels of a forecast are needed")
    close = spec.market_schema.roles.get(Role.CLOSE)
    return ForecastRows(
        actual=labels.returns[rows],
        codes=panel.codes[rows],
        timestamps=panel.timestamps[rows],
        end_us=labels.end_us[rows],
        instruments=panel.instruments,
        volatility=recent_volatility(panel, close)[rows] if close in panel.columns else None,
    )
