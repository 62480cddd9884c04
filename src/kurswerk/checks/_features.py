"""Properties of features: the same bits batch and live, no row after its own, no other coin, no invented value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._change import arrival_order, change_rows, pierce_rows, place_in, with_companion
from kurswerk.checks._evidence import Effort, Evidence, Finding, Place, PropertyCheck, examine_all
from kurswerk.checks.ports import FeatureSet, Float, Int
from kurswerk.core.errors import DataError
from kurswerk.market import Panel


@dataclass(frozen=True, eq=False)
class FeatureCase:
    """Features, the panel they are tried on, and the declared range (lowest, highest) of each."""

    features: FeatureSet
    panel: Panel
    ranges: Sequence[tuple[float, float]] | None = None

    def place(self, rows: Int | None = None) -> Place:
        """Return a function that names coin, time and feature of an index into the matrix (of some rows of it)."""
        return place_in(self.panel, tuple(self.features.names), rows)


def feature_checks(
    features: FeatureSet,
    panel: Panel,
    random_state: int = 0,
    *,
    ranges: Sequence[tuple[float, float]] | None = None,
    effort: Effort | None = None,
) -> Iterator[Finding]:
    """Try all properties of features.

    Parameters
    ----------
    features
        One feature or many; `PlanFeatures` wraps names.
    panel
        At least two coins, some longer than the longest look-back; missing values are welcome.
    random_state
        The same one draws the same changes.
    ranges
        Lowest and highest value of each feature, where declared.

    Yields
    ------
    Finding
        One for each property of ``FEATURE_PROPERTIES``.
    """
    case = FeatureCase(features, panel, ranges)
    yield from examine_all(FEATURE_PROPERTIES, case, ", ".join(features.names), random_state, effort)


def replay(features: FeatureSet, panel: Panel, order: Int, stops: Int, restarts: frozenset[int] = frozenset()) -> Float:
    """Compute all rows through the live path.

    Parameters
    ----------
    order
        Row numbers as they arrive.
    stops
        Ascending ends of the chunks within ``order``; the last one is ``len(order)``.
    restarts
        Numbers of chunks after which the process starts anew from snapshots of every coin seen.

    Returns
    -------
    ndarray
        float64 (n_rows, n_features) in the order of the panel; NaN for rows not in ``order``.
    """
    live = features.live()
    inputs, codes = input_values(features, panel), panel.codes
    result = np.full((len(panel), len(features.names)), np.nan)
    seen: dict[str, None] = {}
    begin = 0
    for number, stop in enumerate(stops):
        rows = order[begin:stop]
        keys = [panel.instruments[code] for code in codes[rows]]
        result[rows] = live.update(keys, panel.timestamps[rows], inputs[rows])
        seen.update(dict.fromkeys(keys))
        if number in restarts:
            fresh = features.live()
            for key in seen:
                fresh.restore(key, live.snapshot(key))
            live = fresh
        begin = int(stop)
    return result


def input_values(features: FeatureSet, panel: Panel) -> Float:
    """Return the live path's inputs of all rows, C order, shape (n_rows, n_inputs)."""
    return np.ascontiguousarray(np.stack([panel.column(name) for name in features.inputs], axis=1))


def _random_stops(n: int, rng: np.random.Generator) -> Int:
    largest = int(rng.choice([2, 7, 64, 1000]))
    stops = np.cumsum(rng.integers(1, largest + 1, size=n))
    return np.append(stops[stops < n], n).astype(np.int64)


def _pure(case: FeatureCase, evidence: Evidence) -> None:
    before = case.panel.fingerprint()
    first = case.features.batch(case.panel)
    for _ in evidence.rounds():
        evidence.equal(first, case.features.batch(case.panel), case.place(), "computed again")
    evidence.require(case.panel.fingerprint() == before, "computing the features has changed the panel")


def _rows_equal_batch(case: FeatureCase, evidence: Evidence) -> None:
    order = arrival_order(case.panel)
    live = replay(case.features, case.panel, order, np.arange(1, len(order) + 1))
    evidence.trials += 1
    evidence.equal(case.features.batch(case.panel), live, case.place(), "row by row against batch")


def _chunks_equal_batch(case: FeatureCase, evidence: Evidence) -> None:
    batch = case.features.batch(case.panel)
    for _ in evidence.rounds():
        order = arrival_order(case.panel, evidence.rng)
        live = replay(case.features, case.panel, order, _random_stops(len(order), evidence.rng))
        evidence.equal(batch, live, case.place(), "random chunks against batch")


def _restarts_equal_batch(case: FeatureCase, evidence: Evidence) -> None:
    batch = case.features.batch(case.panel)
    for trial in evidence.rounds():
        order = arrival_order(case.panel, evidence.rng if trial % 2 else None)
        stops = _random_stops(len(order), evidence.rng)
        restarts = frozenset(int(k) for k in evidence.rng.integers(0, len(stops), size=5))
        live = replay(case.features, case.panel, order, stops, restarts)
        evidence.equal(batch, live, case.place(), "restarted against batch")


def _late_rows(case: FeatureCase, evidence: Evidence) -> None:
    """Hold rows back, offer them late, rebuild their coins, and compare all that follows."""
    panel, batch = case.panel, case.features.batch(case.panel)
    for _ in evidence.rounds():
        order = arrival_order(panel, evidence.rng)
        moment = int(evidence.rng.integers(len(order) // 4, len(order) * 3 // 4 + 1))
        late = _held_back(panel, order[:moment], evidence.rng)
        evidence.require(late.size > 0, "no coin has three rows, so no row can come late; give more rows")
        if late.size:
            live = _offer_late(case, evidence, order, moment, late)
            rest = order[moment:]
            evidence.equal(batch[rest], live, case.place(rest), "after a late row")


def _held_back(panel: Panel, early: Int, rng: np.random.Generator) -> Int:
    """Return one row each of up to six coins, never the coin's newest among the early rows.

    Half of them are the row before the newest, which every window of two rows or more still sees.
    """
    codes = panel.codes[early]
    several, late = np.flatnonzero(np.bincount(codes, minlength=1) >= 2), []
    for number, code in enumerate(rng.permutation(several)[:6]):
        rows = np.sort(early[codes == code])
        late.append(rng.choice(rows[:-1]) if number % 2 else rows[-2])
    return np.array(late, dtype=np.int64)


def _offer_late(case: FeatureCase, evidence: Evidence, order: Int, moment: int, late: Int) -> Float:
    panel, live, inputs = case.panel, case.features.live(), input_values(case.features, case.panel)

    def update(rows: Int) -> Float:
        return live.update(
            [panel.instruments[code] for code in panel.codes[rows]], panel.timestamps[rows], inputs[rows]
        )

    early, rest = order[:moment], order[moment:]
    # The late rows are held back, and then offered behind a row that is newer than they are.
    update(early[~np.isin(early, late)])
    try:
        update(np.concatenate((rest[:1], late)))
    except DataError:
        pass
    else:
        evidence.require(False, f"a late row was taken as if it were new, at {case.place()((int(late[0]), 0))}")
    # The prediction service does the same: it builds the coin's state again from all rows known by now.
    known = np.zeros(len(panel), dtype=bool)
    known[early] = True
    live.rebuild(panel.where(known & np.isin(panel.codes, panel.codes[late])))
    return update(rest)


def cut_rows(panel: Panel, rng: np.random.Generator) -> Int:
    """Return one random row of each coin, shape (n_instruments,)."""
    return panel.offsets[:-1] + (rng.random(len(panel.instruments)) * np.diff(panel.offsets)).astype(np.int64)


def _future_rows(case: FeatureCase, evidence: Evidence) -> None:
    panel, batch = case.panel, case.features.batch(case.panel)
    for trial in evidence.rounds(4):
        past = np.arange(len(panel)) <= cut_rows(panel, evidence.rng)[panel.codes]
        changed = panel.where(past) if trial % 2 else change_rows(panel, ~past, evidence.rng)
        values = case.features.batch(changed)
        rows = np.flatnonzero(past)
        evidence.equal(
            batch[rows],
            values if trial % 2 else values[rows],
            case.place(rows),
            f"later rows {'removed' if trial % 2 else 'changed'}",
        )


def _missing_values(case: FeatureCase, evidence: Evidence) -> None:
    """Make whole rows missing, among them the last ones before a cut, and change everything after the cut."""
    panel = case.panel
    for _ in evidence.rounds(4):
        cuts, number = cut_rows(panel, evidence.rng)[panel.codes], np.arange(len(panel))
        past = number <= cuts
        holes = past & ((cuts - number < 2) | (evidence.rng.random(len(panel)) < 0.03))
        pierced = pierce_rows(panel, holes)
        first = case.features.batch(pierced)
        second = case.features.batch(change_rows(pierced, ~past, evidence.rng))
        evidence.equal(
            np.where(past[:, None], first, 0.0), np.where(past[:, None], second, 0.0), case.place(), "value filled in"
        )
        _nothing_invented(case, evidence, holes, first)


def _nothing_invented(case: FeatureCase, evidence: Evidence, holes: NDArray[np.bool_], pierced: Float) -> None:
    """Require that a feature which depends on its own row is missing where that row is."""
    base = case.features.batch(case.panel)
    other = case.features.batch(change_rows(case.panel, holes, evidence.rng))
    depends = np.any((base != other)[holes] & ~np.isnan(base[holes]), axis=0)
    invented = holes[:, None] & depends & ~np.isnan(pierced)
    evidence.values_compared += int(holes.sum()) * int(depends.sum())
    if invented.any():
        index = tuple(int(i) for i in np.argwhere(invented)[0])
        evidence.require(
            False, f"{pierced[index].item()!r} where the row's inputs are missing, at {case.place()(index)}"
        )


def _windows_full(case: FeatureCase, evidence: Evidence) -> None:
    position = np.arange(len(case.panel)) - case.panel.offsets[case.panel.codes]
    # A recursive feature (look-back None) may have a value from the first row on.
    needed = np.array([0 if rows is None else rows - 1 for rows in case.features.lookbacks])
    early = position[:, None] < needed[None, :]
    values = case.features.batch(case.panel)
    evidence.trials += 1
    evidence.values_compared += int(early.sum())
    wrong = early & ~np.isnan(values)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        evidence.require(
            False,
            f"{values[index].item()!r} at row {int(position[index[0]]) + 1} of a coin, before the look-back of "
            f"{int(needed[index[1]]) + 1} rows is full, at {case.place()(index)}",
        )


def _other_coins(case: FeatureCase, evidence: Evidence) -> None:
    case = replace(case, panel=with_companion(case.panel))
    panel, batch = case.panel, case.features.batch(case.panel)
    for trial in evidence.rounds(4):
        kept = (evidence.rng.permutation(len(panel.instruments)) % 2 == 0)[panel.codes]
        rows = np.flatnonzero(kept)
        changed = panel.where(kept) if trial % 2 else change_rows(panel, ~kept, evidence.rng)
        values = case.features.batch(changed)
        evidence.equal(
            batch[rows],
            values if trial % 2 else values[rows],
            case.place(rows),
            f"other coins {'removed' if trial % 2 else 'changed'}",
        )


def _look_back(case: FeatureCase, evidence: Evidence) -> None:
    """Rows before the look-back change nothing; the oldest row inside it does."""
    panel, batch = case.panel, case.features.batch(case.panel)
    for _ in evidence.rounds():
        for rows in sorted({rows for rows in case.features.lookbacks if rows is not None}):
            columns = np.array([k for k, back in enumerate(case.features.lookbacks) if back == rows])
            _exact_look_back(case, evidence, batch[:, columns], columns, rows)
    evidence.require(len(panel) > 0, "the panel is empty")


def _exact_look_back(case: FeatureCase, evidence: Evidence, batch: Float, columns: Int, look_back: int) -> None:
    panel = case.panel
    oldest = cut_rows(panel, evidence.rng)
    at = oldest + look_back - 1
    full = at < panel.offsets[1:]
    at, oldest = at[full], oldest[full]
    # Coins without a full look-back have no entry in `oldest`: the count of full ones up to a coin is its place there.
    before = np.arange(len(panel)) < np.append(oldest, 0)[np.cumsum(full)[panel.codes] - 1]
    before &= full[panel.codes]
    changed = case.features.batch(change_rows(panel, before, evidence.rng))[:, columns]

    def place(index: tuple[int, ...]) -> str:
        return case.place()((int(at[index[0]]), int(columns[index[1]])))

    evidence.equal(batch[at], changed[at], place, f"rows before the look-back of {look_back} changed")
    # The other half: a look-back declared too long shows by a value in spite of a hole in its oldest row.
    holes = np.zeros(len(panel), dtype=bool)
    holes[oldest] = True
    pierced = case.features.batch(pierce_rows(panel, holes))[:, columns][at]
    unneeded = ~np.isnan(pierced) & ~np.isnan(batch[at])
    evidence.values_compared += unneeded.size
    if unneeded.any():
        index = tuple(int(i) for i in np.argwhere(unneeded)[0])
        evidence.require(
            False, f"the oldest of {look_back} rows is missing and yet there is a value, at {place(index)}"
        )


def _constant_input(case: FeatureCase, evidence: Evidence) -> None:
    for value in (0.0, 1.0, 1e-300, 1e300):
        panel = replace(case.panel, values=np.full_like(case.panel.values, value))
        batch = case.features.batch(panel)
        live = replay(case.features, panel, arrival_order(panel), np.array([len(panel)]))
        evidence.trials += 1
        evidence.equal(batch, live, case.place(), f"all inputs {value}, live against batch")
        if value in {0.0, 1.0}:  # valid for every input, shares of one included
            _within_ranges(case, evidence, batch, f"all inputs {value}")


def _in_range(case: FeatureCase, evidence: Evidence) -> None:
    evidence.trials += 1
    _within_ranges(case, evidence, case.features.batch(case.panel), "on the data")


def _within_ranges(case: FeatureCase, evidence: Evidence, values: Float, what: str) -> None:
    for column, (low, high) in enumerate(case.ranges or ()):
        outside = np.flatnonzero((values[:, column] < low) | (values[:, column] > high))
        evidence.values_compared += len(values)
        if outside.size:
            index = (int(outside[0]), column)
            evidence.require(
                False, f"{what}: {values[index].item()!r} lies outside [{low}, {high}] at {case.place()(index)}"
            )


PURE = PropertyCheck("pure", "the same panel gives the same bits, and is left as it was", _pure)
ROW_BY_ROW = PropertyCheck("batch_equals_rows", "one row at a time gives the bits of the batch", _rows_equal_batch)
CHUNKS = PropertyCheck("random_chunks", "chunks of any size, coins interleaved at random, give the bits of the batch",
             _chunks_equal_batch)  # fmt: skip
RESTART = PropertyCheck("restart", "a restart from snapshots at random rows changes no bit", _restarts_equal_batch)
LATE_ROW = PropertyCheck(
    "late_row", "a late row is refused; after the rebuild all bits are those of the batch", _late_rows
)
FUTURE_ROWS = PropertyCheck("future_rows", "later rows changed or removed at random change no bit", _future_rows)
MISSING = PropertyCheck(
    "missing_values", "a missing row is never filled in, neither from later nor from earlier", _missing_values
)
WINDOW_FULL = PropertyCheck("window_full", "there is no value before the look-back is full", _windows_full)
OTHER_COINS = PropertyCheck("other_coins", "other coins changed or removed change no bit", _other_coins)
LOOK_BACK = PropertyCheck(
    "look_back", "rows before the look-back do not matter, the oldest one inside it does", _look_back
)
CONSTANT = PropertyCheck(
    "constant_input", "constant, zero, tiny and huge inputs: batch = live, inside the range", _constant_input
)
IN_RANGE = PropertyCheck("in_range", "no value lies outside the declared range", _in_range)

FEATURE_PROPERTIES: tuple[PropertyCheck[FeatureCase], ...] = (
    PURE,
    ROW_BY_ROW,
    CHUNKS,
    RESTART,
    LATE_ROW,
    FUTURE_ROWS,
    MISSING,
    WINDOW_FULL,
    OTHER_COINS,
    LOOK_BACK,
    CONSTANT,
    IN_RANGE,
)
