"""Labels of all rows of a panel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.labels import _kernels
from kurswerk.labels._deadlines import deadlines
from kurswerk.labels._spec import OPERATORS, LabelSpec
from kurswerk.market import MarketSchema, Panel
from kurswerk.market.moments import SECTOR
from kurswerk.market.sections import Sections, numbered

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Labels:
    """One label per row of a panel.

    Attributes
    ----------
    values
        1 it came true, 0 it did not, -1 unknown; int8, shape (n_rows,).
    end_us
        Moment up to which the label looks, microseconds UTC, also where it is unknown; the row's own time where
        there is no next row to look at; int64, shape (n_rows,).
    exit_row
        Row that holds the value at the horizon, where a trade entered on this row ends; -1 where the label is
        unknown; int64, shape (n_rows,).
    returns
        Of a forecast, the change up to the horizon in percent, NaN where it is unknown; float64, shape (n_rows,). None
        for other targets.
    """

    values: NDArray[np.int8]
    end_us: NDArray[np.int64]
    exit_row: NDArray[np.int64]
    returns: NDArray[np.float64] | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the label is known, shape (n_rows,); the rest is left out, not called negative."""
        return np.not_equal(self.values, UNKNOWN)


def compute_labels(panel: Panel, spec: LabelSpec) -> Labels:
    """Label every row from rows after it, per instrument and by time.

    With a horizon the label of a row at t looks at the rows in (t, d] of the same instrument, up to the row's deadline
    d (`deadlines`). It is unknown unless there is one and the instrument's rows reach d, and unknown where the row's
    own value, or one it looks at, is missing or not finite, or where a change has no positive base. This holds for
    labels that would be positive already, because leaving out only the others would raise the base rate.

    - change ``at``: ±(v(last row) - v(t)) / v(t) * 100 >= min_percent_change;
    - change ``within``: the same for any row in (t, d]; the trade is still held to the last one;
    - change against others: the change at the last row is compared with those of its moment's members, as far as known;
      the label looks as far as the furthest of theirs, and is unknown where fewer than two are known;
    - return: the change at the last row in percent; the label is 1 where it is above 0;
    - threshold: ``v operator target_value`` at the last row, for any row, or without a horizon at the next row.

    Parameters
    ----------
    panel
        Must have the column ``spec.target_var``.
    spec
        The label's definition.

    Raises
    ------
    UnknownNameError
        If the panel lacks the column.
    SpecError, DataError
        As `deadlines`.

    Examples
    --------
    >>> minute = 60_000_000
    >>> panel = Panel.from_columns(
    ...     ["a"] * 4, np.arange(4) * minute, {"price_close": np.array([100.0, 101, 103, 102])}
    ... )
    >>> spec = LabelSpec("price_close", minutes=1, min_percent_change=1.5, direction="up")
    >>> compute_labels(panel, spec).values.tolist()
    [0, 1, 0, -1]
    """
    values = panel.column(spec.target_var)
    ends = deadlines(panel, spec)
    if ends is None:
        exits = _kernels.next_rows(panel.offsets)
        end_us = np.where(exits < 0, panel.timestamps, panel.timestamps[exits])
    else:
        end_us = ends
        exits = _kernels.horizon_rows(panel.offsets, panel.timestamps, end_us)
    if spec.quantile is not None and spec.market is not None:
        return _compared(panel, values, exits, end_us, spec, spec.market)
    if spec.is_return:
        returns = _kernels.returns_at(values, exits)
        labels = np.where(np.isnan(returns), np.int8(UNKNOWN), (returns > 0).astype(np.int8))
    else:
        returns, labels = None, _label_values(panel, values, exits, spec)
    exits[labels == UNKNOWN] = -1
    return Labels(labels, end_us, exits, returns)


def _compared(
    panel: Panel, values: NDArray[np.float64], exits: NDArray[np.int64], end_us: NDArray[np.int64], spec: LabelSpec,
    market: MarketSchema,
) -> Labels:  # fmt: skip
    """Label rows by how their change compares with those of their moment's members."""
    sections = Sections.of(panel, market)
    groups, count = np.zeros(len(panel), dtype=np.int64), 1
    if spec.relative_to == "sector":
        groups, count = numbered(panel.column(SECTOR))
    changes = _kernels.changes(values, exits)
    share = float(spec.quantile or 0.0)
    upper = spec.direction == "up"
    labels, ends = np.full(len(panel), UNKNOWN, dtype=np.int8), end_us.copy()
    _kernels.in_quantile(
        changes, end_us, groups, count, sections.offsets, sections.members, sections.reader_offsets,
        sections.readers, 1.0 - share if upper else share, 1.0 if upper else -1.0, labels, ends,
    )  # fmt: skip
    exits[labels == UNKNOWN] = -1
    return Labels(labels, ends, exits)


def _label_values(
    panel: Panel, values: NDArray[np.float64], exits: NDArray[np.int64], spec: LabelSpec
) -> NDArray[np.int8]:
    if spec.min_percent_change is not None:
        percent, sign = float(spec.min_percent_change), -1.0 if spec.direction == "down" else 1.0
        if spec.mode == "within":
            return _kernels.change_within(panel.offsets, values, exits, percent, sign)
        return _kernels.change_at(values, exits, percent, sign)
    code = OPERATORS.index(spec.operator or "=")
    found = _kernels.meets_target(values, code, float(spec.target_value or 0.0))
    return _kernels.hit_within(found, exits) if spec.mode == "within" else _kernels.hit_at(found, exits)
