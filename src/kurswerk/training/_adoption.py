"""Specifications of models that an older service trained, as its database describes them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.messages import Message
from kurswerk.features import resolve
from kurswerk.market import DEFAULT_MARKET, market_named
from kurswerk.models import MODEL_TYPES, model_params
from kurswerk.training.spec import CHANGE_FIELDS, FIELDS_ONCE_IN_PARAMS, THRESHOLD_FIELDS, ModelSpec

Row = Mapping[str, Any]

# Field of a specification → columns of the old table that hold it, where it is called otherwise there.
_COLUMNS = {
    "target_var": "target_variable",
    "operator": "target_operator",
    "min_percent_change": "price_change_percent",
    "direction": "target_direction",
}
_TARGET_FIELDS = ("use_time_based_prediction", "future_minutes", *CHANGE_FIELDS, *THRESHOLD_FIELDS)
_OPERATORS = {"==": "="}
_DIRECTIONS = {"rise": "up", "fall": "down", "increase": "up", "decrease": "down"}


@dataclass(frozen=True)
class Translation:
    """What became of an old model's description.

    Attributes
    ----------
    spec
        The specification that trains it again, as JSON; None where none could be made of it.
    remarks
        What is not in it, and why; where there is no specification, the last one is the reason.
    """

    spec: dict[str, Any] | None
    remarks: tuple[Message, ...] = ()


def translate_specification(row: Row) -> Translation:
    """Make a specification of a row of an old ``ml_models``.

    Columns may be missing, JSON may be stored as text inside JSON, and fields of later versions of the old service may
    lie inside ``params``, on their own or in an object. Features and hyper-parameters that nobody knows here are left
    out and named; everything else has to be right.

    Parameters
    ----------
    row
        Column → value; only ``name``, ``model_type``, ``features``, ``train_start``, ``train_end`` and
        ``target_variable`` have to be there.

    Examples
    --------
    >>> row = {"name": "old", "model_type": "xgboost", "features": '["price_close", "volume_sol", "aura"]',
    ...        "train_start": "2025-01-01", "train_end": "2025-02-01", "target_variable": "price_close",
    ...        "params": {"max_depth": 4, "_time_based": {"future_minutes": 5, "min_percent_change": 30,
    ...                                                   "direction": "up"}}}
    >>> done = translate_specification(row)
    >>> done.spec["future_minutes"], done.spec["params"], [remark.params["name"] for remark in done.remarks]
    (5.0, {'max_depth': 4}, ['aura'])
    """
    params = _flat(json_value(row.get("params")) or {})
    remarks: list[Message] = []
    document: dict[str, Any] = {
        "name": str(row["name"]),
        "model_type": str(row["model_type"]).strip().lower(),
        "train_start": _moment(row["train_start"]),
        "train_end": _moment(row["train_end"]),
        "target_var": row.get("target_variable"),
        "features": _known(_names(row.get("features")), _resolves, "adoption.feature_left_out", remarks),
        "phases": json_value(row.get("phases")) or None,
        "description": row.get("description"),
        **_target(row, params),
    }
    for field in FIELDS_ONCE_IN_PARAMS:
        value = json_value(row.get(field))
        document[field] = params.pop(field, None) if value is None else value
    hyper = {name: value for name, value in params.items() if name not in _TARGET_FIELDS}
    kept = _known(list(hyper), lambda name: _takes(document["model_type"], name, hyper[name]), _PARAMETER, remarks)
    document["params"] = {name: hyper[name] for name in kept}
    try:
        spec = ModelSpec.parse({name: value for name, value in document.items() if value is not None})
    except InvalidInputError as error:
        return Translation(None, (*remarks, error.message))
    return Translation(spec.as_json(), tuple(remarks))


_PARAMETER = "adoption.parameter_left_out"


def json_value(value: Any) -> Any:
    """Return what a JSON column holds; a text in it is JSON once more, as older services wrote it.

    Examples
    --------
    >>> json_value('"[1, 2]"'), json_value([1]), json_value("no json")
    ([1, 2], [1], 'no json')
    """
    while isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            return value
        if inner == value:
            return value
        value = inner
    return value


def _flat(params: Any) -> dict[str, Any]:
    """Return parameters with those of inner objects beside the others."""
    if not isinstance(params, Mapping):
        return {}
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            flat.update(value)
        else:
            flat[str(name)] = value
    flat.pop("enabled", None)  # of the object that describes a time-based target; its values state the same
    return flat


def _names(value: Any) -> list[str]:
    found = json_value(value)
    return [str(name) for name in found] if isinstance(found, Sequence) and not isinstance(found, str) else []


def _target(row: Row, params: Row) -> dict[str, Any]:
    """Return the fields of one kind of target: a change where there is one, else a level."""
    given = {name: row.get(_COLUMNS.get(name, name)) for name in (*CHANGE_FIELDS, *THRESHOLD_FIELDS, "future_minutes")}
    given = {name: params.get(name) if value is None else value for name, value in given.items()}
    timed = given["min_percent_change"] is not None and given["direction"] is not None
    fields = ("future_minutes", *(CHANGE_FIELDS if timed else THRESHOLD_FIELDS))
    target = {name: given[name] for name in fields}
    for name in ("future_minutes", "min_percent_change", "target_value"):
        number = target.get(name)
        if number is not None:
            target[name] = float(number)
    if timed:
        target["direction"] = _word(target["direction"], _DIRECTIONS)
        return {**target, "use_time_based_prediction": True}
    # Older services wrote 0 where no horizon was meant.
    return {
        **target,
        "operator": _word(target["operator"], _OPERATORS),
        "future_minutes": target["future_minutes"] or None,
    }


def _word(value: Any, other_words: Mapping[str, str]) -> Any:
    text = value.strip().lower() if isinstance(value, str) else value
    return other_words.get(text, text)


def _known(names: Sequence[str], check: Callable[[str], None], code: str, remarks: list[Message]) -> list[str]:
    """Return the names that pass a check; a remark is added for each other one."""
    kept = []
    for name in dict.fromkeys(names):
        try:
            check(name)
        except InvalidInputError as error:
            remarks.append(Message(code, name=name, reason=error.message))
        else:
            kept.append(name)
    return kept


def _resolves(name: str) -> None:
    resolve(name, market_named(DEFAULT_MARKET))


def _takes(model_type: str, name: str, value: Any) -> None:
    if model_type in MODEL_TYPES:  # else the specification is refused for it
        model_params(model_type, {name: value})


def _moment(value: Any) -> Any:
    """Return a moment in UTC; one without a zone is taken for UTC."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return value
