"""Features of your own, written as expressions over columns.

A file of features holds functions that return an expression::

    from kurswerk.features.expressions import close, feature, highest

    @feature(unit="percent", low=-100, high=0, source="own research")
    def drawdown(window: int = 20):
        \"\"\"Distance of the close from its highest in `window` rows: 100 (close - max) / max.\"\"\"
        top = highest(close, window)
        return 100 * (close - top) / top

A model then names the feature with its parameters, ``drawdown_20``. An expression is compiled to the same steps as
every feature: the same bits over stored rows and live, hashed with its definition, and without a way to look at a
later row.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from math import inf
from typing import Any, Final

from kurswerk.core.errors import SpecError
from kurswerk.features import _graph as graph
from kurswerk.features._graph import Graph, Tap
from kurswerk.features._kind import Kind, Param
from kurswerk.features._own import register_own
from kurswerk.market import Role

__all__ = [
    "Expression",
    "absolute",
    "change",
    "close",
    "column",
    "deviation",
    "ema",
    "feature",
    "high",
    "highest",
    "low",
    "lowest",
    "maximum",
    "mean",
    "minimum",
    "open_",
    "percent_change",
    "root",
    "total",
    "volume",
    "when",
]

_LARGEST_LAG = 100_000


@dataclass(frozen=True, eq=False)
class Expression:
    """A value of each row; made from columns by arithmetic and the functions of this module.

    ``+ - * /`` take expressions and numbers; ``<`` and ``>`` give 1 or 0; ``&`` and ``|`` join such flags. A missing
    value makes the result missing, and so does a division by zero.
    """

    _build: Callable[[Graph], Tap]

    def lag(self, rows: int) -> "Expression":
        """Return the value ``rows`` rows before, 0 to 100,000.

        Raises
        ------
        SpecError
            If the number is negative: that would be a later row.
        """
        if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows <= _LARGEST_LAG:
            raise SpecError("feature.lag_out_of_range", rows=rows, most=_LARGEST_LAG)

        def build(g: Graph) -> Tap:
            node, late = self._build(g)
            return node, late + rows

        return Expression(build)

    def tap(self, g: Graph) -> Tap:
        """Return the node in a graph, and by how many rows it is read late."""
        return self._build(g)

    def node(self, g: Graph) -> int:
        """Return a node that holds the value at its own row."""
        node, late = self._build(g)
        return node if late == 0 else g.step("affine", (node, late), p=1.0)

    def __add__(self, other: "Expression | float") -> "Expression":
        if not isinstance(other, Expression):
            return _affine(self, 1.0, other)
        return _step("add_scaled", self, other, p=1.0)

    __radd__ = __add__

    def __sub__(self, other: "Expression | float") -> "Expression":
        if not isinstance(other, Expression):
            return _affine(self, 1.0, -other)
        return _step("add_scaled", self, other, p=-1.0)

    def __rsub__(self, other: float) -> "Expression":
        return _affine(self, -1.0, other)

    def __neg__(self) -> "Expression":
        return _affine(self, -1.0, 0.0)

    def __mul__(self, other: "Expression | float") -> "Expression":
        return _step("product", self, other) if isinstance(other, Expression) else _affine(self, other, 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: "Expression | float") -> "Expression":
        if isinstance(other, Expression):
            return _step("ratio", self, other, p=1.0)
        if other == 0:
            raise SpecError("feature.division_by_zero")
        return _affine(self, 1.0 / other, 0.0)

    def __rtruediv__(self, other: float) -> "Expression":
        return _step("ratio", _affine(self, 0.0, other), self, p=1.0)

    def __gt__(self, other: "Expression | float") -> "Expression":
        if isinstance(other, Expression):
            return _step("exceeds", self, other, p=1.0)
        return _step("above", self, p=other, q=1.0)

    def __lt__(self, other: "Expression | float") -> "Expression":
        if isinstance(other, Expression):
            return _step("exceeds", other, self, p=1.0)
        return _step("above", self, p=-other, q=-1.0)

    def __and__(self, other: "Expression") -> "Expression":
        return _step("product", self, other)

    def __or__(self, other: "Expression") -> "Expression":
        return maximum(self, other)

    def __bool__(self) -> bool:
        raise SpecError("feature.expression_as_condition")


def _step(name: str, *operands: Expression, p: float = 0.0, q: float = 0.0) -> Expression:
    return Expression(lambda g: (g.step(name, *(operand.tap(g) for operand in operands), p=p, q=q), 0))


def _affine(x: Expression, factor: float, constant: float) -> Expression:
    return _step("affine", x, p=_number(factor), q=_number(constant))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError("feature.no_number_in_expression", type=type(value).__name__)
    return float(value)


def _over(window: int, build: Callable[[Graph, int], int], least: int = 1) -> Callable[[Expression], Expression]:
    if isinstance(window, bool) or not isinstance(window, int) or not least <= window <= _LARGEST_LAG:
        raise SpecError("feature.window_of_expression", window=window, least=least, most=_LARGEST_LAG)
    return lambda x: Expression(lambda g: (build(g, x.node(g)), 0))


def column(name: str | Role) -> Expression:
    """Return a column of the market by its name, such as ``"num_buys"``, or by its role."""
    return Expression(lambda g: (g.input(name), 0))


open_: Final = column(Role.OPEN)
"""The open of the row's bar."""
high: Final = column(Role.HIGH)
"""The high of the row's bar."""
low: Final = column(Role.LOW)
"""The low of the row's bar."""
close: Final = column(Role.CLOSE)
"""The close of the row's bar."""
volume: Final = column(Role.VOLUME)
"""The volume of the row's bar."""


def mean(x: Expression, window: int) -> Expression:
    """Return the mean of the last ``window`` rows, the row's own included."""
    return _over(window, lambda g, node: graph.mean(g, node, window))(x)


def total(x: Expression, window: int) -> Expression:
    """Return the sum of the last ``window`` rows."""
    return _over(window, lambda g, node: graph.total(g, node, window))(x)


def deviation(x: Expression, window: int, *, sample: bool = True) -> Expression:
    """Return the standard deviation of the last ``window`` ≥ 2 rows, of the sample (n - 1) or of the population (n)."""
    return _over(window, lambda g, node: graph.deviation(g, node, window, sample=sample), least=2)(x)


def highest(x: Expression, window: int) -> Expression:
    """Return the largest value of the last ``window`` rows."""
    return _over(window, lambda g, node: graph.highest(g, node, window))(x)


def lowest(x: Expression, window: int) -> Expression:
    """Return the smallest value of the last ``window`` rows."""
    return _over(window, lambda g, node: graph.lowest(g, node, window))(x)


def ema(x: Expression, window: int, rate: float | None = None) -> Expression:
    """Return the exponential mean, e += rate (x - e), that starts as the mean of the first ``window`` values.

    ``rate`` is 2 / (window + 1) unless given; 1 / window is Wilder's.
    """
    chosen = 2.0 / (window + 1) if rate is None else _number(rate)
    return _over(window, lambda g, node: graph.ema(g, node, window, chosen))(x)


def change(x: Expression, rows: int) -> Expression:
    """Return by how much a value changed in ``rows`` rows: x - x[rows]."""
    return x - x.lag(rows)


def percent_change(x: Expression, rows: int) -> Expression:
    """Return the change in per cent in ``rows`` rows: 100 (x - x[rows]) / x[rows]."""
    return _step("relative_change", x, x.lag(rows), p=100.0)


def maximum(x: Expression, *others: Expression) -> Expression:
    """Return the largest of several values of the row."""
    return reduce(lambda a, b: _step("larger", a, b), others, x)


def minimum(x: Expression, *others: Expression) -> Expression:
    """Return the smallest of several values of the row."""
    return reduce(lambda a, b: _step("smaller", a, b), others, x)


def absolute(x: Expression) -> Expression:
    """Return the value without its sign."""
    return _step("magnitude", x)


def root(x: Expression) -> Expression:
    """Return the square root; missing where the value is negative."""
    return _step("root", x, p=1.0)


def when(larger: Expression, smaller: Expression, then: Expression) -> Expression:
    """Return ``then`` in rows where ``larger`` > ``smaller``, and 0 in the others."""
    return _step("gated", then, larger, smaller)


def feature(
    *, unit: str, source: str, low: float = -inf, high: float = inf, least: Mapping[str, float] | None = None
) -> Callable[[Callable[..., Expression]], Callable[..., Expression]]:
    """Register the decorated function as a feature; its name, its parameters and its docstring become the feature's.

    Parameters
    ----------
    unit
        E.g. ``percent``, ``price``, ``flag``.
    source
        Where the definition comes from.
    low, high
        Least and greatest value possible for valid input; certificates check it.
    least
        Smallest value of a parameter, 1 where it is not given.

    Raises
    ------
    SpecError
        If a parameter has no default, the function no docstring, the name is taken or would read like another
        feature's, or the function returns no expression.
    """

    def register(function: Callable[..., Expression]) -> Callable[..., Expression]:
        params = tuple(_param(function.__name__, item, least or {}) for item in _signature(function))
        text = inspect.getdoc(function)
        if not text:
            raise SpecError("feature.own_without_docstring", feature=function.__name__)

        def build(g: Graph, *values: float) -> int:
            expression = function(*values)
            if not isinstance(expression, Expression):
                raise SpecError(
                    "feature.own_without_expression", feature=function.__name__, type=type(expression).__name__
                )
            return expression.node(g)

        register_own(Kind(function.__name__, params, build, unit, (low, high), source, text))
        return function

    return register


def _signature(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _param(name: str, parameter: inspect.Parameter, least: Mapping[str, float]) -> Param:
    default = parameter.default
    if isinstance(default, bool) or not isinstance(default, int | float):
        raise SpecError("feature.own_parameter_without_default", feature=name, parameter=parameter.name)
    return Param(parameter.name, default, least=least.get(parameter.name, 1), integer=isinstance(default, int))
