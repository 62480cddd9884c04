"""The second stage of a plan: features of single instruments in, features among the instruments of a moment out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.features._cross import OPERATORS
from kurswerk.features._cross_kernels import MEAN, rolling_beta, run_sections
from kurswerk.features._feature import Feature
from kurswerk.market.sections import Sections, numbered

Int = NDArray[np.int64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """A regression on the market: of which column, over how many rows, and where beta and residual go (-1: nowhere)."""

    column: int
    window: int
    beta: int
    residual: int


class SecondStage:
    """What features of the second stage need of the first, and how they are computed from it.

    Parameters
    ----------
    features
        Of both stages, as asked for.

    Attributes
    ----------
    first_stage
        Names of the features of one instrument that are needed, each once.
    passed
        Places among those of the features that are passed on as they are, and their places in the result.
    regressions
        Those on the market.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        needed = [[one.name for one in feature.compared] or [feature.name] for feature in features]
        self.first_stage = tuple(dict.fromkeys(name for names in needed for name in names))
        place = {name: k for k, name in enumerate(self.first_stage)}
        self.passed = [(place[f.name], k) for k, f in enumerate(features) if f.cross is None]
        groups = dict.fromkeys(f.cross.group for f in features if f.cross is not None and f.cross.group is not None)
        self._groups = [place[name] for name in groups]
        number = {name: k for k, name in enumerate(groups)}
        self._ops = np.array(
            [
                (OPERATORS[c.operator].code, place[c.base], -1 if c.group is None else number[c.group], k)
                for k, f in enumerate(features)
                if (c := f.cross) is not None and c.window is None
            ],
            dtype=np.int64,
        ).reshape(-1, 4)
        self.regressions = [
            Regression(place[c.base], c.window, *((k, -1) if c.operator == "beta" else (-1, k)))
            for k, f in enumerate(features)
            if (c := f.cross) is not None and c.window is not None
        ]

    def compute(
        self,
        values: Matrix,
        sections: Sections,
        offsets: Int,
        out: NDArray[np.floating],
        *,
        start: int = 0,
        threads: int = 1,
    ) -> None:
        """Fill in all features.

        Parameters
        ----------
        values
            The first stage of all rows, shape (n_first, n_rows), in C order.
        sections
            Of these rows.
        offsets
            Rows ``offsets[k]:offsets[k + 1]`` are those of one instrument, in the order of time.
        out
            Shape (n_features, n) of the n rows from ``start`` on.
        threads
            Threads that share the sections; the values do not depend on it.
        """
        self.compare(values, sections, start, out, threads)
        if self.regressions:
            self._regress(values, sections, offsets, out, slice(start, start + out.shape[1]), threads)

    def compare(
        self, values: Matrix, sections: Sections, start: int, out: NDArray[np.floating], threads: int = 1
    ) -> None:
        """Fill in all features but regressions; as `compute`."""
        for source, target in self.passed:
            out[target] = values[source, start : start + out.shape[1]]
        for target in self._ops[:, 3].tolist():
            out[target] = np.nan
        if len(self._ops):
            run(values, self._groups, self._ops, sections, start, out, threads)

    def _regress(
        self, values: Matrix, sections: Sections, offsets: Int, out: NDArray[np.floating], rows: slice, threads: int
    ) -> None:
        means: dict[int, Matrix] = {}
        for one in self.regressions:
            if one.column not in means:
                mean = np.full((1, values.shape[1]), np.nan)
                run(values, [], np.array([(MEAN, one.column, -1, 0)]), sections, 0, mean, threads)
                means[one.column] = mean
            beta, residual = np.empty(values.shape[1]), np.empty(values.shape[1])
            rolling_beta(values[one.column], means[one.column][0], offsets, one.window, beta, residual)
            if one.beta >= 0:
                out[one.beta] = beta[rows]
            if one.residual >= 0:
                out[one.residual] = residual[rows]


def run(
    values: Matrix,
    groups: Sequence[int],
    ops: Int,
    sections: Sections,
    start: int,
    out: NDArray[np.floating],
    threads: int,
) -> None:
    """Run operations over all sections, blocks of them shared by threads."""
    groupings = np.empty((len(groups), values.shape[1]), dtype=np.int64)
    counts = np.zeros(len(groups), dtype=np.int64)
    for k, column in enumerate(groups):
        groupings[k], counts[k] = numbered(values[column])
    bounds = sections.blocks

    def work(block: int) -> None:
        run_sections(
            values, groupings, counts, ops, int(bounds[block]), int(bounds[block + 1]), sections.offsets, sections.rows,
            sections.places, sections.own, sections.other_offsets, sections.other_rows, start, out,
        )  # fmt: skip

    blocks = range(len(bounds) - 1)
    if threads == 1 or len(blocks) == 1:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))
