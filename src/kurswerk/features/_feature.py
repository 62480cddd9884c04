"""What a feature declares about itself."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, TypeAlias

from kurswerk.core.digest import sha256_json
from kurswerk.features._cross import CrossSection
from kurswerk.features._graph import Graph
from kurswerk.features._kernels import STEPS, ema_step
from kurswerk.market import MarketSchema

Build: TypeAlias = Callable[[Graph], int]

NAN_WINDOW = "NaN until the look-back is full, or if an input in it is missing, or on a division by zero"
NAN_RECURSIVE = (
    "NaN until the warm-up is over, and at rows where an input is missing or infinite; the state then carries over "
    "unchanged to the next row; NaN on a division by zero"
)


@dataclass(frozen=True)
class Feature:
    """One feature with fixed parameters.

    Attributes
    ----------
    name
        As models and files name it, e.g. ``price_change_5``.
    kind
        The name without its parameters, e.g. ``price_change``.
    params
        Parameter → value, in the order in which the name states them.
    inputs
        Panel columns it reads; its timestamps are always at hand and not named.
    lookback
        Rows it depends on, its own included; None where it depends on all earlier ones (recursive).
    unit
        E.g. ``percent``, ``SOL``, ``flag``.
    range
        Least and greatest value possible for valid input.
    nan_rule
        When it is NaN.
    source
        Where the definition comes from.
    doc
        What it is, with the formula.
    market
        Whose columns it reads.
    compared
        The features of one instrument that a feature of the second stage compares; empty for all others.
    cross
        How they are compared; None for all others.
    """

    name: str
    kind: str
    params: dict[str, float] = field(hash=False)
    inputs: tuple[str, ...]
    lookback: int | None
    unit: str
    range: tuple[float, float]
    nan_rule: str
    source: str
    doc: str
    market: MarketSchema = field(repr=False, compare=False, hash=False)
    build: Build = field(repr=False, compare=False, hash=False)
    compared: "tuple[Feature, ...]" = field(default=(), repr=False, compare=False, hash=False)
    cross: CrossSection | None = None

    @property
    def recursive(self) -> bool:
        """Whether the value depends on all earlier rows through a state."""
        return self.lookback is None

    @cached_property
    def definition_hash(self) -> str:
        """SHA-256 over kind, parameters, expression and source text of every step in it.

        It changes when the definition changes, and only then: names, units and texts do not count.
        """
        if self.cross is not None:
            return self.cross.definition_hash(self.market, {one.name: one.definition_hash for one in self.compared})
        graph = Graph(self.market)
        place = self.build(graph)
        nodes = [graph.nodes[k] for k in graph.ancestry(place)]
        expression = [[n.step, list(map(list, n.taps)), n.window, list(n.numbers), n.column] for n in nodes]
        steps = sorted({n.step for n in nodes if n.step != "input"})
        return sha256_json(
            {
                "kind": self.kind,
                "params": self.params,
                "expression": expression,
                "steps": {step: step_source(step) for step in steps},
            }
        )


@cache
def step_source(step: str) -> str:
    """Return the source text of a compiled step."""
    compiled: Any = STEPS[step][1]
    text = inspect.getsource(compiled)
    return text + inspect.getsource(ema_step) if step == "ema_bank" else text
