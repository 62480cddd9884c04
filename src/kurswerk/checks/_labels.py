"""Properties of labels: they look at rows after their own, inside the horizon, of their own coin, and nowhere else."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._change import change_rows, place_in, scale_rows, thin, with_companion
from kurswerk.checks._evidence import Effort, Evidence, Finding, PropertyCheck, examine_all
from kurswerk.checks._features import cut_rows
from kurswerk.checks.ports import DeadlineFunction, LabelFunction, LabelRows
from kurswerk.core.timestamps import format_timestamp
from kurswerk.market import MarketSchema, Panel


@dataclass(frozen=True, eq=False)
class LabelCase:
    """Labels, the deadlines that are declared for them, and the panel they are tried on.

    ``market`` is that of labels that compare instruments, at whose moments they do.
    """

    labels: LabelFunction
    deadlines: DeadlineFunction
    panel: Panel
    market: MarketSchema | None = None


def label_checks(
    labels: LabelFunction,
    horizon: int | DeadlineFunction | None,
    panel: Panel,
    random_state: int = 0,
    *,
    name: str = "label",
    effort: Effort | None = None,
) -> Iterator[Finding]:
    """Try all properties of labels.

    Parameters
    ----------
    labels
        Panel → labels, e.g. ``lambda panel: compute_labels(panel, spec)``.
    horizon
        What is declared: microseconds after each row, or a function that returns each row's deadline; None or 0 where
        the label looks at the next row.
    panel
        At least two coins whose rows reach past the horizon.
    random_state
        The same one draws the same changes.
    name
        What the findings call the label.

    Yields
    ------
    Finding
        One for each property of ``LABEL_PROPERTIES``.
    """
    declared = horizon if callable(horizon) else _elapsed(horizon)
    yield from examine_all(LABEL_PROPERTIES, LabelCase(labels, declared, panel), name, random_state, effort)


def _elapsed(horizon_us: int | None) -> DeadlineFunction:
    """Return the deadlines of a horizon in elapsed time."""
    return lambda panel: panel.timestamps + horizon_us if horizon_us else None


def _uneven(case: LabelCase, evidence: Evidence, trial: int) -> Panel:
    """Return the panel as it is or thinned out at random, where rows and time no longer keep step."""
    return thin(case.panel, 0.4, evidence.rng) if trial % 2 else case.panel


def _labels_pure(case: LabelCase, evidence: Evidence) -> None:
    before, first = case.panel.fingerprint(), case.labels(case.panel)
    for _ in evidence.rounds():
        again = case.labels(case.panel)
        evidence.equal(first.values, again.values, place_in(case.panel), "label computed again")
        evidence.equal(first.end_us, again.end_us, place_in(case.panel), "label's end computed again")
    evidence.require(case.panel.fingerprint() == before, "computing the labels has changed the panel")
    odd = np.setdiff1d(first.values, [-1, 0, 1])
    evidence.require(odd.size == 0, f"a label is {odd[:1].tolist()}; only 1, 0 and -1 (unknown) mean something")


def _same(evidence: Evidence, panel: Panel, expected: LabelRows, actual: LabelRows, mask: NDArray[np.bool_],
          what: str) -> None:  # fmt: skip
    rows = np.flatnonzero(mask)

    def place(index: tuple[int, ...]) -> str:
        row = int(rows[index[0]])
        return f"{place_in(panel)((row,))}, which declares to look up to {format_timestamp(int(expected.end_us[row]))}"

    evidence.equal(expected.values[rows], actual.values[rows], place, what)
    returns = [getattr(labels, "returns", None) for labels in (expected, actual)]
    if returns[0] is not None and returns[1] is not None:
        evidence.equal(returns[0][rows], returns[1][rows], place, f"{what}: return")


def _beyond_horizon(case: LabelCase, evidence: Evidence) -> None:
    for trial in evidence.rounds(4):
        panel = _uneven(case, evidence, trial // 2)
        first = case.labels(panel)
        cut = panel.timestamps[cut_rows(panel, evidence.rng)][panel.codes]
        changed = case.labels(change_rows(panel, panel.timestamps > cut, evidence.rng))
        _same(evidence, panel, first, changed, first.end_us <= cut, "rows after the label's end changed")


def _before_row(case: LabelCase, evidence: Evidence) -> None:
    for trial in evidence.rounds(4):
        panel = _uneven(case, evidence, trial)
        first, cuts = case.labels(panel), cut_rows(panel, evidence.rng)
        number = np.arange(len(panel))
        before = number < cuts[panel.codes]
        changed = case.labels(change_rows(panel, before, evidence.rng))
        _same(evidence, panel, first, changed, ~before, "rows before the label's own changed")


def _responds(case: LabelCase, evidence: Evidence) -> None:
    """Change everything after one row of each coin in several ways; some label before it must notice."""
    panel, noticed, tried = case.panel, 0, 0
    first, last = case.labels(panel), panel.offsets[1:] - 1
    for _ in evidence.rounds(4):
        cuts = cut_rows(panel, evidence.rng)
        past = np.arange(len(panel)) <= cuts[panel.codes]
        following = np.where(cuts < last, panel.timestamps[np.minimum(cuts + 1, last)], np.iinfo(np.int64).max)
        ahead = past & (first.values >= 0) & (first.end_us >= following[panel.codes])
        tried += int(ahead.sum())
        changes = [scale_rows(panel, ~past, factor) for factor in (1e3, 1e-3, 0.0)]
        changes.append(_shuffled(panel, ~past, evidence.rng))
        for later in (case.labels(other).values for other in changes):
            # Becoming unknown is no answer: a label of the past is unknown at the end of the data all the same.
            noticed += int(np.count_nonzero(ahead & (later != first.values) & (later >= 0)))
    evidence.values_compared += tried
    evidence.require(tried > 0, "no known label looks past a later row, so nothing can be shown; give more rows")
    evidence.require(
        noticed > 0, f"none of {tried} labels changes when the rows inside its horizon do: it does not see the future"
    )


def _shuffled(panel: Panel, mask: NDArray[np.bool_], rng: np.random.Generator) -> Panel:
    values = panel.values.copy()
    rows = np.flatnonzero(mask)
    values[:, rows] = panel.values[:, rng.integers(0, len(panel), size=len(rows))]
    return replace(panel, values=values)


def _horizon(case: LabelCase, evidence: Evidence) -> None:
    """Require that ends lie inside the horizon, and that no label is known which the coin's rows do not reach."""
    for trial in evidence.rounds():
        panel = _uneven(case, evidence, trial)
        labels = case.labels(panel)
        number, last = np.arange(len(panel)), panel.offsets[1:][panel.codes] - 1
        following = panel.timestamps[np.minimum(number + 1, last)]
        declared = case.deadlines(panel)
        limit = following if declared is None else declared
        known = labels.values >= 0
        evidence.values_compared += len(panel)
        unreached = known & ((number == last) if declared is None else (limit > panel.timestamps[last]))
        _none_of(evidence, panel, unreached, "the label is known though its horizon lies beyond the coin's rows")
        _none_of(evidence, panel, known & (labels.end_us > limit), "the label looks further than its horizon")
        _none_of(evidence, panel, known & (labels.end_us <= panel.timestamps), "the label ends before any later row")


def _none_of(evidence: Evidence, panel: Panel, wrong: NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        first = place_in(panel)((int(np.argmax(wrong)),))
        evidence.require(False, f"{what}: {int(wrong.sum())} rows, first {first}")


def _other_coins(case: LabelCase, evidence: Evidence) -> None:
    panel = with_companion(case.panel)
    first = case.labels(panel)
    for trial in evidence.rounds(4):
        kept = (evidence.rng.permutation(len(panel.instruments)) % 2 == 0)[panel.codes]
        if trial % 2:
            alone, rows = case.labels(panel.where(kept)), np.flatnonzero(kept)
            evidence.equal(
                first.values[rows], alone.values, place_in(panel, (), rows),
                "label with other coins removed",
            )  # fmt: skip
        else:
            changed = case.labels(change_rows(panel, ~kept, evidence.rng))
            _same(evidence, panel, first, changed, kept, "label with other coins changed")


LABEL_PURE = PropertyCheck("label_pure", "the same panel gives the same labels, and is left as it was", _labels_pure)
LABEL_END = PropertyCheck("label_end", "rows after a label's declared end do not change it", _beyond_horizon)
LABEL_PAST = PropertyCheck("label_past", "rows before a label's own do not change it", _before_row)
LABEL_FUTURE = PropertyCheck("label_future", "labels answer to rows inside their horizon", _responds)
LABEL_HORIZON = PropertyCheck(
    "label_horizon", "no label looks past its horizon or is known beyond the coin's rows", _horizon
)
LABEL_COINS = PropertyCheck("label_other_coins", "other coins changed or removed change no label", _other_coins)

LABEL_PROPERTIES: tuple[PropertyCheck[LabelCase], ...] = (
    LABEL_PURE,
    LABEL_END,
    LABEL_PAST,
    LABEL_FUTURE,
    LABEL_HORIZON,
    LABEL_COINS,
)
