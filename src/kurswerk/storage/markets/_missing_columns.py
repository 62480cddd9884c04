"""Columns that active models need and the database lacks."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from kurswerk.core.errors import KurswerkError, StorageError
from kurswerk.features import FeaturePlan
from kurswerk.market import MarketSchema, market_named
from kurswerk.serving import MissingColumn, Scope, required_columns
from kurswerk.storage.markets._table import MarketTable
from kurswerk.storage.server import Connection, Database

_ACTIVE = """
SELECT id, market, features, phases FROM ml_models
WHERE is_active AND NOT is_deleted AND status = 'READY' ORDER BY id"""


def missing_columns(database: Database) -> Sequence[MissingColumn]:
    """Return the columns that active models need and the database lacks, market by market, in the schemas' order."""
    found: list[MissingColumn] = []
    with database.connection() as connection:
        models: dict[str, list[tuple[int, frozenset[str]]]] = {}
        for model_id, market, features, phases in connection.execute(_ACTIVE).fetchall():
            models.setdefault(market, []).append((model_id, _needed(market, tuple(features), phases)))
        for name, needs in models.items():
            found += _missing(connection, market_named(name), needs)
    return found


def absent_columns(database: Database, market: MarketSchema, columns: Iterable[str]) -> Sequence[str]:
    """Return those of a market's columns that the database lacks, in the schema's order."""
    with database.connection() as connection:
        present = _present(connection, market)
    return [column for column in market.in_order(columns) if column not in present]


def _missing(
    connection: Connection, market: MarketSchema, needs: Sequence[tuple[int, frozenset[str]]]
) -> list[MissingColumn]:
    present = _present(connection, market)
    ids = tuple(model for model, _ in needs)
    keys = [
        MissingColumn(market.name, market.table, column, ids, is_key=True)
        for column in (market.key, market.timestamp)
        if column not in present
    ]
    lacking = [column for column in market.panel_columns if column not in present]
    by_column = {column: tuple(model for model, needed in needs if column in needed) for column in lacking}
    return keys + [
        MissingColumn(market.name, market.table_of(column), column, models)
        for column, models in by_column.items()
        if models
    ]


def _present(connection: Connection, market: MarketSchema) -> Mapping[str, Any]:
    try:
        table = MarketTable.find(connection, market)
    except StorageError as error:
        # Without a key nothing else can be read; of a table that is there, the error names what it has.
        return dict.fromkeys(error.message.params.get("found") or ())
    return {market.key: None, market.timestamp: None, **table.versions}


@lru_cache(maxsize=1000)
def _inputs(market: str, features: tuple[str, ...], *, has_segments: bool) -> frozenset[str]:
    scope = Scope(segments=frozenset() if has_segments else None)
    try:
        return frozenset(required_columns(FeaturePlan(features, market_named(market)), scope))
    except KurswerkError:  # features of another version: such a model does not predict, and its fault is shown
        return frozenset()


def _needed(market: str, features: tuple[str, ...], phases: Any) -> frozenset[str]:
    return _inputs(market, features, has_segments=phases is not None)
