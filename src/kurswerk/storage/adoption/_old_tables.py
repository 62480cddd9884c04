"""Tables of an older service beside which Kurswerk cannot make its own of the same names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server import Connection

# Schema in which they stay as they were; backups hold it like any other.
KEPT_IN: Final = "before_kurswerk"
# In the order in which rows refer to each other.
TABLES: Final = (
    "ml_models", "ml_test_results", "ml_comparisons", "ml_jobs", "predictions", "prediction_alerts", "ml_artifacts",
)  # fmt: skip
_LEAST_COLUMNS = frozenset({"id", "name", "model_type", "features", "target_variable", "train_start", "train_end"})
_LOCK_TIMEOUT_MS = 10_000
_FOUND = """
SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = ANY(%s) AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum"""
_USERS = """
SELECT DISTINCT coalesce(nullif(application_name, ''), usename, 'pid ' || pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY 1"""


@dataclass(frozen=True)
class OldTable:
    """A table as it was found: in which schema, and its columns with their types."""

    schema: str
    name: str
    columns: Mapping[str, str]

    @property
    def identifier(self) -> sql.Identifier:
        """Schema and name for a statement."""
        return sql.Identifier(self.schema, self.name)

    def moved(self) -> "OldTable":
        """Return the same table where it is kept."""
        return OldTable(KEPT_IN, self.name, self.columns)


def find_old_tables(connection: Connection) -> tuple[OldTable, ...]:
    """Return the tables of an older service that Kurswerk's own would be called like; none where there are none.

    Raises
    ------
    ConflictError
        If there are tables of those names, but no models as the older services kept them.
    """
    row = connection.execute("SELECT current_schema()").fetchone()
    schema = str(row[0]) if row and row[0] else "public"
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(_FOUND, [schema, list(TABLES)]):
        columns.setdefault(table, {})[column] = kind
    if not columns:
        return ()
    missing = _LEAST_COLUMNS - columns.get("ml_models", {}).keys()
    if missing:
        raise ConflictError("adoption.other_tables", tables=sorted(columns), columns=sorted(missing))
    return tuple(OldTable(schema, name, columns[name]) for name in TABLES if name in columns)


def others_connected(connection: Connection) -> tuple[str, ...]:
    """Return what else is connected to the database, by application or user."""
    return tuple(name for (name,) in connection.execute(_USERS))


def set_aside(connection: Connection, tables: Sequence[OldTable]) -> None:
    """Move tables with their indexes and sequences to the schema in which they stay, in the caller's transaction.

    Raises
    ------
    ConflictError
        If others work with them, or that schema holds tables of these names already.
    """
    names = sql.SQL(", ").join(table.identifier for table in tables)
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}".encode())
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
    except psycopg.errors.LockNotAvailable as error:
        raise ConflictError("adoption.tables_in_use", others=others_connected(connection)) from error
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(KEPT_IN)))
    for table in tables:
        there = connection.execute("SELECT to_regclass(%s)", [f"{KEPT_IN}.{table.name}"]).fetchone()
        if there and there[0]:
            raise ConflictError("adoption.kept_already", table=f"{KEPT_IN}.{table.name}")
        connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table.identifier, sql.Identifier(KEPT_IN)))
