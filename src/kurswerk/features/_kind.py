"""Kinds of features: a name, its parameters and the expression they lead to."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kurswerk.core.errors import SpecError
from kurswerk.features._feature import NAN_RECURSIVE, NAN_WINDOW, Feature
from kurswerk.features._graph import TIME, Graph, MissingInputError
from kurswerk.market import MarketSchema

LARGEST_WINDOW = 100_000


@dataclass(frozen=True)
class Param:
    """A parameter as it stands in a feature's name.

    Attributes
    ----------
    name
        What it means.
    example
        The usual value.
    least
        Smallest value allowed; the largest is 100,000.
    integer
        Whether it counts rows.
    """

    name: str
    example: float
    least: float = 1
    integer: bool = True

    def read(self, text: str, feature: str) -> float:
        """Read the parameter from a feature's name.

        Raises
        ------
        SpecError
            If it is no number in canonical form, or out of range.
        """
        try:
            value = int(text) if self.integer else float(text)
        except ValueError:
            value = -1
        if text != f"{value:.10g}" or not self.least <= value <= LARGEST_WINDOW:
            raise SpecError(
                "feature.integer_out_of_range" if self.integer else "feature.number_out_of_range",
                feature=feature,
                parameter=self.name,
                text=text,
                least=self.least,
                most=LARGEST_WINDOW,
            )
        return value


@dataclass(frozen=True)
class Kind:
    """A family of features that differ in their parameters alone.

    Attributes
    ----------
    name
        Name without parameters.
    params
        Parameters in the order of the name.
    build
        Function of a `Graph` and the parameters that returns the feature's node.
    unit, range, source, doc
        As in `Feature`.
    """

    name: str
    params: tuple[Param, ...]
    build: Callable[..., int]
    unit: str
    range: tuple[float, float]
    source: str
    doc: str

    def feature(self, market: MarketSchema, values: Sequence[float] | None = None, name: str = "") -> Feature:
        """Return the feature of a market with these parameters, or with the usual ones.

        Inputs and look-back are read off the expression, so that they cannot be misstated.

        Raises
        ------
        MissingInputError
            If the market lacks an input.
        """
        given = [param.example for param in self.params] if values is None else list(values)
        arguments = [int(v) if param.integer else v for v, param in zip(given, self.params, strict=True)]

        def build(g: Graph) -> int:
            return self.build(g, *arguments)

        graph = Graph(market)
        place = build(graph)
        columns = [graph.nodes[k].column for k in graph.ancestry(place) if graph.nodes[k].step == "input"]
        lookback = graph.lookbacks()[place]
        return Feature(
            name=name or "_".join((self.name, *(f"{value:.10g}" for value in arguments))),
            kind=self.name,
            params={param.name: value for param, value in zip(self.params, arguments, strict=True)},
            inputs=tuple(column for column in columns if column != TIME),
            lookback=lookback,
            unit=self.unit,
            range=self.range,
            nan_rule=NAN_RECURSIVE if lookback is None else NAN_WINDOW,
            source=self.source,
            doc=self.doc,
            market=market,
            build=build,
        )

    def is_available(self, market: MarketSchema) -> bool:
        """Return whether the market has all inputs."""
        try:
            self.feature(market)
        except MissingInputError:
            return False
        return True


class Catalogue(dict[str, Kind]):
    """Kinds by name, filled by the decorator `define`."""

    def define(
        self, *params: Param, unit: str, low: float, high: float, source: str, name: str = ""
    ) -> Callable[[Callable[..., int]], Callable[..., int]]:
        """Register the decorated function as a kind; its docstring becomes the kind's text."""

        def register(build: Callable[..., int]) -> Callable[..., int]:
            function: Any = build
            kind = name or function.__name__
            self[kind] = Kind(kind, params, build, unit, (low, high), source, inspect.cleandoc(function.__doc__ or ""))
            return build

        return register
