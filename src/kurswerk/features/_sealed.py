"""The second stage live: rows compared with the members of one moment that was sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import SpecError
from kurswerk.features._cross_kernels import MEAN, rolling_beta
from kurswerk.features._cross_plan import run
from kurswerk.features._plan import FeaturePlan
from kurswerk.market.sections import Sections

Int = NDArray[np.int64]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SealedMoment:
    """The members of a moment and their values, as they were when it was sealed; nothing changes them any more.

    Attributes
    ----------
    moment_us
        Microseconds UTC.
    members, timestamps
        Their names, ascending, and the row of each, microseconds UTC; shape (n_members,).
    values
        Name of a feature of one instrument → its values of the members, shape (n_members,).
    """

    moment_us: int
    members: tuple[str, ...]
    timestamps: Int
    values: Mapping[str, Vector]

    def mean(self, feature: str) -> float:
        """Return the mean of a feature over the members, as `market_mean` gives it."""
        values = np.append(self.values[feature], np.nan).reshape(1, -1)
        out = np.full((1, 1), np.nan)
        count = len(self.members)
        run(values, [], np.array([(MEAN, 0, -1, 0)]), _section(self.moment_us, count, 1), count, out, 1)
        return float(out[0, 0])


@dataclass(frozen=True, eq=False)
class Past:
    """An instrument's last rows, the one to compute included: its own returns and the market's; NaN is missing."""

    own: Vector
    market: Vector


def compare_with(
    plan: FeaturePlan, sealed: SealedMoment, values: Matrix, pasts: Sequence[Past] | None = None
) -> Matrix:
    """Return a plan's features of rows that read a sealed moment, members or not.

    Parameters
    ----------
    plan
        With a second stage.
    sealed
        Has the values of every feature of ``plan.first_stage`` that is compared.
    values
        ``plan.first_stage`` of the rows, shape (n, n_first).
    pasts
        Of each row, as many rows as the longest regression has; needed where the plan has one.

    Returns
    -------
    ndarray
        Shape (n, n_features).

    Raises
    ------
    SpecError
        If the plan has a regression and there is no past.
    """
    second = plan.second_stage
    if second is None:
        return values
    count, members = len(values), len(sealed.members)
    wide = np.full((len(second.first_stage), members + count), np.nan)
    wide[:, members:] = values.T
    for place, name in enumerate(second.first_stage):
        if name in sealed.values:
            wide[place, :members] = sealed.values[name]
    out = np.empty((len(plan.names), count))
    second.compare(wide, _section(sealed.moment_us, members, count), members, out)
    if second.regressions:
        if pasts is None:
            raise SpecError(
                "feature.past_needed", features=[f.name for f in plan.features if f.cross and f.cross.window]
            )
        _regress(plan, pasts, out)
    return np.ascontiguousarray(out.T)


def compared_features(plan: FeaturePlan) -> tuple[str, ...]:
    """Return the features of one instrument whose values a sealed moment must hold for a plan."""
    crosses = [feature.cross for feature in plan.features if feature.cross is not None]
    return tuple(dict.fromkeys(name for cross in crosses for name in cross.first_stage))


def longest_regression(plan: FeaturePlan) -> int:
    """Return how many rows the longest regression of a plan takes; 0 where there is none."""
    return max((f.cross.window for f in plan.features if f.cross is not None and f.cross.window is not None), default=0)


def _section(moment_us: int, members: int, readers: int) -> Sections:
    member_of = np.repeat(np.array([0, -1]), [members, readers])
    return Sections.arranged(np.array([moment_us], dtype=np.int64), member_of, -1 - member_of)


def _regress(plan: FeaturePlan, pasts: Sequence[Past], out: Matrix) -> None:
    second = plan.second_stage
    if second is None or not pasts:
        return
    offsets = np.concatenate(([0], np.cumsum([len(past.own) for past in pasts]))).astype(np.int64)
    own, market = np.concatenate([p.own for p in pasts]), np.concatenate([p.market for p in pasts])
    last = offsets[1:] - 1
    beta, residual = np.empty(len(own)), np.empty(len(own))
    for one in second.regressions:
        rolling_beta(own, market, offsets, one.window, beta, residual)
        if one.beta >= 0:
            out[one.beta] = beta[last]
        if one.residual >= 0:
            out[one.residual] = residual[last]
