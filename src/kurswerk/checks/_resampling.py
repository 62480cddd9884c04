"""Properties of resampling: real rows stay real, synthetic ones lie among the rare class, balance is as declared."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._evidence import Effort, Evidence, Finding, PropertyCheck, examine_all
from kurswerk.checks.ports import Labels8, ResampleFunction

RARE_BELOW = 0.3  # contracts.md: SMOTE when the minority is under 30 %
BALANCE = 0.8  # minority / majority afterwards


@dataclass(frozen=True, eq=False)
class ResamplingCase:
    """A resampler and the seed it is given."""

    resample: ResampleFunction
    random_state: int


def resampler_checks(
    resample: ResampleFunction, random_state: int = 0, *, name: str = "resample", effort: Effort | None = None
) -> Iterator[Finding]:
    """Try all properties of resampling on random rows of several balances, with and without missing values.

    Yields
    ------
    Finding
        One for each property of ``RESAMPLING_PROPERTIES``.
    """
    yield from examine_all(RESAMPLING_PROPERTIES, ResamplingCase(resample, random_state), name, random_state, effort)


def _rows(rng: np.random.Generator, share: float, missing: float) -> tuple[NDArray[np.float32], Labels8]:
    n = 300
    y = np.zeros(n, dtype=np.int8)
    y[rng.permutation(n)[: round(share * n)]] = 1
    X = (rng.normal(size=(n, 4)) + y[:, None]).astype(np.float32)
    X[rng.random(X.shape) < missing] = np.nan
    return X, y


def _examples(evidence: Evidence) -> Iterator[tuple[NDArray[np.float32], Labels8]]:
    for trial in evidence.rounds():
        yield _rows(evidence.rng, float(evidence.rng.uniform(0.05, 0.29)), 0.1 * (trial % 2))


def _repeatable(case: ResamplingCase, evidence: Evidence) -> None:
    for X, y in _examples(evidence):
        X_before, y_before = X.copy(), y.copy()
        first, again = case.resample(X, y, case.random_state), case.resample(X, y, case.random_state)
        evidence.equal(X_before, X, str, "features given to the resampler")
        evidence.equal(y_before, y, str, "labels given to the resampler")
        evidence.equal(first[0], again[0], str, "features resampled again")
        evidence.equal(first[1], again[1], str, "labels resampled again")


def _real_rows_stay(case: ResamplingCase, evidence: Evidence) -> None:
    """Rows of the common class are some of those given; none of the rare class is lost; synthetic ones lie within."""
    for X, y in _examples(evidence):
        new_X, new_y = case.resample(X, y, case.random_state)
        evidence.values_compared += new_X.size
        evidence.require(bool(np.isin(new_y, (0, 1)).all()), f"labels {np.unique(new_y).tolist()} instead of 0 and 1")
        common, rare = _keys(X[y == 0]), _keys(X[y == 1])
        strange = len(_keys(new_X[new_y == 0]) - common)
        evidence.require(strange == 0, f"{strange} rows of the common class are none of those given")
        lost = len(rare - _keys(new_X[new_y == 1]))
        evidence.require(lost == 0, f"{lost} rows of the rare class are lost")
        drawn = new_X[new_y == 1]
        low, high = np.nanmin(X[y == 1], axis=0), np.nanmax(X[y == 1], axis=0)
        outside = int(np.count_nonzero((drawn < low) | (drawn > high)))
        evidence.require(outside == 0, f"{outside} synthetic values lie outside those of the rare class")


def _keys(X: NDArray[np.float32]) -> set[bytes]:
    return {row.tobytes() for row in np.where(np.isnan(X), np.float32(np.nan), X)}


def _balance(case: ResamplingCase, evidence: Evidence) -> None:
    for X, y in _examples(evidence):
        _, new_y = case.resample(X, y, case.random_state)
        ratio = _ratio(new_y)
        evidence.values_compared += len(new_y)
        fits = abs(ratio - BALANCE) <= 0.02
        evidence.require(fits, f"minority / majority is {ratio:.3f} after resampling, not {BALANCE}")


def _ratio(y: NDArray[Any]) -> float:
    ones = int(np.count_nonzero(y == 1))
    return min(ones, len(y) - ones) / max(ones, len(y) - ones, 1)


def _balanced_kept(case: ResamplingCase, evidence: Evidence) -> None:
    for trial in evidence.rounds():
        X, y = _rows(evidence.rng, float(evidence.rng.uniform(RARE_BELOW + 0.02, 0.5)), 0.1 * (trial % 2))
        new_X, new_y = case.resample(X, y, case.random_state)
        evidence.equal(X, new_X, str, "features of balanced rows")
        evidence.equal(y, new_y, str, "labels of balanced rows")


RESAMPLING_PROPERTIES: tuple[PropertyCheck[ResamplingCase], ...] = (
    PropertyCheck(
        "resample_repeatable", "the same rows and seed give the same rows, and the input is left as it was", _repeatable
    ),
    PropertyCheck(
        "resample_real_rows", "real rows stay real, synthetic ones lie among the rare class", _real_rows_stay
    ),
    PropertyCheck("resample_balance", "a rare class is brought to 0.8 of the common one", _balance),
    PropertyCheck("resample_kept", "rows that are balanced already are left as they are", _balanced_kept),
)
