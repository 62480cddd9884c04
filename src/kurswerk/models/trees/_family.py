"""What the declarations of tree families share."""

from importlib import import_module

from kurswerk.models._conformal import INTERVAL_OPERATORS
from kurswerk.models._estimator import Estimator, Task
from kurswerk.models._family import ModelFamily
from kurswerk.models._hyper_parameters import HyperParameters
from kurswerk.models.trees._compiled import compile_prediction
from kurswerk.models.trees._graph import TREE_OPERATORS


def tree_family(
    name: str,
    title: str,
    description: str,
    hyper_parameters: type[HyperParameters],
    estimator: str,
    task: Task = "classification",
) -> ModelFamily:
    """Declare a family whose models are tree ensembles.

    Parameters
    ----------
    name, title, description, hyper_parameters, task
        As in `ModelFamily`.
    estimator
        ``"module:class"`` in this package. It is imported when a model is fitted: its library is slow to import, and a
        server that only predicts never needs it.
    """
    module, _, found = estimator.partition(":")

    def load() -> type[Estimator]:
        loaded: type[Estimator] = getattr(import_module(f"kurswerk.models.trees.{module}"), found)
        return loaded

    return ModelFamily(
        name,
        title,
        description,
        hyper_parameters,
        TREE_OPERATORS | (INTERVAL_OPERATORS if task == "regression" else frozenset()),
        load,
        task,
        compile_graph=compile_prediction,
        facts={"trees": "Trees"},
    )
