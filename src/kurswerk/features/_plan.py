"""A list of features made ready to run over panels."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kurswerk.core.digest import sha256_json
from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.features._cross_plan import SecondStage
from kurswerk.features._graph import Graph
from kurswerk.features._kernels import Ints, Matrix, run_tasks
from kurswerk.features._names import resolve
from kurswerk.features._program import Assembler, Program
from kurswerk.market import MarketSchema, Panel
from kurswerk.market.sections import Sections

T = TypeVar("T", bound=np.generic)
PIECES_PER_THREAD = 4


class FeaturePlan:
    """Features that are computed together, sharing all that they have in common.

    Features of the second stage compare the instruments of a moment by features of single ones: the first stage, which
    is a plan of its own. A panel must then hold all instruments of the market.

    Parameters
    ----------
    names
        At least one name that `resolve` knows, none twice.
    market
        Whose columns the features read.

    Attributes
    ----------
    market
        As given.
    names, features
        As asked for, in order.
    inputs
        Columns that a panel must have.
    lookback
        Rows that the last value depends on; None if any feature is recursive.
    recursive
        Whether any feature depends on all earlier rows.
    second_stage
        How features of the second stage are computed; None where there are none.
    first_stage
        The features of single instruments that all come from; the plan itself where there is no second stage.

    Raises
    ------
    SpecError
        If the list is empty or names a feature twice, a parameter is out of range, or the market lacks an input.
    UnknownNameError
        If a name stands for no feature.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> plan = FeaturePlan(["price_change_5", "volume_ratio_10"], COINS)
    >>> plan.inputs, plan.lookback
    (('price_close', 'volume_sol'), 10)
    """

    def __init__(self, names: Sequence[str], market: MarketSchema) -> None:
        self.market = market
        self.names = tuple(names)
        if not self.names:
            raise SpecError("feature.none_given")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise SpecError("feature.given_twice", feature=twice[0])
        self.features = tuple(resolve(name, market) for name in self.names)
        self.second_stage: SecondStage | None = None
        self.first_stage: FeaturePlan = self
        if any(feature.cross is not None for feature in self.features):
            self.second_stage = SecondStage(self.features)
            self.first_stage = FeaturePlan(self.second_stage.first_stage, market)
        first = self.first_stage.features
        self.inputs = tuple(dict.fromkeys(column for feature in first for column in feature.inputs))
        lookbacks = [feature.lookback for feature in (*first, *self.features)]
        self.recursive = None in lookbacks
        self.lookback = None if self.recursive else max(rows for rows in lookbacks if rows is not None)
        self._graph = Graph(market)
        self._results = [feature.build(self._graph) for feature in first]

    @cached_property
    def definitions(self) -> dict[str, str]:
        """Name → SHA-256 of the feature's definition."""
        return {feature.name: feature.definition_hash for feature in self.features}

    @cached_property
    def definition_hash(self) -> str:
        """SHA-256 over all names and definitions in order."""
        return sha256_json(list(self.definitions.items()))

    @cached_property
    def batch_program(self) -> Program:
        """Tables that compute consecutive rows of one instrument."""
        return Assembler(self._graph, self._results, live=False).assemble()

    @cached_property
    def live_program(self) -> Program:
        """Tables that compute one row of each of several instruments."""
        return Assembler(self._graph, self._results, live=True).assemble()

    def compute(
        self,
        panel: Panel,
        *,
        threads: int = 1,
        dtype: DTypeLike = np.float64,
        rows: slice | None = None,
        out: NDArray[np.floating] | None = None,
    ) -> NDArray[np.floating]:
        """Compute the features of a panel's rows.

        Parameters
        ----------
        panel
            Holds at least the columns ``inputs``.
        threads
            Threads that share the instruments; the values do not depend on it.
        dtype
            float64, or float32 to which the float64 result is rounded.
        rows
            Panel rows wanted, without a step; all if None. Rows before them are read where a look-back needs them.
        out
            F-ordered array (n_rows, n_features) to fill and return instead of a new one; its type stands for ``dtype``.

        Returns
        -------
        ndarray
            Shape (n_rows, n_features), every feature contiguous. NaN as each feature's ``nan_rule`` declares.

        Raises
        ------
        UnknownNameError
            If the panel lacks a column.
        SpecError
            If ``dtype`` is neither float64 nor float32, threads < 1, ``rows`` has a step or ``out`` does not fit.
        """
        for column in self.inputs:
            if column not in panel.columns:
                raise UnknownNameError("column.unknown", name=column, known=panel.columns)
        dtype = np.dtype(dtype) if out is None else out.dtype
        if dtype not in (np.float64, np.float32) or threads < 1:
            raise SpecError("feature.unknown_dtype_or_threads", dtype=dtype, threads=threads)
        start, stop = self._bounds(panel, rows)
        shape = stop - start, len(self.names)
        table = np.empty(shape, dtype, order="F") if out is None else out
        if table.shape != shape or not table.flags.f_contiguous or not table.flags.writeable:
            raise SpecError("feature.output_of_other_shape", shape=str(table.shape), wanted=shape)
        wide = table.T
        if self.second_stage is not None:
            self._compare(
                self.second_stage, self.first_stage.compute(panel, threads=threads), panel, wide, start, threads
            )
            return table
        tasks = self._tasks(panel, start, stop, threads)
        # Contiguous, so that one compiled kernel serves any number of threads.
        groups = [np.ascontiguousarray(tasks[k::threads]) for k in range(threads) if len(tasks[k::threads])]
        values, times = as_readonly(panel.values), as_readonly(panel.timestamps)
        if len(groups) == 1:
            self._run(values, times, panel.columns, groups[0], wide, start)
        elif groups:
            with ThreadPoolExecutor(len(groups)) as pool:
                list(pool.map(lambda group: self._run(values, times, panel.columns, group, wide, start), groups))
        return table

    def compare(self, first: Matrix, panel: Panel) -> Matrix:
        """Return all features of all rows of a panel, given those of the first stage; shape (n_rows, n_features)."""
        out = np.empty((len(panel), len(self.names)), order="F")
        if self.second_stage is None:
            out[:] = first
        else:
            self._compare(self.second_stage, first, panel, out.T, 0, 1)
        return out

    def _compare(
        self, second: SecondStage, first: NDArray[np.floating], panel: Panel, out: NDArray[np.floating], start: int,
        threads: int,
    ) -> None:  # fmt: skip
        values = np.ascontiguousarray(first.T, dtype=np.float64)
        second.compute(values, Sections.of(panel, self.market), panel.offsets, out, start=start, threads=threads)

    def _run(
        self, values: Matrix, times: Ints, columns: Sequence[str], tasks: Ints, out: NDArray[np.floating], start: int
    ) -> None:
        program = self.batch_program
        states = np.zeros((1, program.state_size))
        run_tasks(
            tasks, values, times, program.block, program.sources(columns), program.work(), program.slots, program.ops,
            program.numbers, states, program.results, out, start,
        )  # fmt: skip

    def _bounds(self, panel: Panel, rows: slice | None) -> tuple[int, int]:
        start, stop, step = (rows or slice(None)).indices(len(panel))
        if step != 1:
            raise SpecError("feature.rows_not_consecutive", step=step)
        return start, max(start, stop)

    def _tasks(self, panel: Panel, start: int, stop: int, threads: int) -> Ints:
        """Return (first row read, end, first row wanted) of pieces of instruments, longest first."""
        piece = max(1024, 8 * (self.lookback or 0), (stop - start) // (threads * PIECES_PER_THREAD) + 1)
        tasks = []
        first = max(0, int(np.searchsorted(panel.offsets, start, side="right")) - 1)
        for k in range(first, len(panel.instruments)):
            begin, end = int(panel.offsets[k]), min(int(panel.offsets[k + 1]), stop)
            lo = max(begin, start)
            if begin >= stop:
                break
            while lo < end:
                split = self.lookback is not None and threads > 1 and end - lo > piece
                hi = lo + piece if split else end
                warm = begin if self.lookback is None else max(begin, lo - self.lookback + 1)
                tasks.append((warm, hi, lo))
                lo = hi
        table = np.array(tasks, dtype=np.int64).reshape(-1, 3)
        return table[np.argsort(table[:, 0] - table[:, 1], kind="stable")]


def as_readonly(array: NDArray[T]) -> NDArray[T]:
    """Return a C-contiguous view that cannot be written, so that one compiled kernel serves every caller."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
