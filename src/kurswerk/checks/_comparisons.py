"""Properties of features and labels that compare instruments: they know members of their moment and nothing else."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._change import change_rows, place_in
from kurswerk.checks._evidence import Evidence, Place, PropertyCheck
from kurswerk.checks._features import PURE, WINDOW_FULL, FeatureCase
from kurswerk.checks._labels import LABEL_FUTURE, LABEL_HORIZON, LABEL_PURE, LabelCase
from kurswerk.checks._plan import PlanFeatures
from kurswerk.checks.ports import Float, Int
from kurswerk.features import RETURN, FeaturePlan, LiveEngine, Past, SealedMoment, compare_with, longest_regression
from kurswerk.market import MarketSchema, Panel
from kurswerk.market.moments import panel_moments

Bool = NDArray[np.bool_]
# Of rows that come late: how many, and by how many moments at most.
_LATE_SHARE, _LATEST = 0.05, 3


@dataclass(frozen=True, eq=False)
class ComparisonCase(FeatureCase):
    """Features of a plan with a second stage, and the market whose moments they compare at."""

    plan: FeaturePlan | None = None

    @property
    def whole_plan(self) -> FeaturePlan:
        """The plan."""
        if self.plan is None:
            raise TypeError("a plan is needed")
        return self.plan


def comparison_case(plan: FeaturePlan, panel: Panel) -> ComparisonCase:
    """Return a plan and the panel that it is tried on."""
    return ComparisonCase(PlanFeatures(plan), panel, plan=plan)


def sample_moments(panel: Panel, market: MarketSchema, most_rows: int, rng: np.random.Generator) -> Panel:
    """Return all rows of as many consecutive moments, from a random one on, as give ``most_rows`` rows at most."""
    if len(panel) <= most_rows:
        return panel
    joined, _ = panel_moments(panel, market)
    moments, counts = np.unique(joined, return_counts=True)
    first = int(rng.integers(0, np.searchsorted(np.cumsum(counts), len(panel) - most_rows, side="right") + 1))
    fitting = max(1, int(np.searchsorted(np.cumsum(counts[first:]), most_rows, side="right")))
    return panel.where((joined >= moments[first]) & (joined <= moments[min(first + fitting, len(moments)) - 1]))


@dataclass(frozen=True, eq=False)
class Arrival:
    """Rows in the order in which they come, and which come when their moment is sealed already."""

    order: Int
    outsiders: Bool


def late_arrival(panel: Panel, joined: Int, rng: np.random.Generator) -> Arrival:
    """Let a few rows come up to three moments late, those of an instrument in their order.

    A moment is sealed when the first row behind it has come.
    """
    moments = np.unique(joined)
    late = rng.random(len(panel)) < _LATE_SHARE
    behind = np.searchsorted(moments, joined) + rng.integers(1, _LATEST + 1, len(panel))
    delayed = np.where(late, moments[np.minimum(behind, len(moments) - 1)], panel.timestamps)
    arrival = np.maximum(delayed, panel.timestamps)
    for start, stop in zip(panel.offsets[:-1], panel.offsets[1:], strict=True):
        arrival[start:stop] = np.maximum.accumulate(arrival[start:stop])
    order = np.lexsort((rng.random(len(panel)), arrival))
    # Of rows that arrive together the older ones stand first: those of one instrument keep their order.
    order = order[np.lexsort((panel.timestamps[order], arrival[order]))]
    newest = np.maximum.accumulate(joined[order])
    outsiders = np.zeros(len(panel), dtype=np.bool_)
    outsiders[order] = joined[order] < newest
    return Arrival(order, outsiders)


class SealedReplay:
    """Rows through the live path: features of single instruments as they come, moments sealed, rows compared."""

    def __init__(self, plan: FeaturePlan, panel: Panel) -> None:
        self.plan, self.panel = plan, panel
        self.joined, self.read = panel_moments(panel, plan.market)
        self.inputs = np.stack([panel.column(name) for name in plan.first_stage.inputs], axis=1)
        self.codes = panel.codes
        self.out = np.full((len(panel), len(plan.names)), np.nan)
        self._first = np.full((len(panel), len(plan.first_stage.names)), np.nan)
        self._pending: dict[int, list[int]] = defaultdict(list)
        self._joining: dict[int, dict[str, int]] = defaultdict(dict)
        self._sealed: dict[int, SealedMoment] = {}
        self._means: dict[int, float] = {}
        # From here on moments are open.
        self._begin = int(np.iinfo(np.int64).min)

    def run(self, order: Int, stops: Int, restarts: frozenset[int]) -> Float:
        """Take rows in chunks, start anew from snapshots after some, and return all features in the panel's order."""
        engine, begin = LiveEngine(self.plan.first_stage), 0
        names = self.panel.instruments
        for number, stop in enumerate(stops.tolist()):
            rows = order[begin:stop]
            keys = [names[code] for code in self.codes[rows].tolist()]
            self._first[rows] = engine.update(
                keys, self.panel.timestamps[rows], np.ascontiguousarray(self.inputs[rows])
            )
            for row, key in zip(rows.tolist(), keys, strict=True):
                self._take(row, key)
            if number in restarts:
                fresh = LiveEngine(self.plan.first_stage)
                for key in engine.keys:
                    fresh.restore(key, engine.snapshot(key))
                engine = fresh
            begin = stop
        self._seal_before(np.iinfo(np.int64).max)
        return self.out

    def _take(self, row: int, key: str) -> None:
        """Seal what lies behind the row, and have it wait for the moment that it reads, or be compared at once."""
        self._seal_before(int(self.joined[row]))
        joined, read = int(self.joined[row]), int(self.read[row])
        if joined >= self._begin:
            self._joining[joined][key] = row
        if read < self._begin:
            self._compare(read, [row])
        else:
            self._pending[read].append(row)

    def _seal_before(self, moment: int) -> None:
        self._begin = max(self._begin, moment)
        for due in sorted(one for one in {*self._joining, *self._pending} if one < moment):
            rows = [row for _, row in sorted(self._joining.pop(due, {}).items())]
            names = tuple(self.panel.instruments[code] for code in self.codes[rows].tolist())
            values = {n: self._first[rows, k].copy() for k, n in enumerate(self.plan.first_stage.names)}
            self._sealed[due] = SealedMoment(due, names, self.panel.timestamps[rows], values)
            self._compare(due, self._pending.pop(due, []))

    def _compare(self, moment: int, rows: Sequence[int]) -> None:
        if not rows:
            return
        empty = dict.fromkeys(self.plan.first_stage.names, np.empty(0))
        sealed = self._sealed.get(moment) or SealedMoment(moment, (), np.empty(0, dtype=np.int64), empty)
        pasts = self._pasts(rows) if longest_regression(self.plan) else None
        self.out[list(rows)] = compare_with(self.plan, sealed, self._first[list(rows)], pasts)

    def _pasts(self, rows: Sequence[int]) -> list[Past]:
        window, place = longest_regression(self.plan), self.plan.first_stage.names.index(RETURN)
        pasts = []
        for row in rows:
            start = max(int(self.panel.offsets[self.codes[row]]), row - window + 1)
            past = np.arange(start, row + 1)
            market = np.array([self._mean(int(self.read[k])) for k in past.tolist()])
            pasts.append(Past(self._first[past, place], market))
        return pasts

    def _mean(self, moment: int) -> float:
        if moment not in self._means:
            sealed = self._sealed.get(moment)
            self._means[moment] = np.nan if sealed is None else sealed.mean(RETURN)
        return self._means[moment]


def _sealed_moments(case: ComparisonCase, evidence: Evidence) -> None:
    """Replay with rows that come late, in chunks and with restarts, and compare with the batch."""
    plan, panel = case.whole_plan, case.panel
    joined, _ = panel_moments(panel, plan.market)
    for _ in evidence.rounds():
        arrival = late_arrival(panel, joined, evidence.rng)
        count = len(arrival.order)
        stops = np.unique(np.append(evidence.rng.integers(1, count + 1, size=min(count, 200)), count)).astype(np.int64)
        restarts = frozenset(int(k) for k in evidence.rng.integers(0, len(stops), size=5))
        live = SealedReplay(plan, panel).run(arrival.order, stops, restarts)
        batch = case.features.batch(replace(panel, outsiders=arrival.outsiders))
        evidence.equal(batch, live, case.place(), "sealed moment by moment against batch")


def _later_moments(case: ComparisonCase, evidence: Evidence) -> None:
    panel, batch = case.panel, case.features.batch(case.panel)
    joined, _ = panel_moments(panel, case.whole_plan.market)
    for trial in evidence.rounds(4):
        past = joined <= evidence.rng.choice(joined)
        changed = panel.where(past) if trial % 2 else change_rows(panel, ~past, evidence.rng)
        values, rows = case.features.batch(changed), np.flatnonzero(past)
        what = f"rows of later moments {'removed' if trial % 2 else 'changed'}"
        evidence.equal(batch[rows], values if trial % 2 else values[rows], case.place(rows), what)


def _declared(case: ComparisonCase, evidence: Evidence) -> None:
    """Change other instruments: what declares no comparison keeps its bits, what declares one may and does change."""
    plan, panel = case.whole_plan, case.panel
    batch = case.features.batch(panel)
    alone = np.array([k for k, feature in enumerate(plan.features) if feature.cross is None], dtype=np.int64)
    compared = np.setdiff1d(np.arange(len(plan.names)), alone)
    read = {column for k in compared.tolist() for column in plan.features[k].inputs}
    unread = [k for k, name in enumerate(panel.columns) if name not in read]
    noticed = 0
    for _ in evidence.rounds(2):
        kept = (evidence.rng.permutation(len(panel.instruments)) % 2 == 0)[panel.codes]
        rows = np.flatnonzero(kept)
        changed = change_rows(panel, ~kept, evidence.rng)
        values = case.features.batch(changed)
        evidence.equal(batch[rows][:, alone], values[rows][:, alone], _columns(case, rows, alone), "others changed")
        before, after = batch[rows][:, compared], values[rows][:, compared]
        noticed += int(np.count_nonzero((before != after) & ~(np.isnan(before) & np.isnan(after))))
        if unread:
            other = panel.values.copy()
            other[unread] = changed.values[unread]
            values = case.features.batch(replace(panel, values=other))
            what = "columns of others that no comparison reads changed"
            evidence.equal(batch[rows], values[rows], case.place(rows), what)
    evidence.require(noticed > 0, "no feature that compares instruments changes when the others do")


def _columns(case: FeatureCase, rows: Int, columns: Int) -> Place:
    place = case.place(rows)
    return lambda index: place((index[0], int(columns[index[1]])))


def _outsiders(case: ComparisonCase, evidence: Evidence) -> None:
    """Rows that are no members may change or go: no bit of any other row changes."""
    panel = case.panel
    for trial in evidence.rounds(2):
        # Whole instruments from a row on: features of single instruments see their own past.
        cuts = np.where(
            evidence.rng.random(len(panel.instruments)) < 0.2, evidence.rng.random(len(panel.instruments)), 1
        )
        share = (np.arange(len(panel)) - panel.offsets[:-1][panel.codes]) / np.diff(panel.offsets)[panel.codes]
        outside = share >= cuts[panel.codes]
        marked = replace(panel, outsiders=outside)
        batch, rows = case.features.batch(marked), np.flatnonzero(~outside)
        changed = marked.where(~outside) if trial % 2 else change_rows(marked, outside, evidence.rng)
        values = case.features.batch(changed)
        what = f"rows that are no members {'removed' if trial % 2 else 'changed'}"
        evidence.equal(batch[rows], values if trial % 2 else values[rows], case.place(rows), what)


def _label_end(case: LabelCase, evidence: Evidence) -> None:
    panel, first = case.panel, case.labels(case.panel)
    for _ in evidence.rounds(4):
        cut = int(evidence.rng.choice(panel.timestamps))
        changed = case.labels(change_rows(panel, panel.timestamps > cut, evidence.rng))
        rows = np.flatnonzero(first.end_us <= cut)
        evidence.equal(
            first.values[rows], changed.values[rows], place_in(panel, (), rows), "rows after the label's end changed"
        )


def _label_past(case: LabelCase, evidence: Evidence) -> None:
    """Change all rows of the moments before one; labels of rows that read it or a later one keep their bits."""
    panel, first, market = case.panel, case.labels(case.panel), case.market
    if market is None:
        raise TypeError("a market is needed")
    joined, read = panel_moments(panel, market)
    for _ in evidence.rounds(4):
        moment = int(evidence.rng.choice(joined))
        changed = case.labels(change_rows(panel, joined < moment, evidence.rng))
        rows = np.flatnonzero(read >= moment)
        evidence.equal(
            first.values[rows], changed.values[rows], place_in(panel, (), rows), "rows of earlier moments changed"
        )


def _label_outsiders(case: LabelCase, evidence: Evidence) -> None:
    panel = case.panel
    for _ in evidence.rounds(4):
        outside = (evidence.rng.random(len(panel.instruments)) < 0.3)[panel.codes]
        marked = replace(panel, outsiders=outside)
        first, rows = case.labels(marked), np.flatnonzero(~outside)
        changed = case.labels(change_rows(marked, outside, evidence.rng))
        evidence.equal(
            first.values[rows], changed.values[rows], place_in(panel, (), rows), "rows that are no members changed"
        )


COMPARISON_PROPERTIES: tuple[PropertyCheck[ComparisonCase], ...] = (
    PropertyCheck("pure", PURE.proves, PURE.check),
    PropertyCheck(
        "sealed_moments",
        "rows in chunks, some of them late, compared moment by moment across restarts, give the bits of the batch",
        _sealed_moments,
    ),
    PropertyCheck("future_rows", "rows of later moments changed or removed change no bit", _later_moments),
    PropertyCheck("window_full", WINDOW_FULL.proves, WINDOW_FULL.check),
    PropertyCheck("declared_comparisons", "other instruments matter only through declared comparisons", _declared),
    PropertyCheck("outsiders", "rows that are no members changed or removed change no bit of others", _outsiders),
)
LABEL_COMPARISON_PROPERTIES: tuple[PropertyCheck[LabelCase], ...] = (
    LABEL_PURE,
    PropertyCheck("label_end", "rows after a label's declared end do not change it", _label_end),
    PropertyCheck("label_past", "rows of moments before a label's own do not change it", _label_past),
    LABEL_FUTURE,
    LABEL_HORIZON,
    PropertyCheck("label_outsiders", "rows that are no members change no label of others", _label_outsiders),
)
