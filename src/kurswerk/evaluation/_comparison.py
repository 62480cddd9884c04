"""Two models on the identical rows: which is better, and is it more than luck?"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb, erfc, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.evaluation._blocks import Bootstrap, Estimate, make_blocks, resampling_json
from kurswerk.evaluation._candidate import Candidate, measure
from kurswerk.evaluation._metrics import checked

Int = NDArray[np.int64]

# Below this many rows on which just one model is right, the chi-squared approximation is not trusted.
EXACT_BELOW = 25
ALPHA = 0.05


def winner(f1_a: float, f1_b: float) -> Literal["a", "b"] | None:
    """Return the model with the higher F1; None is a draw.

    Examples
    --------
    >>> winner(0.4, 0.3), winner(0.3, 0.3)
    ('a', None)
    """
    if f1_a == f1_b:
        return None
    return "a" if f1_a > f1_b else "b"


@dataclass(frozen=True)
class McNemar:
    """Whether two classifiers err equally often, from the rows on which just one is right.

    ``p_value`` is two-sided. It takes rows as independent, which overlapping labels are not, so it is too sure; the
    bootstrap by block is the cautious one.
    """

    only_a_right: int
    only_b_right: int
    p_value: float
    method: Literal["exact binomial", "chi-squared"]


def mcnemar(only_a_right: int, only_b_right: int) -> McNemar:
    """Test whether two classifiers err equally often (McNemar, Psychometrika 12, 1947).

    With fewer than 25 such rows the exact binomial test, else chi-squared with Edwards' continuity correction
    ``(|b - c| - 1)² / (b + c)``.

    Examples
    --------
    >>> mcnemar(1, 7).p_value, mcnemar(0, 0).p_value
    (0.0703125, 1.0)
    """
    discordant = only_a_right + only_b_right
    if discordant < EXACT_BELOW:
        as_uneven = sum(comb(discordant, k) for k in range(min(only_a_right, only_b_right) + 1))
        return McNemar(only_a_right, only_b_right, min(1.0, 2 * as_uneven / 2**discordant), "exact binomial")
    distance = max(abs(only_a_right - only_b_right) - 1, 0)
    # The tail of chi-squared with one degree of freedom is that of a normal variable, squared.
    return McNemar(only_a_right, only_b_right, erfc(distance / sqrt(2 * discordant)), "chi-squared")


@dataclass(frozen=True)
class PairedComparison:
    """Two models on the same rows.

    Attributes
    ----------
    mcnemar
        Whether they err equally often.
    a, b, differences
        Metric → value with interval, and a minus b, paired by block.
    more_than_luck
        Whether the interval of the difference in PR-AUC lies on one side of zero.
    sentence
        The verdict in words.
    resampling
        How the intervals were drawn, as JSON.
    """

    mcnemar: McNemar
    a: Mapping[str, Estimate]
    b: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    more_than_luck: bool
    sentence: str
    resampling: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "mcnemar": {
                "only_a_right": self.mcnemar.only_a_right,
                "only_b_right": self.mcnemar.only_b_right,
                "p_value": self.mcnemar.p_value,
                "method": self.mcnemar.method,
            },
            "a": {name: estimate.as_json() for name, estimate in self.a.items()},
            "b": {name: estimate.as_json() for name, estimate in self.b.items()},
            "differences": {name: estimate.as_json() for name, estimate in self.differences.items()},
            "more_than_luck": self.more_than_luck,
            "sentence": self.sentence,
            "bootstrap": dict(self.resampling),
        }


def compare_paired(
    y: NDArray[np.integer],
    p_a: NDArray[np.floating],
    p_b: NDArray[np.floating],
    codes: Int,
    timestamps: Int,
    *,
    thresholds: tuple[float, float] = (0.5, 0.5),
    horizon_us: int = 0,
    names: tuple[str, str] = ("A", "B"),
    bootstrap: Bootstrap | None = None,
) -> PairedComparison:
    """Compare two models' probabilities on the identical rows.

    Parameters
    ----------
    y
        1 or 0, shape (n,).
    p_a, p_b
        Probabilities of class 1, in [0, 1], shape (n,).
    codes, timestamps, horizon_us
        As in `evaluate`.
    thresholds
        Smallest probability each model calls positive.
    names
        For the sentence.
    bootstrap
        Replicates, confidence and seed; the defaults of `Bootstrap` if None.

    Raises
    ------
    DataError
        If there are no rows, lengths differ, or a value is out of range.
    """
    y, p_a = checked(y, p_a)
    y, p_b = checked(y, p_b)
    if len(codes) != len(y):
        raise DataError("evaluation.labels_not_one_per_row", labels=len(y), instruments=len(codes))
    bootstrap = bootstrap or Bootstrap()
    blocks = make_blocks(codes, timestamps, horizon_us)
    decided_a, decided_b = p_a >= thresholds[0], p_b >= thresholds[1]
    right_a, right_b = decided_a == (y == 1), decided_b == (y == 1)
    test = mcnemar(int(np.count_nonzero(right_a & ~right_b)), int(np.count_nonzero(right_b & ~right_a)))
    measured = measure(
        {
            "a": Candidate.of(y, p_a, decided_a, blocks, has_probability=True),
            "b": Candidate.of(y, p_b, decided_b, blocks, has_probability=True),
        },
        blocks,
        bootstrap,
    )
    differences = measured["a"].minus(measured["b"], blocks, bootstrap)
    a, b = (measured[side].estimates(blocks, bootstrap) for side in "ab")
    sentence = " ".join((_ranking_sentence(a, b, differences, names, bootstrap), _error_sentence(test, names)))
    return PairedComparison(
        mcnemar=test,
        a=a,
        b=b,
        differences=differences,
        more_than_luck=differences["pr_auc"].excludes_zero,
        sentence=sentence,
        resampling=resampling_json(blocks, bootstrap),
    )


def _ranking_sentence(
    a: Mapping[str, Estimate],
    b: Mapping[str, Estimate],
    differences: Mapping[str, Estimate],
    names: tuple[str, str],
    bootstrap: Bootstrap,
) -> str:
    difference = differences["pr_auc"]
    if difference.value is None:
        return "No row is positive, so neither ranking can be judged."
    if difference.value == 0:
        lead = f"{names[0]} and {names[1]} rank equally well (PR-AUC {a['pr_auc'].value:.4f})"
    else:
        better = names[0] if difference.value > 0 else names[1]
        lead = f"{better} ranks better (PR-AUC {names[0]} {a['pr_auc'].value:.4f}, {names[1]} {b['pr_auc'].value:.4f})"
    if difference.low is None or difference.high is None:
        return f"{lead}; there are too few coins and too short a time to rule out luck."
    verdict = "is more than luck" if difference.excludes_zero else "may be luck"
    return (
        f"{lead}; the difference of {difference.value:+.4f} ({bootstrap.confidence:.0%} interval "
        f"{difference.low:+.4f} to {difference.high:+.4f}) {verdict}."
    )


def _error_sentence(test: McNemar, names: tuple[str, str]) -> str:
    counts = f"{test.only_a_right} rows right by {names[0]} alone, {test.only_b_right} by {names[1]} alone"
    if test.p_value >= ALPHA:
        return f"They err about equally often ({counts}; McNemar p = {test.p_value:.3g})."
    fewer = names[0] if test.only_a_right > test.only_b_right else names[1]
    return f"{fewer} errs less often ({counts}; McNemar p = {test.p_value:.3g})."
