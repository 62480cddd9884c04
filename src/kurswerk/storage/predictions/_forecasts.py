"""The forecasts beside predictions, read by their references."""

from collections.abc import Callable, Sequence
from typing import Any

from psycopg import sql

from kurswerk.storage.predictions._archiving import FORECAST
from kurswerk.storage.predictions._partitions import forecasts_of

_NONE = dict.fromkeys(FORECAST)


def forecasts_query(rows: Sequence[dict[str, Any]], table: str = "predictions") -> sql.Composed | None:
    """Return the query of the forecasts of those predictions that have one; None where none has.

    Both parts of the reference are given, so that only the partitions of these moments are read.
    """
    wanted = [row for row in rows if row["is_forecast"]]
    if not wanted:
        return None
    return sql.SQL(
        "SELECT prediction_id, forecast::float8, low::float8, high::float8 FROM {}"
        ' WHERE prediction_id = ANY ({}) AND "timestamp" = ANY ({})'
    ).format(
        sql.Identifier(forecasts_of(table)),
        sql.Literal([row["id"] for row in wanted]),
        sql.Literal(sorted({row["timestamp"] for row in wanted})),
    )


def with_forecasts(
    rows: list[dict[str, Any]], table: str, fetch: Callable[[sql.Composed], Sequence[Any]]
) -> list[dict[str, Any]]:
    """Return predictions with forecast, low and high instead of ``is_forecast``; None for models that make none."""
    query = forecasts_query(rows, table)
    return joined(rows, [] if query is None else fetch(query))


def joined(rows: list[dict[str, Any]], found: Sequence[Any]) -> list[dict[str, Any]]:
    """Put what `forecasts_query` finds beside its predictions."""
    by_id = {row[0]: dict(zip(FORECAST, row[1:], strict=True)) for row in found}
    for row in rows:
        row.update(by_id.get(row["id"], _NONE))
        del row["is_forecast"]
    return rows
