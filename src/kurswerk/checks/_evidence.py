"""What a check finds: values compared, bits that differ, and the first place where something is wrong."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import KurswerkError

Subject = TypeVar("Subject")
Place = Callable[[tuple[int, ...]], str]

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True)
class Finding:
    """The result of one property check on one subject.

    Attributes
    ----------
    check
        Name of the property, e.g. ``"future_rows"``.
    subject
        What it was tried on, e.g. a feature's name.
    passed
        Whether the property held in every trial.
    message
        What was proved, or the first violation with its value and its place.
    values_compared, differing_bits
        How many values were compared bit by bit, and how many bits differed.
    trials
        How many times the property was tried with other random changes.
    """

    check: str
    subject: str
    passed: bool
    message: str
    values_compared: int = 0
    differing_bits: int = 0
    trials: int = 1


@dataclass(frozen=True)
class Effort:
    """How hard the probes try; more finds no more on a pipeline that is faulty everywhere, but rarer faults.

    Attributes
    ----------
    trials
        Random changes per property; properties that compute in batch alone make four times as many.
    panel_rows
        At most so many rows take part where features are computed row by row.
    fit_rows
        At most so many rows take part where models are fitted again.
    fold_rows
        At most so many rows take part where folds are only looked at.
    """

    trials: int = 4
    panel_rows: int = 20_000
    fit_rows: int = 4_000
    fold_rows: int = 1_000_000


class Evidence:
    """Collects comparisons and violations during a check; carries the check's random generator and effort."""

    def __init__(self, rng: np.random.Generator, effort: Effort | None = None) -> None:
        self.rng = rng
        self.effort = effort or Effort()
        self.values_compared = 0
        self.differing_bits = 0
        self.trials = 0
        self.problem: str | None = None

    def rounds(self, times: int = 1) -> Iterator[int]:
        """Yield the numbers of the trials to make, ``times`` as many where one is cheap; each counts once begun."""
        for trial in range(self.effort.trials * times):
            self.trials += 1
            yield trial

    def require(self, holds: bool, message: str) -> None:
        """Note a violation; the first one is kept."""
        if not holds and self.problem is None:
            self.problem = message

    def equal(self, expected: NDArray[Any], actual: NDArray[Any], place: Place, what: str) -> None:
        """Compare two arrays bit by bit; every NaN counts as the same NaN, +0.0 and -0.0 differ."""
        if expected.shape != actual.shape or expected.dtype != actual.dtype:
            self.require(
                False, f"{what}: {actual.dtype}{actual.shape} where {expected.dtype}{expected.shape} was expected"
            )
            return
        self.values_compared += expected.size
        bits = differing_bits(expected, actual)
        total = int(bits.sum())
        if total:
            self.differing_bits += total
            index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bits > 0)), bits.shape))
            self.require(
                False,
                f"{what}: {int((bits > 0).sum())} of {expected.size} values differ, "
                f"first {actual[index].item()!r} instead of {expected[index].item()!r} at {place(index)}",
            )


def differing_bits(expected: NDArray[Any], actual: NDArray[Any]) -> NDArray[np.int64]:
    """Count the bits that differ, element by element, with every NaN taken as one and the same.

    Parameters
    ----------
    expected, actual
        Of one shape and type with 1, 2, 4 or 8 bytes per element.

    Returns
    -------
    ndarray
        int64, of the same shape.

    Examples
    --------
    >>> differing_bits(np.array([1.0, np.nan, 0.0]), np.array([1.0, np.nan, -0.0])).tolist()
    [0, 0, 1]
    """
    left, right = np.array(expected), np.array(actual)
    if left.dtype.kind == "f":
        left[np.isnan(left)] = np.nan
        right[np.isnan(right)] = np.nan
    unsigned = _UNSIGNED[left.dtype.itemsize]
    bits: NDArray[np.int64] = np.bitwise_count(left.view(unsigned) ^ right.view(unsigned)).astype(np.int64)
    return bits


@dataclass(frozen=True)
class PropertyCheck(Generic[Subject]):
    """One property: its name, what it proves in a sentence, and the function that tries it.

    To add one, write ``check(subject, evidence)``, report to ``evidence``, and add a `PropertyCheck` to the tuple
    of its kind.
    """

    name: str
    proves: str
    check: Callable[[Subject, Evidence], None]

    def examine(self, subject: Subject, name: str, random_state: int, effort: Effort | None = None) -> Finding:
        """Try the property on a subject; what Kurswerk refuses on the way is a violation, not an exception."""
        evidence = Evidence(np.random.default_rng([random_state, crc32(self.name.encode())]), effort)
        try:
            self.check(subject, evidence)
        except KurswerkError as error:
            evidence.require(False, f"could not be tried: {error}")
        return Finding(
            check=self.name,
            subject=name,
            passed=evidence.problem is None,
            message=evidence.problem or self.proves,
            values_compared=evidence.values_compared,
            differing_bits=evidence.differing_bits,
            trials=max(evidence.trials, 1),
        )


def examine_all(
    checks: Sequence[PropertyCheck[Subject]],
    subject: Subject,
    name: str,
    random_state: int,
    effort: Effort | None = None,
) -> Iterator[Finding]:
    """Yield the finding of each check, in order; each draws its random numbers independently of the others."""
    for check in checks:
        yield check.examine(subject, name, random_state, effort)


def certificate(findings: Sequence[Finding], **context: Any) -> dict[str, Any]:
    """Sum findings up as JSON.

    Parameters
    ----------
    findings
        Of all probes that were tried.
    context
        JSON values to stand beside the result (model, artifact, period, moment).

    Returns
    -------
    dict
        ``certified`` (at least one value was compared, no bit differs and every probe passed), ``values_compared``,
        ``differing_bits``, ``leak_probes`` and ``leaks_found`` (numbers of probes), ``trials``, and ``probes``, one
        object per finding.

    Examples
    --------
    >>> certificate([Finding("future_rows", "m", True, "no look ahead", 10, 0, 4)])["certified"]
    True
    """
    compared = sum(finding.values_compared for finding in findings)
    differing = sum(finding.differing_bits for finding in findings)
    failed = sum(not finding.passed for finding in findings)
    summary: Mapping[str, Any] = {
        "certified": compared > 0 and differing == 0 and failed == 0,
        "values_compared": compared,
        "differing_bits": differing,
        "leak_probes": len(findings),
        "leaks_found": failed,
        "trials": sum(finding.trials for finding in findings),
        "probes": [asdict(finding) for finding in findings],
    }
    return {**context, **summary}
