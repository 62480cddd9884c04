"""What a model family declares of itself; light, so that a server knows every family without its libraries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from onnx import ModelProto

from kurswerk.models._estimator import Estimator, Task
from kurswerk.models._hyper_parameters import HyperParameters
from kurswerk.models._session import BlockFunction

Input = Literal["rows", "windows"]


@dataclass(frozen=True)
class ModelFamily:
    """One type of model: its hyper-parameters, what its artifacts may contain, and who fits it.

    Attributes
    ----------
    name
        The ``model_type`` of a specification, a record and an artifact.
    title
        What a person reads, in English.
    description
        One sentence on when to choose it.
    hyper_parameters
        Declares defaults and ranges; forms and the API's documentation are made from it.
    operators
        (domain, operator) of everything an artifact of this family may contain; the runtime refuses any other.
    estimator
        Returns the class that fits it, called as ``estimator()(params, threads)``. Training libraries take seconds to
        import, so they are imported when it is called.
    task
        Whether it predicts a class or a number.
    input
        Whether it predicts from one row or from a window of rows of one instrument.
    compile_graph
        Returns what computes an artifact of this family faster than ONNX Runtime, with the same bits; None where there
        is nothing faster.
    facts
        Name → English title of what ``Estimator.facts_`` reports of a fitted model.
    """

    name: str
    title: str
    description: str
    hyper_parameters: type[HyperParameters]
    operators: frozenset[tuple[str, str]]
    estimator: Callable[[], type[Estimator]]
    task: Task = "classification"
    input: Input = "rows"
    compile_graph: Callable[[ModelProto], BlockFunction | None] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
