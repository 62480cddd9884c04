"""Records to rows and back: what the tables of models, tests and comparisons have in common."""

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from psycopg import sql
from psycopg.rows import DictRow

from kurswerk.core.errors import ConstraintError
from kurswerk.evaluation import Metrics
from kurswerk.storage.server import Connection

Record = TypeVar("Record")

# Field of `Metrics` → column, where the contract gives it another name; counts are in columns or ``confusion_matrix``.
MODEL_METRICS = {name: f"training_{name}" for name in ("accuracy", "f1", "precision", "recall")}
TEST_METRICS = {"f1": "f1_score", "precision": "precision_score"}
_COUNTS = ("tp", "tn", "fp", "fn")
_NUMBERS = tuple(one.name for one in fields(Metrics) if one.name not in _COUNTS)


def number(value: float | None) -> float | None:
    """Return a number that a column may hold: NaN and infinities become NULL.

    Examples
    --------
    >>> number(0.5), number(float("nan"))
    (0.5, None)
    """
    return None if value is None or not math.isfinite(value) else float(value)


def metrics_row(metrics: Metrics, names: Mapping[str, str]) -> dict[str, float | None]:
    """Return the columns that metrics fill, but for the counts.

    Parameters
    ----------
    names
        Columns that are not called as the fields are, such as `MODEL_METRICS`.
    """
    return {names.get(name, name): number(getattr(metrics, name)) for name in _NUMBERS}


def metrics_of_row(row: Mapping[str, Any], names: Mapping[str, str]) -> Metrics | None:
    """Return the metrics in a row's columns; None where it has no counts. ``names`` as for `metrics_row`."""
    counts = row if "tp" in row else row["confusion_matrix"]
    if counts is None:
        return None
    values = {name: row[names.get(name, name)] for name in _NUMBERS}
    return Metrics(**values, **{name: counts[name] for name in _COUNTS})


def metrics_json(metrics: Metrics) -> dict[str, Any]:
    """Return metrics as JSON, under the names of the class."""
    return {one.name: getattr(metrics, one.name) for one in fields(Metrics)}


def metrics_of_json(values: Mapping[str, Any]) -> Metrics:
    """Build metrics from JSON made by `metrics_json`."""
    given: dict[str, Any] = {one.name: values.get(one.name) for one in fields(Metrics)}
    return Metrics(**given)


def record_of(kind: type[Record], row: DictRow, **given: Any) -> Record:
    """Return a record whose fields are a row's columns of the same names; moments are in UTC.

    Parameters
    ----------
    kind
        A dataclass.
    given
        Fields that are not simply a column.
    """
    names = [one.name for one in fields(kind) if one.name not in given]  # type: ignore[arg-type]
    return kind(**{name: _value(name, row[name]) for name in names}, **given)


def insert_row(connection: Connection, table: str, row: Mapping[str, Any]) -> int:
    """Insert a row and return its id."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    found = connection.execute(statement, row).fetchone()
    if found is None:  # a rule or trigger of somebody else's left the row out
        raise ConstraintError("database.row_refused", reason=table, constraint="")
    return int(found[0])


def _value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if name == "feature_importance":
        # jsonb keeps keys by length; the record's order is by importance.
        return dict(sorted((value or {}).items(), key=lambda item: (-item[1], item[0])))
    return value
