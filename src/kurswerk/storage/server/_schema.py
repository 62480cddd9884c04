"""The tables in a database: brought up to date, taken back, looked at."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kurswerk.core.errors import StorageError
from kurswerk.market import MARKETS
from kurswerk.storage.server._database import Connection, Database
from kurswerk.storage.server._market_tables import missing_market_tables
from kurswerk.storage.server._partitioning import REVISION as PARTITIONED
from kurswerk.storage.server._partitioning import prepared_partitioning
from kurswerk.storage.server._revisions import HEAD, OWNED_TABLE, VERSION_TABLE


@dataclass(frozen=True)
class TableStatus:
    """One table: rows as the server estimates them, bytes with indexes, and whether Kurswerk created it."""

    name: str
    rows: int
    size_bytes: int
    owned: bool


@dataclass(frozen=True)
class SchemaStatus:
    """What is in a database; ``current`` is None before the first upgrade."""

    current: str | None
    head: str
    server_version: str
    size_bytes: int
    tables: tuple[TableStatus, ...]

    @property
    def up_to_date(self) -> bool:
        """Whether nothing is left to migrate."""
        return self.current == self.head


def current_revision(database: Database) -> str | None:
    """Return the revision of the tables, None if Kurswerk has none here."""
    with database.connection() as connection:
        return _current(connection)


def upgrade(database: Database) -> bool:
    """Create or bring up to date Kurswerk's tables; tables that somebody else made are left as they are.

    The tables of registered markets follow from their schemas and need no revision.

    All in one transaction behind an advisory lock: processes that do it at once queue up, and one that is killed leaves
    nothing half done. What takes long on large tables is done before it, beside those who read and write; an upgrade
    that was interrupted there goes on where it was.

    Returns
    -------
    bool
        Whether anything had to be done.

    Raises
    ------
    ConflictError
        If a table that must be ours is there already.
    StorageError
        If the database is of a newer Kurswerk, or refuses.
    """
    current = current_revision(database)
    if current == HEAD:
        with database.connection() as connection:
            missing = missing_market_tables(connection, [m for m in MARKETS.values() if not m.on_demand])
        if missing:
            _migrate(database, "upgrade", HEAD)
        return bool(missing)
    if current is not None and current > HEAD:
        raise StorageError("database.newer_revision", database=database, revision=current, supported=HEAD)
    if current is not None and current < PARTITIONED:
        with prepared_partitioning(database):
            _migrate(database, "upgrade", HEAD)
    else:
        _migrate(database, "upgrade", HEAD)
    return current_revision(database) != current


def create_tables(
    database: Database, *, before: Callable[[Connection], None], after: Callable[[Connection], None]
) -> bool:
    """Create all tables in a database that has none of ours, with work of the caller's in the same transaction.

    Parameters
    ----------
    before, after
        Called behind the lock that all processes share; not called where another process has created the tables
        meanwhile.

    Returns
    -------
    bool
        Whether they were called.

    Raises
    ------
    ConflictError, StorageError
        As for `upgrade`; then nothing has happened.
    """
    called = False

    def begin(connection: Connection) -> None:
        nonlocal called
        called = _current(connection) is None
        if called:
            before(connection)

    def end(connection: Connection) -> None:
        if called:
            after(connection)

    _migrate(database, "upgrade", HEAD, before=begin, after=end)
    return called


def downgrade(database: Database, revision: str = "base") -> None:
    """Take migrations back to ``revision``; drops only what Kurswerk created, with its data."""
    if current_revision(database) is not None:
        _migrate(database, "downgrade", revision)


def schema_status(database: Database) -> SchemaStatus:
    """Look at what is in the database."""
    with database.connection() as connection:
        current = _current(connection)
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        version = connection.execute("SHOW server_version").fetchone()
        owned = _owned(connection)
        rows = connection.execute(
            # A partitioned table has what its partitions have; those are not listed.
            "SELECT c.relname, sum(greatest(part.reltuples, 0))::bigint, sum(pg_total_relation_size(part.oid))::bigint"
            " FROM pg_class c LEFT JOIN pg_inherits i ON i.inhparent = c.oid AND c.relkind = 'p'"
            " JOIN pg_class part ON part.oid IN (c.oid, i.inhrelid)"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND pg_table_is_visible(c.oid)"
            " AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
            " GROUP BY c.relname ORDER BY c.relname"
        ).fetchall()
    tables = tuple(TableStatus(name, count, bytes_, name in owned) for name, count, bytes_ in rows)
    return SchemaStatus(current, HEAD, version[0] if version else "", size[0] if size else 0, tables)


def _current(connection: Connection) -> str | None:
    there = connection.execute("SELECT to_regclass(%s)", [VERSION_TABLE]).fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant  # nosec B608
    return row[0] if row else None


def _owned(connection: Connection) -> set[str]:
    there = connection.execute("SELECT to_regclass(%s)", [OWNED_TABLE]).fetchone()
    if there is None or there[0] is None:
        return set()
    return {row[0] for row in connection.execute(f"SELECT name FROM {OWNED_TABLE}")}  # noqa: S608 - a constant  # nosec B608


def _migrate(database: Database, step: str, revision: str, **steps: Any) -> None:
    # Imported when there is something to migrate: Alembic and SQLAlchemy take most of a second.
    importlib.import_module("kurswerk.storage.server._migrating").migrate(database, step, revision, **steps)
