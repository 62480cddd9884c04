"""Two forecasts of the same returns: which errs less, and is it more than luck?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kurswerk.core.messages import Message
from kurswerk.evaluation._blocks import Bootstrap, Estimate
from kurswerk.evaluation._forecast_tests import DieboldMariano, Moments, diebold_mariano
from kurswerk.evaluation._forecasts import ForecastPart, ForecastRows, compare_measured


@dataclass(frozen=True)
class ForecastComparison:
    """Two forecasts on the same rows.

    Attributes
    ----------
    test
        Diebold and Mariano's, of the squared errors; the first is a.
    a, b, differences
        Metric → value with interval, and a minus b, paired by block.
    names
        Of the models.
    resampling
        How the intervals were drawn, as JSON.
    """

    test: DieboldMariano
    a: Mapping[str, Estimate]
    b: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    names: tuple[str, str]
    resampling: Mapping[str, Any]

    @property
    def winner(self) -> Literal["a", "b"] | None:
        """The one whose squared errors are smaller by more than luck; None is nobody."""
        if self.test.better is None:
            return None
        return "a" if self.test.better == "first" else "b"

    @property
    def verdict(self) -> Message:
        """What the test found, in one sentence."""
        p = "–" if self.test.p_value is None else f"{self.test.p_value:.3g}"
        if self.winner is None:
            return Message("comparison.no_better_forecast", a=self.names[0], b=self.names[1], p=p)
        better, other = self.names if self.winner == "a" else reversed(self.names)
        return Message("comparison.better_forecast", better=better, other=other, p=p)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "diebold_mariano": self.test.as_json(),
            "a": {name: estimate.as_json() for name, estimate in self.a.items()},
            "b": {name: estimate.as_json() for name, estimate in self.b.items()},
            "differences": {name: estimate.as_json() for name, estimate in self.differences.items()},
            "more_than_luck": self.winner is not None,
            "sentence": str(self.verdict),
            "verdict": self.verdict.as_json(),
            "bootstrap": dict(self.resampling),
        }


def compare_forecasts(
    rows: ForecastRows,
    a: ForecastPart,
    b: ForecastPart,
    coverage: float,
    names: tuple[str, str] = ("A", "B"),
    bootstrap: Bootstrap | None = None,
) -> ForecastComparison:
    """Compare two models' forecasts of identical rows; parameters and errors as in `evaluate_forecasts`."""
    estimates, resampling = compare_measured(rows, a, b, coverage, bootstrap or Bootstrap())
    first, second = ((rows.actual - np.asarray(part.forecast, dtype=np.float64)) ** 2 for part in (a, b))
    test = diebold_mariano(first, second, Moments.of(rows.timestamps, rows.end_us))
    return ForecastComparison(test, estimates["a"], estimates["b"], estimates["difference"], names, resampling)
