"""Features as expressions over shared steps: equal expressions are one node, whatever names lead to them."""

from dataclasses import dataclass

from kurswerk.core.errors import SpecError
from kurswerk.features._kernels import FIRST_RECURSIVE, STEPS
from kurswerk.market import MarketSchema, Role

TIME = "timestamp"
"""Pseudo column: microseconds since 1970 UTC of the row."""

Tap = tuple[int, int]
"""A node and the number of rows by which it is read late."""


@dataclass(frozen=True)
class Node:
    """One step of the graph.

    Attributes
    ----------
    step
        Name of a kernel of `_kernels`, or ``"input"``.
    taps
        What it reads: (node, lag) pairs.
    window
        Rows of the window or, for an exponential mean, rows that seed it; 0 where the step has none.
    numbers
        Constants p and q.
    column
        Panel column of an input.
    """

    step: str
    taps: tuple[Tap, ...] = ()
    window: int = 0
    numbers: tuple[float, float] = (0.0, 0.0)
    column: str = ""


class MissingInputError(SpecError):
    """A feature needs a role or a column that the market does not have."""


class Graph:
    """Nodes in the order of their making: inputs of a node always stand before it.

    Parameters
    ----------
    market
        Whose columns the inputs are. A role becomes the market's column at once, so that definitions and their hashes
        hold names of columns alone.
    """

    def __init__(self, market: MarketSchema) -> None:
        self.market = market
        self.nodes: list[Node] = []
        self._places: dict[Node, int] = {}

    def add(self, node: Node) -> int:
        """Return the node's place; an equal node is not made twice."""
        place = self._places.setdefault(node, len(self.nodes))
        if place == len(self.nodes):
            self.nodes.append(node)
        return place

    def input(self, column: str | Role) -> int:
        """Return the node of a panel column, given by its name or by its role.

        Raises
        ------
        MissingInputError
            If the market has no such column.
        """
        name = self.market.roles.get(column) if isinstance(column, Role) else column
        if name is None or (name not in self.market.panel_columns and name != TIME):
            missing = column.value if isinstance(column, Role) else column
            raise MissingInputError("market.no_such_input", market=self.market.name, column=missing)
        return self.add(Node("input", column=name))

    def step(self, name: str, *taps: int | Tap, p: float = 0.0, q: float = 0.0, window: int = 0) -> int:
        """Return the node of a step on ``taps``; a plain number is a node read at its own row."""
        read = tuple((tap, 0) if isinstance(tap, int) else tap for tap in taps)
        return self.add(Node(name, read, window, (float(p), float(q))))

    def ancestry(self, place: int) -> list[int]:
        """Return a node and all it depends on, ascending."""
        found, todo = {place}, [place]
        while todo:
            for source, _ in self.nodes[todo.pop()].taps:
                if source not in found:
                    found.add(source)
                    todo.append(source)
        return sorted(found)

    def lookbacks(self) -> list[int | None]:
        """Return for every node the rows it depends on, its own included; None if it depends on all."""
        rows: list[int | None] = []
        for node in self.nodes:
            reach: int | None = 1
            for source, lag in node.taps:
                below = rows[source]
                reach = None if reach is None or below is None else max(reach, below + lag)
            if is_recursive(node):
                reach = None
            elif node.step == "mean_deviation" and reach is not None:
                source_rows = rows[node.taps[0][0]] or 0
                reach = max(reach, source_rows + node.window - 1)
            rows.append(reach)
        return rows


def is_recursive(node: Node) -> bool:
    """Whether a node carries a state from row to row."""
    return node.step != "input" and STEPS[node.step][0] >= FIRST_RECURSIVE


def mean(g: Graph, x: int, window: int) -> int:
    """Return the mean over the last ``window`` rows, by joining halves in a fixed tree: no sum runs on, none drifts."""
    if window == 1:
        return x
    half, rest = _halves(window)
    return g.step("blend", mean(g, x, half), (mean(g, x, rest), half), p=rest / window)


def squares(g: Graph, x: int, window: int) -> int:
    """Return the sum of squared deviations from the mean of the last ``window`` ≥ 2 rows, by the same tree."""
    if window == 2:
        return g.step("half_square", x, (x, 1))
    half, rest = _halves(window)
    weight = half * rest / window
    older = mean(g, x, rest)
    if rest == 1:
        return g.step("square_gap", squares(g, x, half), mean(g, x, half), (older, half), p=weight)
    return g.step(
        "join_squares", squares(g, x, half), (squares(g, x, rest), half), mean(g, x, half), (older, half), p=weight
    )


def deviation(g: Graph, x: int, window: int, *, sample: bool) -> int:
    """Return the standard deviation of the last ``window`` ≥ 2 rows, of the sample (n - 1) or of the population (n)."""
    return g.step("root", squares(g, x, window), p=1.0 / (window - 1 if sample else window))


def total(g: Graph, x: int, window: int) -> int:
    """Return the sum of the last ``window`` rows, by a fixed tree."""
    if window == 1:
        return x
    half, rest = _halves(window)
    return g.step("add_scaled", total(g, x, half), (total(g, x, rest), half), p=1.0)


def highest(g: Graph, x: int, window: int) -> int:
    """Return the largest of the last ``window`` rows."""
    return _extreme(g, "larger", x, window)


def lowest(g: Graph, x: int, window: int) -> int:
    """Return the smallest of the last ``window`` rows."""
    return _extreme(g, "smaller", x, window)


def plus(g: Graph, x: int | Tap, y: int | Tap, factor: float = 1.0) -> int:
    """Return ``x + factor y``."""
    return g.step("add_scaled", x, y, p=factor)


def ema(g: Graph, x: int, window: int, rate: float) -> int:
    """Return the exponential mean that starts from the mean of its first ``window`` values."""
    return g.step("ema_bank", x, window=window, p=rate)


def _halves(window: int) -> tuple[int, int]:
    """Split a window into the largest power of two below it and the rest."""
    half = 1 << ((window - 1).bit_length() - 1)
    return half, window - half


def _extreme(g: Graph, step: str, x: int, window: int) -> int:
    if window == 1:
        return x
    half, rest = _halves(window)
    below = _extreme(g, step, x, half)
    return g.step(step, below, (below, rest))
