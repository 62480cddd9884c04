"""Checks of stored market data, each over a whole panel: what is missing, stands still, leaps or cannot be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.core.timestamps import DAY_US
from kurswerk.market import CANDLE_ROLES, Clock, MarketSchema, Panel, Role
from kurswerk.market.calendar import calendar_of
from kurswerk.quality import _kernels as kernels
from kurswerk.quality._finding import ERROR, MOST_EXAMPLES, NOTE, WARNING, Example, Finding

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

# Rows with one close: a week of sessions; elsewhere as many as an hour has bars of five minutes.
STALE_SESSIONS, STALE_ROWS = 5, 12
# A change is a leap where it is both: this much, and so many times the instrument's usual size of a change.
LEAP_RATIO, LEAP_SIZES = 1.2, 8.0
# Of a continuous market: a pause longer than so many usual ones.
PAUSES = 3
# Ratios of new shares to old ones that are so frequent that a leap near one is probably an unknown split.
_SPLITS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 1.5)
_NEAR_SPLIT, _NEAR_UNIT = 0.02, 0.25
_UNITS = (100.0, 1000.0)
_BLOCK = 21
_LEAST_SERIES, _LEAST_DAYS = 20, 365


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes
    ----------
    panel
        Rows with the prices that models read, adjusted for actions that are known.
    market
        Whose rows.
    actions
        Instrument → days (``datetime64[D]``) on which an action is known; leaps there have a cause.
    most_examples
        How many places a finding names.
    """

    panel: Panel
    market: MarketSchema
    actions: Mapping[str, NDArray[np.datetime64]] = field(default_factory=dict)
    most_examples: int = MOST_EXAMPLES

    def column(self, role: Role) -> Float:
        """Return the column of a role, all NaN where the panel lacks it."""
        name = self.market.roles.get(role, "")
        return self.panel.column(name) if name in self.panel.columns else np.full(len(self.panel), np.nan)

    def price(self) -> Float:
        """Return the close with all that was handed out, where the market has it, else the close."""
        derived = [name for name in self.market.derived if name in self.panel.columns]
        return self.panel.column(derived[0]) if derived else self.column(Role.CLOSE)


def gaps(subject: Subject) -> Finding:
    """Find sessions of its exchange on which an instrument has no row between its first and its last one.

    In a market without sessions: pauses of more than three times the instrument's usual one.
    """
    panel = subject.panel
    missing = np.zeros(len(panel), dtype=np.int64)
    if subject.market.clock is Clock.SESSIONS:
        numbers = _session_numbers(panel)
        missing = kernels.missing_before(numbers, panel.offsets)
    else:
        steps = kernels.usual_steps(panel.timestamps, panel.offsets)[panel.codes]
        pause = np.diff(panel.timestamps, prepend=panel.timestamps[:1])
        pause[panel.offsets[:-1][panel.offsets[:-1] < len(panel)]] = 0
        late = (steps > 0) & (pause > PAUSES * steps)
        missing[late] = np.rint(pause[late] / steps[late]).astype(np.int64) - 1
    rows = np.flatnonzero(missing)
    unit = "sessions" if subject.market.clock is Clock.SESSIONS else "rows"
    return _found(subject, "gaps", WARNING, rows, missing[rows], lambda i: {"missing " + unit: int(missing[i])})


def stale_runs(subject: Subject) -> Finding:
    """Find runs of rows in which the close does not move though something is traded."""
    close, volume = subject.column(Role.CLOSE), subject.column(Role.VOLUME)
    traded = np.where(np.isnan(close) | (volume == 0.0), np.nan, close)
    lengths = kernels.runs_of_equals(traded, subject.panel.offsets)
    least = STALE_SESSIONS if subject.market.clock is Clock.SESSIONS else STALE_ROWS
    rows = np.flatnonzero(lengths >= least)
    return _found(
        subject,
        "stale_runs",
        WARNING,
        rows,
        lengths[rows],
        lambda i: {"rows": int(lengths[i]), "close": float(close[i])},
    )


def leaps(subject: Subject) -> Finding:
    """Find changes of the price to the next row, large for any and for this instrument, without an action."""
    changes, rows = _leaps(subject)
    days = subject.panel.timestamps.astype("datetime64[us]").astype("datetime64[D]")
    known = np.zeros(len(rows), dtype=np.bool_)
    for place, row in enumerate(rows):
        there = subject.actions.get(subject.panel.instruments[subject.panel.codes[row]])
        known[place] = there is not None and days[row] in there
    rows = rows[~known]
    price = subject.price()

    def described(i: int) -> dict[str, Any]:
        ratio = float(np.exp(changes[i]))
        near = next((n for n in _SPLITS if abs(log(n) - abs(log(ratio))) < _NEAR_SPLIT), None)
        split = {} if near is None else {"near a split": f"{near:g}:1" if ratio < 1 else f"1:{near:g}"}
        return {"from": float(price[i - 1]), "to": float(price[i]), "change %": 100.0 * (ratio - 1.0), **split}

    return _found(subject, "leaps", WARNING, rows, np.abs(changes[rows]), described)


def broken_candles(subject: Subject) -> Finding:
    """Find rows in which low ≤ open, close ≤ high does not hold."""
    prices = [subject.column(role) for role in CANDLE_ROLES]
    rows = np.flatnonzero(kernels.broken_candles(*prices))
    names = [role.value for role in CANDLE_ROLES]
    return _found(
        subject,
        "broken_candles",
        ERROR,
        rows,
        None,
        lambda i: {name: float(column[i]) for name, column in zip(names, prices, strict=True)},
    )


def missing_prices(subject: Subject) -> Finding:
    """Find rows that lack one of their prices."""
    names = [subject.market.roles[role] for role in CANDLE_ROLES if role in subject.market.roles]
    there = [name for name in names if name in subject.panel.columns]
    lacking = np.zeros(len(subject.panel), dtype=np.int64)
    for name in there:
        lacking += np.isnan(subject.panel.column(name))
    rows = np.flatnonzero(lacking)

    def described(i: int) -> dict[str, Any]:
        return {"missing": ", ".join(name for name in there if np.isnan(subject.panel.column(name)[i]))}

    return _found(subject, "missing_prices", WARNING, rows, lacking[rows], described)


def zero_volume(subject: Subject) -> Finding:
    """Find rows in which nothing was traded."""
    rows = np.flatnonzero(subject.column(Role.VOLUME) == 0.0)
    close = subject.column(Role.CLOSE)
    severity = WARNING if subject.market.clock is Clock.SESSIONS else NOTE
    return _found(subject, "zero_volume", severity, rows, None, lambda i: {"close": float(close[i])})


def repeated_rows(subject: Subject) -> Finding:
    """Find rows that equal the row before in all prices and the volume though something was traded: copied, not new."""
    columns = [subject.column(role) for role in (*CANDLE_ROLES, Role.VOLUME)]
    volume = columns[-1]
    same = kernels.repeats(np.ascontiguousarray(np.array(columns)), subject.panel.offsets)
    rows = np.flatnonzero(same & (volume > 0.0))
    close = columns[3]
    return _found(
        subject, "repeated_rows", WARNING, rows, None, lambda i: {"close": float(close[i]), "volume": float(volume[i])}
    )


def equal_series(subject: Subject) -> Finding:
    """Find instruments whose prices and times equal those of another one: one of them under two names."""
    panel, price = subject.panel, subject.column(Role.CLOSE)
    first: dict[bytes, str] = {}
    examples = []
    for k, name in enumerate(panel.instruments):
        rows = slice(int(panel.offsets[k]), int(panel.offsets[k + 1]))
        if rows.stop - rows.start < _BLOCK:
            continue
        content = price[rows].tobytes() + panel.timestamps[rows].tobytes()
        other = first.setdefault(content, name)
        if other != name:
            examples.append(Example(name, int(panel.timestamps[rows.start]), {"equals": other}))
    return Finding("equal_series", ERROR, len(examples), len(examples), tuple(examples[: subject.most_examples]))


def other_units(subject: Subject) -> Finding:
    """Find levels that shift by about 100 or 1,000: cents in the place of dollars, lots in the place of shares.

    A price from one row to the next; a volume from one block of 21 rows to the next, by their medians.
    """
    panel, price, volume = subject.panel, subject.price(), subject.column(Role.VOLUME)
    changes = kernels.log_changes(price, panel.offsets)
    rows = np.flatnonzero(_near_unit(changes, _NEAR_UNIT))
    places: dict[int, dict[str, Any]] = {
        int(i): {"price from": float(price[i - 1]), "to": float(price[i])} for i in rows
    }
    for k in range(len(panel.instruments)):
        start, end = int(panel.offsets[k]), int(panel.offsets[k + 1])
        blocks = (end - start) // _BLOCK
        if blocks < 2:
            continue
        medians = np.median(volume[start : start + blocks * _BLOCK].reshape(blocks, _BLOCK), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            shifts = np.log(medians[1:] / medians[:-1])
        for block in np.flatnonzero(_near_unit(shifts, _NEAR_UNIT)):
            found = {"volume from": float(medians[block]), "to": float(medians[block + 1])}
            places.setdefault(start + (int(block) + 1) * _BLOCK, found)
    ordered = np.array(sorted(places), dtype=np.int64)
    return _found(subject, "other_units", ERROR, ordered, None, lambda i: places[i])


def survivorship(subject: Subject) -> Finding:
    """Find out whether every series goes on to the last day: then those that ended are missing, the failed ones."""
    panel = subject.panel
    count = len(panel.instruments)
    if count < _LEAST_SERIES:
        return Finding("survivorship", NOTE, 0, 0)
    ends = panel.timestamps[panel.offsets[1:] - 1]
    begins = panel.timestamps[panel.offsets[:-1]]
    last, first = int(ends.max()), int(begins.min())
    ended = int((ends < last - 7 * DAY_US).sum())
    if ended or last - first < _LEAST_DAYS * DAY_US:
        return Finding("survivorship", NOTE, 0, 0)
    values = {"series": count, "ended early": 0, "began later": int((begins > first + 7 * DAY_US).sum())}
    return Finding("survivorship", WARNING, 1, count, (Example("", last, values),))


CHECKS: Sequence[Callable[[Subject], Finding]] = (
    gaps,
    stale_runs,
    leaps,
    broken_candles,
    missing_prices,
    zero_volume,
    repeated_rows,
    equal_series,
    other_units,
    survivorship,
)


def _leaps(subject: Subject) -> tuple[Float, Int]:
    changes = kernels.log_changes(subject.price(), subject.panel.offsets)
    usual = kernels.usual_sizes(changes, subject.panel.offsets)[subject.panel.codes]
    size = np.abs(changes)
    return changes, np.flatnonzero((size > log(LEAP_RATIO)) & (size > LEAP_SIZES * usual))


def _near_unit(changes: Float, within: float) -> Bool:
    size = np.abs(changes)
    near = np.zeros(len(changes), dtype=np.bool_)
    for unit in _UNITS:
        near |= np.abs(size - log(unit)) < within
    return near


def _session_numbers(panel: Panel) -> Int:
    """Return the number of each row's session at its exchange; consecutive ones where the calendar is not known."""
    numbers = np.arange(len(panel), dtype=np.int64)
    exchanges = panel.exchanges or ("",) * len(panel.instruments)
    for exchange in set(exchanges) - {""}:
        rows = np.isin(panel.codes, [k for k, one in enumerate(exchanges) if one == exchange])
        try:
            numbers[rows] = calendar_of(exchange).session_index(panel.timestamps[rows])
        except DataError:  # rows beyond the calendar: nothing is known of gaps there
            continue
    return numbers


def _found(
    subject: Subject,
    check: str,
    severity: str,
    rows: Int,
    weights: NDArray[Any] | None,
    described: Callable[[int], dict[str, Any]],
) -> Finding:
    """Return a finding of rows; its examples are those of the greatest weight, earlier ones first among equals."""
    panel = subject.panel
    codes = panel.codes[rows]
    order = np.arange(len(rows)) if weights is None else np.argsort(-weights, kind="stable")
    examples = tuple(
        Example(panel.instruments[codes[k]], int(panel.timestamps[rows[k]]), described(int(rows[k])))
        for k in order[: subject.most_examples]
    )
    return Finding(check, severity, len(rows), len(np.unique(codes)), examples)
