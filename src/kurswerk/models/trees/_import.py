"""Forests that somebody else has grown."""

from typing import Any

from kurswerk.core.errors import DataError
from kurswerk.models._estimator import Estimator


def from_scikit_learn(forest: Any, *, threads: int | None = None) -> Estimator:
    """Take over a fitted forest of scikit-learn, so that it can be served like any other model.

    Thresholds are rounded down to float32, which decides every float32 value as before; leaf shares are rounded to
    binary fixed point, 18 digits for 100 trees. Missing values go where scikit-learn learned to send them.

    Parameters
    ----------
    forest
        A fitted ``sklearn.ensemble.RandomForestClassifier`` or ``ExtraTreesClassifier`` of one output and classes 0, 1.
    threads
        Threads for large batches, None for all cores.

    Raises
    ------
    DataError
        If the forest's classes are not 0 and 1.
    """
    if list(getattr(forest, "classes_", ())) != [0, 1]:
        raise DataError("model.classes_not_binary", classes=list(getattr(forest, "classes_", ())))
    # Its library takes seconds to import; a server that only predicts never pays for it.
    from kurswerk.models.trees._forest import RandomForest  # noqa: PLC0415 - slow to import

    return RandomForest.from_scikit_learn(forest, threads)
