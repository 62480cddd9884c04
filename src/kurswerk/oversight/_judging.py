"""Labels of stored predictions, from the market's own rows and by the code that training labels with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError, UnknownNameError
from kurswerk.labels import UNKNOWN, LabelSpec, compute_labels
from kurswerk.market import Panel
from kurswerk.observability import get_logger
from kurswerk.oversight.ports import Int, JudgedModel, Judgements

log = get_logger(__name__)
# Why a label stays unknown:
# - ended: the instrument's rows end before the horizon although the market's go on, or there is no next row;
# - gap: its rows go on, but none lies within the horizon;
# - no_value: the value of the row itself, or one that the label looks at, is missing or has no positive base;
# - no_row: the row predicted from is no longer in the table.
Reason = Literal["ended", "gap", "no_value", "no_row"]
REASONS: tuple[Reason, ...] = get_args(Reason)
ENDED, GAP, NO_VALUE, NO_ROW = range(len(REASONS))
# No reason that is stored: the label could not be computed, such as without a calendar for a horizon in sessions.
FAILED = -2

_FIRST_INSTRUMENTS, _MOST_INSTRUMENTS = 64, 4096
# Rows of a panel at a time: a few columns of them take well under 100 MB.
_ROWS_AT_ONCE = 1_000_000


class RowSource(Protocol):
    """Reads rows of a market."""

    def rows(self, instruments: Sequence[str], from_us: Int, until_us: Int, columns: Sequence[str]) -> Panel:
        """Return each instrument's rows of a period of its own, both ends inclusive, and the next one after it."""
        ...


def judge(panel: Panel, spec: LabelSpec, instruments: Sequence[str], timestamps: Int) -> Judgements:
    """Label rows of a panel by instrument and moment.

    Parameters
    ----------
    panel
        Holds of each instrument all rows from the first of ``timestamps`` to the end of the label's horizon, and one
        beyond it if there is one.
    instruments, timestamps
        The rows asked for, shape (n,); microseconds UTC.

    Returns
    -------
    Judgements
        In the order asked for.

    Raises
    ------
    SpecError
        If the label compares instruments.

    Examples
    --------
    >>> minute = 60_000_000
    >>> panel = Panel.from_columns(
    ...     ["a"] * 3, np.array([0, 1, 9]) * minute, {"price_close": np.array([100.0, 103, np.nan])}
    ... )
    >>> spec = LabelSpec("price_close", minutes=2, min_percent_change=2, direction="up")
    >>> found = judge(panel, spec, ["a"] * 4, np.array([0, 1, 2, 9]) * minute)
    >>> found.labels.tolist(), [REASONS[code] if code >= 0 else None for code in found.reasons]
    ([1, -1, -1, -1], [None, 'gap', 'no_row', 'ended'])
    """
    if spec.compares:
        raise SpecError("label.needs_all_instruments")
    places = places_of(panel, instruments, timestamps)
    labels = np.full(len(places), UNKNOWN, dtype=np.int8)
    reasons = np.full(len(places), NO_ROW, dtype=np.int8)
    returns = np.full(len(places), np.nan, dtype=np.float32)
    end_us = timestamps + (spec.horizon_us or 1)
    there = places >= 0
    if there.any():
        at = places[there]
        computed = compute_labels(panel, spec)
        labels[there] = computed.values[at]
        if computed.returns is not None:
            returns[there] = computed.returns[at]
        # A label of the next row ends on the row itself where there is none: the next moment may bring one.
        end_us[there] = np.maximum(computed.end_us, panel.timestamps + 1)[at]
        reasons[there] = _reasons(panel, end_us[there], at)
        reasons[labels != UNKNOWN] = -1
    return Judgements(labels, reasons, end_us, returns)


def _reasons(panel: Panel, end_us: Int, at: Int) -> NDArray[np.int8]:
    """Return why the labels of some rows would be unknown."""
    last = np.repeat(panel.offsets[1:] - 1, np.diff(panel.offsets))[at]
    following = panel.timestamps[np.minimum(at + 1, last)]
    found = np.where(following > end_us, GAP, NO_VALUE)
    return np.where(panel.timestamps[last] < end_us, ENDED, found).astype(np.int8)


def places_of(panel: Panel, instruments: Sequence[str], timestamps: Int) -> Int:
    """Return the place of each (instrument, moment) in a panel, -1 where there is none; shape (n,)."""
    code_of = {name: code for code, name in enumerate(panel.instruments)}
    codes = np.fromiter((code_of.get(name, -1) for name in instruments), dtype=np.int64, count=len(instruments))
    if len(panel) == 0:
        return np.full(len(codes), -1, dtype=np.int64)
    # One ascending number per row: moments as their ranks, so that the number cannot overflow.
    moments, ranks = np.unique(panel.timestamps, return_inverse=True)
    order = panel.codes * len(moments) + ranks
    rank = np.minimum(np.searchsorted(moments, timestamps), len(moments) - 1)
    wanted = codes * len(moments) + rank
    places = np.minimum(np.searchsorted(order, wanted), len(order) - 1)
    found = (codes >= 0) & (moments[rank] == timestamps) & (order[places] == wanted)
    return np.where(found, places, -1).astype(np.int64)


def judge_rows(
    source: RowSource, models: Mapping[int, JudgedModel], instruments: Sequence[str], timestamps: Int, model_ids: Int
) -> Judgements:
    """Label rows of many instruments and models; the market's rows within the horizons are read once.

    Instruments are worked on in groups, so that memory is bounded however many there are.

    Parameters
    ----------
    models
        By id; all of one market.
    instruments, timestamps, model_ids
        The rows asked for, shape (n,); microseconds UTC.
    """
    labels = np.full(len(timestamps), UNKNOWN, dtype=np.int8)
    reasons = np.full(len(timestamps), NO_ROW, dtype=np.int8)
    end_us, returns = timestamps.copy(), np.full(len(timestamps), np.nan, dtype=np.float32)
    reaches = np.zeros(len(timestamps), dtype=np.int64)
    used = [models[number] for number in np.unique(model_ids).tolist()]
    for model in used:
        reaches[model_ids == model.id] = model.reach_us
    columns = sorted({model.label.target_var for model in used})
    for panel, members in _panels(source, instruments, timestamps, reaches, columns):
        for model in used:
            rows = members[model_ids[members] == model.id]
            if len(rows):
                found = _judged(panel, model, [instruments[k] for k in rows.tolist()], timestamps[rows])
                labels[rows], reasons[rows], end_us[rows] = found.labels, found.reasons, found.end_us
                returns[rows] = found.actual
    return Judgements(labels, reasons, end_us, returns)


def _judged(panel: Panel, model: JudgedModel, instruments: Sequence[str], timestamps: Int) -> Judgements:
    """Label rows; those of a model whose label cannot be computed are `FAILED`, so that it holds up no other."""
    try:
        return judge(panel, model.label, instruments, timestamps)
    except (SpecError, DataError, UnknownNameError) as error:
        log.warning("predictions could not be judged", model_id=model.id, count=len(timestamps), reason=str(error))
        return Judgements(
            np.full(len(timestamps), UNKNOWN, dtype=np.int8),
            np.full(len(timestamps), FAILED, dtype=np.int8),
            timestamps.copy(),
        )


def _panels(
    source: RowSource, instruments: Sequence[str], timestamps: Int, reaches: Int, columns: Sequence[str]
) -> Iterator[tuple[Panel, Int]]:
    """Yield the rows of groups of instruments, and the places of those asked for that are theirs."""
    code_of: dict[str, int] = {}
    codes = np.fromiter((code_of.setdefault(name, len(code_of)) for name in instruments), np.int64, len(instruments))
    names = list(code_of)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    first, size = 0, _FIRST_INSTRUMENTS
    while first < len(names):
        last = min(first + size, len(names))
        members = order[bounds[first] : bounds[last]]
        starts = bounds[first:last] - bounds[first]
        from_us = np.minimum.reduceat(timestamps[members], starts)
        until_us = np.maximum.reduceat(timestamps[members] + reaches[members], starts)
        panel = source.rows(names[first:last], from_us, until_us, columns)
        yield panel, members
        # As many instruments as the last ones suggest.
        wanted = _ROWS_AT_ONCE * (last - first) // max(1, len(panel))
        first, size = last, max(1, min(wanted, 8 * size, _MOST_INSTRUMENTS))
