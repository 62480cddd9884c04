"""Databases of a server as a whole: made, dropped, and put in one another's place."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kurswerk.core.errors import ConflictError, StorageError
from kurswerk.storage.server import Connection, Database, translating

# Restores of one server take turns. Any constant: "KWr" in hexadecimal.
_RESTORE_LOCK = 0x4B5772
_LONGEST_NAME = 63
# A session that has ended holds its locks until the server has noticed.
_LOCK_TIMEOUT = "SET lock_timeout = '2s'"
# PostgreSQL itself waits up to five seconds for other sessions to end before it renames a database.
_SWAP_S, _ENDING_EVERY_S = 60.0, 0.1
_HAS_TABLES = (
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')"
    " AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
    " AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
    " AND d.objid = c.oid AND d.deptype = 'e'))"
)


@dataclass(frozen=True)
class Server:
    """The server of a database, reached through one of its databases that always exists.

    Attributes
    ----------
    url
        Of the database that is to be restored.
    connection
        In autocommit mode; holds the lock that only one restore has.
    """

    url: str
    connection: Connection

    @property
    def name(self) -> str:
        """Name of the database that is to be restored."""
        parts = conninfo_to_dict(self.url)
        return str(parts.get("dbname") or parts.get("user") or "postgres")

    def database(self, name: str) -> Database:
        """Return another database of the server."""
        return Database(make_conninfo(self.url, dbname=name))

    def exists(self, name: str) -> bool:
        """Whether there is a database of this name."""
        return self._one("SELECT 1 FROM pg_database WHERE datname = %s", name) is not None

    def has_tables(self, name: str) -> bool:
        """Whether somebody keeps something in a database."""
        with self.database(name).connection() as connection:
            row = connection.execute(_HAS_TABLES).fetchone()
        return bool(row and row[0])

    def comment(self, name: str) -> str | None:
        """Return a database's comment."""
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        return self._one(query, name)

    def create(self, name: str, comment: str) -> None:
        """Create an empty database like the one that is to be restored: its owner, encoding and collation.

        One of this name that an interrupted restore left is dropped first.
        """
        self.drop(name)
        row = self.connection.execute(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database"
            " WHERE datname IN (%s, current_database()) ORDER BY datname = %s DESC LIMIT 1",
            [self.name, self.name],
        ).fetchone()
        encoding, collate, ctype = row or ("UTF8", "C", "C")
        statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}"
        try:
            self.connection.execute(
                sql.SQL(statement).format(
                    sql.Identifier(name), sql.Literal(encoding), sql.Literal(collate), sql.Literal(ctype)
                )
            )
        except psycopg.errors.InsufficientPrivilege as error:
            user = conninfo_to_dict(self.url).get("user") or "the role"
            raise StorageError("backup.may_not_create", user=user, database=name) from error
        self.connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(comment))
        )

    def drop(self, name: str) -> None:
        """Drop a database if there is one, whoever is connected to it."""
        self.connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def swap(self, fresh: str) -> str | None:
        """Put a database in the place of the one to be restored, in one transaction that ends all its sessions.

        Returns
        -------
        str or None
            The name that the database in its place has now; None if there was none.

        Raises
        ------
        ConflictError
            If sessions do not end within a minute; nothing has changed then.
        """
        if not self.exists(self.name):
            self._rename([(fresh, self.name)])
            return None
        now = datetime.now(UTC)
        # To the millisecond: of two restores within one second, each keeps what it replaced.
        aside = f"{self.name[: _LONGEST_NAME - 28]}_replaced_{now:%Y%m%dt%H%M%S}{now.microsecond // 1000:03d}"
        self._rename([(self.name, aside), (fresh, self.name)])
        return aside

    def _rename(self, names: list[tuple[str, str]]) -> None:
        deadline = time.monotonic() + _SWAP_S
        while True:
            try:
                with _ending_sessions(self.url, [old for old, _ in names]), self.connection.transaction():
                    for old, new in names:
                        statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                        self.connection.execute(statement.format(sql.Identifier(old), sql.Identifier(new)))
            except psycopg.errors.ObjectInUse as error:
                if time.monotonic() > deadline:
                    raise ConflictError("backup.sessions_remain", database=names[0][0]) from error
            else:
                return

    def _one(self, query: str, name: str) -> str | None:
        row = self.connection.execute(query.encode(), [name]).fetchone()
        return row[0] if row else None


@contextmanager
def restoring_on(database: Database) -> Iterator[Server]:
    """Give the server of a database to one restore at a time.

    Raises
    ------
    ConflictError
        If another restore is under way there.
    """
    with _maintenance(database.url) as connection, translating(database.url):
        connection.execute(_LOCK_TIMEOUT)
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", [_RESTORE_LOCK])
        except psycopg.errors.LockNotAvailable as error:
            raise ConflictError("backup.restore_under_way") from error
        connection.execute("RESET lock_timeout")
        yield Server(database.url, connection)


@contextmanager
def _maintenance(url: str) -> Iterator[Connection]:
    """Open a database that always exists and is not the one that is to be restored."""
    wanted = conninfo_to_dict(url).get("dbname")
    names = [name for name in ("postgres", "template1") if name != wanted]
    with suppress(StorageError):
        Database(make_conninfo(url, dbname=names[0])).check()
        names = names[:1]
    with Database(make_conninfo(url, dbname=names[-1])).connection() as connection:
        connection.autocommit = True
        yield connection


@contextmanager
def _ending_sessions(url: str, names: list[str]) -> Iterator[None]:
    """End the sessions of some databases, again and again until the block is left.

    New ones wait for the rename, which holds a lock on the database by then.
    """
    done = threading.Event()

    def end() -> None:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY (%s)"
        with suppress(StorageError), _maintenance(url) as connection:
            while not done.wait(_ENDING_EVERY_S):
                with suppress(psycopg.Error):
                    connection.execute(query, [names])

    thread = threading.Thread(target=end, name="kurswerk-restore-sessions", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
