"""A model's specification under a name of its own, to train it once more."""

from datetime import datetime
from itertools import count
from typing import Any

from kurswerk.core.errors import ConflictError, InvalidInputError, NotFoundError
from kurswerk.registry import ModelRecord, ModelStore
from kurswerk.training.spec import ModelSpec

_LONGEST_NAME = 255


def specification_again(
    record: ModelRecord,
    models: ModelStore,
    *,
    name: str | None = None,
    train_start: datetime | None = None,
    train_end: datetime | None = None,
) -> ModelSpec:
    """Return the specification that trains a model again, as a model of its own.

    The one that is there keeps its numbers and its predictions: those of another artifact must not be counted with
    them.

    Parameters
    ----------
    models
        Asked for a name that is free.
    name
        Of the new model; else the old one's with the next free number behind it.
    train_start, train_end
        Another period to learn from.

    Raises
    ------
    ConflictError
        If the model's specification cannot be read, as of one that was taken over from an older service.
    SpecError
        If the period is empty.
    """
    period = {"train_start": train_start, "train_end": train_end}
    changes: dict[str, Any] = {field: value for field, value in period.items() if value is not None}
    try:
        spec = ModelSpec.stored(record.spec)
    except InvalidInputError as error:
        raise ConflictError("model.without_specification", name=record.name, reason=error.message) from error
    return ModelSpec.parse({**spec.as_json(), **changes, "name": name or _free_name(record.name, models)})


def _free_name(name: str, models: ModelStore) -> str:
    """Return a name with a number behind it, counted on from the one that is there."""
    stem, _, digits = name.rpartition(" ")
    first = 2
    if stem and digits.isascii() and digits.isdigit() and len(digits) < 6:
        name, first = stem, int(digits) + 1
    numbered = (f"{name[: _LONGEST_NAME - 8]} {number}" for number in count(first))
    return next(candidate for candidate in numbered if not _is_taken(candidate, models))


def _is_taken(name: str, models: ModelStore) -> bool:
    try:
        models.get(name)
    except NotFoundError:
        return False
    return True
