"""Old models as rows of our table: without an artifact, with the specification that trains them again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from kurswerk.core.messages import Message
from kurswerk.storage.adoption._old_tables import OldTable
from kurswerk.storage.server import Connection, jsonb, stored_message
from kurswerk.training import json_value, translate_specification

_RATIOS = (
    "training_accuracy", "training_f1", "training_precision", "training_recall", "roc_auc", "fpr", "fnr",
    "alert_threshold",
)  # fmt: skip
_NUMBERS = ("cv_overfitting_gap", "simulated_profit_pct")
_OPERATORS = (">", "<", ">=", "<=", "=")
_NOT_RETURNED = "adoption.model_left_out"


@dataclass(frozen=True)
class AdoptedModel:
    """What becomes of one old model.

    Attributes
    ----------
    id
        The same as before.
    name, old_name
        Now and before; another one where two models that were not deleted had the same.
    translated
        Whether there is a specification that trains it again.
    taken_over
        Whether it is listed; one whose period is none stays in the old table alone.
    remarks
        What is not as it was.
    row
        Columns of our table.
    """

    id: int
    name: str
    old_name: str
    translated: bool
    taken_over: bool
    remarks: tuple[Message, ...]
    row: Mapping[str, Any]


def read_models(connection: Connection, table: OldTable) -> list[AdoptedModel]:
    """Return what becomes of each model of an old table, in the order of their ids."""
    taken: set[str] = set()
    query = sql.SQL("SELECT * FROM {} ORDER BY id").format(table.identifier)
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_adopted(row, taken) for row in cursor.execute(query).fetchall()]


def insert_models(connection: Connection, models: Sequence[AdoptedModel]) -> int:
    """Insert those that are taken over and return how many they are."""
    rows = [model.row for model in models if model.taken_over]
    for row in rows:
        connection.execute(
            sql.SQL("INSERT INTO ml_models ({}) VALUES ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
            ),
            row,
        )
    return len(rows)


def _adopted(old: Mapping[str, Any], taken: set[str]) -> AdoptedModel:
    deleted = bool(old.get("is_deleted"))
    old_name = str(old["name"] or "").replace("\0", "")[:255] or f"model {old['id']}"
    name = old_name if deleted or old_name not in taken else f"{old_name[:220]} (id {old['id']})"
    start, end = _moment(old["train_start"]), _moment(old["train_end"])
    if start is None or end is None or start >= end:
        remark = Message(_NOT_RETURNED, start=str(old["train_start"]), end=str(old["train_end"]))
        return AdoptedModel(old["id"], name, old_name, False, False, (remark,), {})
    if not deleted:
        taken.add(name)
    done = translate_specification({**old, "name": name})
    remarks = done.remarks
    if name != old_name:
        remarks = (Message("adoption.name_taken", name=old_name), *remarks)
    spec = done.spec or {}
    row: dict[str, Any] = {
        "id": old["id"],
        "name": name,
        "model_type": str(old["model_type"])[:50],
        "status": "NO_ARTIFACT",
        "is_deleted": deleted,
        "is_active": False,
        "train_start": start,
        "train_end": end,
        "description": old.get("description"),
        "spec": jsonb(spec),
        "params": jsonb(spec.get("params", json_value(old.get("params")))),
        "features": jsonb(_names(old.get("features"))),
        "phases": jsonb(spec.get("phases")),
        **_target(spec, old),
        **_scores(old),
        "created_at": _moment(old.get("created_at")) or datetime.now(UTC),
        **dict(zip(("error_msg", "error_detail"), stored_message(_state(done.spec, remarks)).values(), strict=True)),
    }
    given = {column: value for column, value in row.items() if value is not None}
    return AdoptedModel(old["id"], name, old_name, done.spec is not None, True, remarks, given)


def _state(spec: Mapping[str, Any] | None, remarks: Sequence[Message]) -> Message:
    """Return what a reader of the model should know."""
    if not remarks:
        return Message("adoption.without_artifact")
    whole = remarks[0]
    for remark in remarks[1:]:
        whole = Message("validation.two_problems", first=whole, second=remark)
    return Message("adoption.not_translated" if spec is None else "adoption.translated_in_part", remarks=whole)


def _target(spec: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of what is predicted, as far as our table takes them."""

    def value(field: str, column: str) -> Any:
        return spec.get(field) if spec else old.get(column)

    direction, operator = value("direction", "target_direction"), value("operator", "target_operator")
    return {
        "target_variable": str(value("target_var", "target_variable") or "?")[:100],
        "target_operator": operator if operator in _OPERATORS else None,
        "target_value": _number(value("target_value", "target_value")),
        "future_minutes": _positive(value("future_minutes", "future_minutes")),
        "price_change_percent": _positive(value("min_percent_change", "price_change_percent")),
        "target_direction": direction if direction in {"up", "down"} else None,
    }


def _scores(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics that lie where such metrics lie."""
    scores: dict[str, Any] = {name: _between(old.get(name), 0, 1) for name in _RATIOS}
    scores["mcc"] = _between(old.get("mcc"), -1, 1)
    scores.update({name: _number(old.get(name)) for name in _NUMBERS})
    importance = json_value(old.get("feature_importance"))
    if isinstance(importance, Mapping):
        shares = {str(name): _number(share) for name, share in importance.items()}
        scores["feature_importance"] = jsonb({name: share for name, share in shares.items() if share is not None})
    scores["cv_scores"] = jsonb(json_value(old.get("cv_scores")))
    matrix = _matrix(json_value(old.get("confusion_matrix")))
    scores["confusion_matrix"] = jsonb(matrix)
    return scores


def _matrix(value: Any) -> dict[str, int] | None:
    """Return the four counts, of an object or of scikit-learn's two rows; None where they are not there."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        try:
            (tn, fp), (fn, tp) = value
        except (TypeError, ValueError):
            return None
        value = {"tp": tp, "tn": tn, "fp": fp, "fn": fn}
    if not isinstance(value, Mapping):
        return None
    counts = {name: _number(value.get(name)) for name in ("tp", "tn", "fp", "fn")}
    whole = {name: int(count) for name, count in counts.items() if count is not None and count >= 0}
    return whole if len(whole) == 4 else None


def _names(value: Any) -> list[str]:
    found = json_value(value)
    return [str(name) for name in found] if isinstance(found, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return float(value) if math.isfinite(value) else None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _between(value: Any, least: float, most: float) -> float | None:
    number = _number(value)
    return number if number is not None and least <= number <= most else None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
