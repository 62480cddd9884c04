"""Random changes to market data and training rows: what a check does to the rows that must not matter."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._evidence import Place
from kurswerk.checks.ports import Int, TrainingRows
from kurswerk.core.timestamps import format_timestamp
from kurswerk.market import Panel

Bool = NDArray[np.bool_]


def change_rows(panel: Panel, mask: Bool, rng: np.random.Generator) -> Panel:
    """Return the panel with every value of the masked rows changed: scaled by up to 1,000 either way, some missing.

    What stands in no column is never invented: a missing value may become a number, a number a missing value.
    """
    values = panel.values.copy()
    shape = (len(panel.columns), int(mask.sum()))
    old = values[:, mask]
    fresh = np.where(np.isfinite(old) & (old != 0.0), old, rng.uniform(0.5, 2.0, shape))
    fresh = _scaled(fresh, 10.0 ** rng.uniform(-3.0, 3.0, shape))
    fresh[rng.random(shape) < 0.05] = np.nan
    values[:, mask] = fresh
    return replace(panel, values=values)


def _scaled(values: NDArray[np.float64], factor: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Multiply; what would overflow becomes the largest float, because no stored value is infinite."""
    largest = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        return np.clip(values * factor, -largest, largest)


def scale_rows(panel: Panel, mask: Bool, factor: float) -> Panel:
    """Return the panel with every value of the masked rows multiplied."""
    values = panel.values.copy()
    values[:, mask] = _scaled(values[:, mask], factor)
    return replace(panel, values=values)


def with_companion(panel: Panel) -> Panel:
    """Return a panel of one coin with a second one beside it, the same rows at three times the values.

    Where there are several coins already the panel is returned as it is: whether coins mix shows only beside others.
    """
    if len(panel.instruments) != 1:
        return panel
    return Panel(
        instruments=(panel.instruments[0], panel.instruments[0] + " (companion)"),
        offsets=np.array([0, len(panel), 2 * len(panel)], dtype=np.int64),
        timestamps=np.tile(panel.timestamps, 2),
        columns=panel.columns,
        values=np.hstack((panel.values, _scaled(panel.values, 3.0))),
        exchanges=panel.exchanges * 2,
    )


def pierce_rows(panel: Panel, mask: Bool) -> Panel:
    """Return the panel with every value of the masked rows missing."""
    values = panel.values.copy()
    values[:, mask] = np.nan
    return replace(panel, values=values)


def thin(panel: Panel, share: float, rng: np.random.Generator) -> Panel:
    """Return the panel without a random share of its rows, so that intervals are irregular."""
    return panel.where(rng.random(len(panel)) >= share)


def sample_panel(panel: Panel, most_rows: int, rng: np.random.Generator) -> Panel:
    """Return whole coins at random until ``most_rows`` is reached; of a coin too long, one stretch without gaps.

    At least four coins share the rows where there are so many, so that mixing them would show.
    """
    if len(panel) <= most_rows:
        return panel
    share = max(most_rows // min(4, len(panel.instruments)), 1)
    mask = np.zeros(len(panel), dtype=bool)
    left = most_rows
    for k in rng.permutation(len(panel.instruments)):
        start, end = int(panel.offsets[k]), int(panel.offsets[k + 1])
        length = min(end - start, share, left)
        first = start + int(rng.integers(0, end - start - length + 1))
        mask[first : first + length] = True
        left -= length
        if left == 0:
            break
    return panel.where(mask)


def sample_rows(rows: TrainingRows, most_rows: int, rng: np.random.Generator) -> TrainingRows:
    """Return at most ``most_rows`` rows at random, a quarter of them of the rarer class where it has so many."""
    if len(rows) <= most_rows:
        return rows
    rare = int(np.count_nonzero(rows.y == 1) * 2 < len(rows))
    rare_rows = np.flatnonzero(rows.y == rare)
    kept = rng.permutation(rare_rows)[: most_rows // 4]
    others = rng.permutation(np.setdiff1d(np.arange(len(rows)), kept))[: most_rows - len(kept)]
    return rows.take(np.sort(np.concatenate((kept, others))))


def arrival_order(panel: Panel, rng: np.random.Generator | None = None) -> Int:
    """Return row numbers in the order of their arrival: by time, or with coins interleaved at random.

    Either way the rows of one coin come in the order of time.
    """
    if rng is None:
        return np.lexsort((panel.codes, panel.timestamps)).astype(np.int64)
    shuffled = rng.permutation(panel.codes)
    return np.argsort(np.argsort(shuffled, kind="stable"), kind="stable").astype(np.int64)


def place_in(panel: Panel, names: tuple[str, ...] = (), rows: Int | None = None) -> Place:
    """Return a function that describes where an index (row, or row and column) of a panel lies.

    With ``rows`` the index counts within those rows.
    """

    def place(index: tuple[int, ...]) -> str:
        row = int(index[0] if rows is None else rows[index[0]])
        key = panel.instruments[int(np.searchsorted(panel.offsets, row, side="right")) - 1]
        where = f"'{key}' {format_timestamp(int(panel.timestamps[row]))}"
        return f"{where}, '{names[index[1]]}'" if names and len(index) > 1 else where

    return place
