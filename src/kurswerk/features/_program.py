"""A plan as data: which step runs when, and where its vectors lie in the work area."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kurswerk.features._graph import TIME, Graph, is_recursive
from kurswerk.features._kernels import (
    BANK,
    CODE,
    EMA_STATE,
    FLOAT_FIELDS,
    IN,
    INT_FIELDS,
    OUT,
    STATE,
    STEP,
    STEPS,
    WINDOW,
    Ints,
    Matrix,
)

BLOCK = 512
LIVE_BLOCK = 64
# An odd number of cache lines between vectors, or all of them would compete for the same few cache sets.
PADDING = 8
LARGEST_BLOCK = 65_536
GATHERED = 131_072
OTHER_STATE = 3


@dataclass(frozen=True, eq=False)
class Program:
    """Tables for `run_rows` or `run_moment`; their docstrings explain the fields."""

    columns: tuple[str, ...]
    block: int
    work_size: int
    state_size: int
    memory_size: int
    slots: Ints
    ops: Ints
    numbers: Matrix
    results: Ints
    lags: Ints
    rings: Ints

    def work(self) -> Matrix:
        """Return a fresh work area, all NaN."""
        return np.full(self.work_size, np.nan)

    def sources(self, columns: Sequence[str]) -> Ints:
        """Return for each input slot the place of its column; -1 for the timestamps."""
        return np.array([-1 if name == TIME else columns.index(name) for name in self.columns], dtype=np.int64)


@dataclass(frozen=True)
class Call:
    """One operation: a step on one node, or a bank of up to four exponential means."""

    nodes: tuple[int, ...]
    state: int


def schedule(graph: Graph) -> tuple[list[Call], int]:
    """Return the operations in an order that gathers exponential means into banks, and the size of the state.

    A bank waits until nothing else can run, so that as many means as possible are ready for it. The grouping does
    not touch a value: every mean has its own lane and state.
    """
    calls: list[Call] = []
    done = {k for k, node in enumerate(graph.nodes) if node.step == "input"}
    waiting = [k for k in range(len(graph.nodes)) if k not in done]
    state = 0
    while waiting:
        ready_means: list[int] = []
        blocked: list[int] = []
        for k in waiting:
            node = graph.nodes[k]
            if any(source not in done for source, _ in node.taps):
                blocked.append(k)
            elif node.step == "ema_bank":
                ready_means.append(k)
            else:
                calls.append(Call((k,), state))
                state += OTHER_STATE if is_recursive(node) else 0
                done.add(k)
        for start in range(0, len(ready_means), BANK):
            lanes = tuple(ready_means[start : start + BANK])
            calls.append(Call(lanes, state))
            state += BANK * EMA_STATE
            done.update(lanes)
        waiting = blocked
    return calls, state


def past_rows(graph: Graph) -> list[int]:
    """Return for every node how many past rows of it are read."""
    past = [0] * len(graph.nodes)
    for node in graph.nodes:
        for source, lag in node.taps:
            past[source] = max(past[source], lag)
        if node.step == "mean_deviation":
            past[node.taps[0][0]] = max(past[node.taps[0][0]], node.window - 1)
    return past


class Assembler:
    """Lays out the work area and writes the tables, once for rows of one instrument and once for moments."""

    def __init__(self, graph: Graph, results: Sequence[int], *, live: bool) -> None:
        self.graph, self.results, self.live = graph, list(results), live
        self.past = past_rows(graph)
        self.calls, self.state_size = schedule(graph)
        inputs = [k for k, node in enumerate(graph.nodes) if node.step == "input"]
        self.order = inputs + [k for call in self.calls for k in call.nodes]
        self.inputs = inputs
        self.block = self._block()
        self.size = 0
        self.idle_in, self.idle_out = self._vector(), self._vector()
        self.base: dict[int, int] = {}
        for k in self.order:
            self.base[k] = self._vector(0 if live else self.past[k])
        self.rings = self._rings()
        self.lagged: dict[tuple[int, int], int] = {}
        if live:
            self._place_lagged()

    def assemble(self) -> Program:
        """Return the program."""
        ops = np.full((len(self.calls), INT_FIELDS), self.idle_in, dtype=np.int64)
        numbers = np.zeros((len(self.calls), FLOAT_FIELDS))
        for row, call in enumerate(self.calls):
            first = self.graph.nodes[call.nodes[0]]
            ops[row, CODE], ops[row, STATE], ops[row, STEP] = STEPS[first.step][0], call.state, 0
            ops[row, OUT : OUT + BANK], ops[row, WINDOW : WINDOW + BANK] = self.idle_out, first.window
            if first.step == "ema_bank":
                self._write_bank(call, ops[row], numbers[row])
            else:
                self._write_step(call.nodes[0], ops[row], numbers[row])
        offsets = {slot: (offset, mask) for slot, offset, mask in self.rings}
        lags = [(*offsets[self.order.index(node)], lag, address) for (node, lag), address in self.lagged.items()]
        return Program(
            columns=tuple(self.graph.nodes[k].column for k in self.inputs),
            block=self.block,
            work_size=self.size,
            state_size=max(1, self.state_size),
            memory_size=max(1, sum(mask + 1 for _, _, mask in self.rings)),
            slots=np.array([(self.base[k], self.past[k]) for k in self.order], dtype=np.int64).reshape(-1, 2),
            ops=ops,
            numbers=numbers,
            results=np.array([self.base[k] for k in self.results], dtype=np.int64),
            lags=np.array(lags, dtype=np.int64).reshape(-1, 4),
            rings=np.array(self.rings, dtype=np.int64).reshape(-1, 3),
        )

    def _write_bank(self, call: Call, op: Ints, numbers: Matrix) -> None:
        for lane, k in enumerate(call.nodes):
            node = self.graph.nodes[k]
            op[OUT + lane], op[IN + lane] = self.base[k], self._address(node.taps[0])
            op[WINDOW + lane], numbers[lane] = node.window, node.numbers[0]

    def _write_step(self, k: int, op: Ints, numbers: Matrix) -> None:
        node = self.graph.nodes[k]
        op[OUT] = self.base[k]
        numbers[:2] = node.numbers
        for place, tap in enumerate(node.taps):
            op[IN + place] = self._address(tap)
        if node.step == "mean_deviation":
            source = node.taps[0][0]
            op[STEP] = self.block + PADDING if self.live else -1
            first = self.lagged.get((source, 1), 0) if self.live else self.base[source] - 1
            op[IN + 2] = first - op[STEP]

    def _address(self, tap: tuple[int, int]) -> int:
        node, lag = tap
        if lag and self.live:
            return self.lagged[tap]
        return self.base[node] - lag

    def _vector(self, past: int = 0) -> int:
        base = self.size + past
        self.size = base + self.block + PADDING
        return base

    def _block(self) -> int:
        if not self.live:
            longest = max(self.past, default=0)
            return max(BLOCK, min(longest, LARGEST_BLOCK))
        return max(1, min(LIVE_BLOCK, GATHERED // max(1, len(self._taps_back()))))

    def _taps_back(self) -> list[tuple[int, int]]:
        """All lagged reads, those of a window step in one run from lag 1 up."""
        taps: dict[tuple[int, int], None] = {}
        for node in self.graph.nodes:
            if node.step == "mean_deviation":
                taps.update(dict.fromkeys((node.taps[0][0], lag) for lag in range(1, node.window)))
        for node in self.graph.nodes:
            taps.update(dict.fromkeys(tap for tap in node.taps if tap[1]))
        return list(taps)

    def _place_lagged(self) -> None:
        for tap in self._taps_back():
            self.lagged[tap] = self._vector()

    def _rings(self) -> list[tuple[int, int, int]]:
        rings, offset = [], 0
        for slot, k in enumerate(self.order):
            if self.past[k]:
                size = 1 << (self.past[k] - 1).bit_length()
                rings.append((slot, offset, size - 1))
                offset += size
        return rings
