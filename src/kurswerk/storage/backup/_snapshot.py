"""One consistent moment of a database, seen by several connections at once while everybody goes on writing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString

import psycopg
from psycopg import sql

from kurswerk.core.errors import ConflictError, StorageError
from kurswerk.storage.server import MIGRATION_LOCK, RETENTION_LOCK, Connection, Database, translating

# One backup of a database at a time. Any constant: "KWb" in hexadecimal.
BACKUP_LOCK = 0x4B5762
# A migration or a cleanup that is under way is waited for; what waits for us is nobody who serves.
_LOCK_TIMEOUT = "60s"
_ATTEMPTS = 3
# Nothing of the server's may end a backup because it takes long.
_NO_TIMEOUTS = (
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN"
    " ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'idle_session_timeout')"
)
_OURS: LiteralString = (
    " n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid"
    " AND d.deptype = 'e')"
)
# Partitions are tables of their own here; what they belong to has no rows. Binary COPY of a type that is not the
# server's own, unless an enumeration, may hold numbers that another server gives to another type.
_TABLES: LiteralString = (
    "SELECT n.nspname, c.relname,"  # noqa: S608 - constants  # nosec B608
    " pg_relation_size(c.oid) / current_setting('block_size')::int,"
    " pg_table_size(c.oid), array_agg(a.attname::text ORDER BY a.attnum),"
    " bool_and(t.oid < 16384 OR t.typtype = 'e')"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
    " JOIN pg_type t ON t.oid = a.atttypid"
    " WHERE c.relkind = 'r' AND" + _OURS + " GROUP BY c.oid, n.nspname, c.relname ORDER BY 4 DESC"
)
_SEQUENCES: LiteralString = (
    "SELECT n.nspname, c.relname"  # noqa: S608 - constants  # nosec B608
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'S' AND" + _OURS + " ORDER BY 1, 2"
)


@dataclass(frozen=True)
class Table:
    """A table with rows: its pages and bytes, its columns but for generated ones, and the format to copy it in."""

    schema_name: str
    name: str
    pages: int
    size_bytes: int
    columns: tuple[str, ...]
    encoding: Literal["binary", "text"]

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in a statement."""
        return sql.Identifier(self.schema_name, self.name)


@dataclass(frozen=True)
class Snapshot:
    """A moment: by its ``name`` other connections see the same, for as long as the first one is open."""

    database: Database
    connection: Connection
    name: str
    moment: datetime
    server_version: str
    revision: str
    tables: tuple[Table, ...]

    @contextmanager
    def reader(self) -> Iterator[Connection]:
        """Open another connection that sees the same moment."""
        with self.database.connection() as connection:
            prepare(connection)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self.name)))
            yield connection

    def sequences(self) -> Iterator[tuple[str, str, int, bool]]:
        """Yield schema, name, last value and whether that was given out; never less than at the moment itself."""
        for schema_name, name in self.connection.execute(_SEQUENCES).fetchall():
            query = sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema_name, name))
            row = self.connection.execute(query).fetchone()
            if row:
                yield schema_name, name, row[0], row[1]


def prepare(connection: Connection) -> None:
    """Take a connection out of its transaction, and let no timeout end it."""
    connection.rollback()
    connection.autocommit = True
    connection.execute(_NO_TIMEOUTS)


@contextmanager
def snapshot(database: Database) -> Iterator[Snapshot]:
    """Hold one moment of a database for as long as the block lasts.

    Nobody who reads or writes rows waits for it. Migrations wait, and retention cleanup is left out, so that no table
    and no file disappears meanwhile.

    Raises
    ------
    ConflictError
        If another backup of the database is under way.
    StorageError
        If there are no tables of Kurswerk, or tables are locked for more than a minute.
    """
    with database.connection() as connection, translating(database.url):
        prepare(connection)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [BACKUP_LOCK]).fetchone()
        if not row or not row[0]:
            raise ConflictError("backup.under_way", database=database)
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [_LOCK_TIMEOUT])
        for key in (MIGRATION_LOCK, RETENTION_LOCK):
            connection.execute("SELECT pg_advisory_lock_shared(%s)", [key])
        try:
            yield _begin(database, connection)
        finally:
            if not connection.closed:
                connection.rollback()
                connection.execute("SELECT pg_advisory_unlock_all()")


def _begin(database: Database, connection: Connection) -> Snapshot:
    revision = _revision(database, connection)
    for attempt in range(_ATTEMPTS):
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = connection.execute(
            "SELECT pg_export_snapshot(), clock_timestamp(), current_setting('server_version')"
        ).fetchone()
        tables = _tables(connection)
        try:
            _lock(connection, tables)
        except psycopg.errors.UndefinedTable:  # dropped between our look and our lock
            connection.rollback()
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        if row:
            return Snapshot(database, connection, row[0], row[1], row[2], revision, tuple(tables))
    raise StorageError("backup.no_snapshot", database=database)


def _revision(database: Database, connection: Connection) -> str:
    row = connection.execute("SELECT to_regclass('kurswerk_version') IS NOT NULL").fetchone()
    found = connection.execute("SELECT version_num FROM kurswerk_version").fetchone() if row and row[0] else None
    if not found:
        raise StorageError("backup.no_tables", database=database)
    return str(found[0])


def _tables(connection: Connection) -> list[Table]:
    rows = connection.execute(_TABLES).fetchall()
    return [
        Table(schema, name, pages, size, tuple(columns), "binary" if portable else "text")
        for schema, name, pages, size, columns, portable in rows
    ]


def _lock(connection: Connection, tables: Sequence[Table]) -> None:
    names = sql.SQL(", ").join(table.identifier for table in tables)
    # Partitions alone, never what they belong to: a new partition can be attached meanwhile.
    connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(names))
