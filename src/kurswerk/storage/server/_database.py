"""Connections to any PostgreSQL from version 14."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from kurswerk.core.errors import DatabaseUnavailableError, InvalidInputError, StorageError
from kurswerk.storage.server._errors import describe_url, plain_url, translated, translating

OLDEST_SERVER = 140000
_APPLICATION = "kurswerk"
# How a server that starts, recovers or stops begins to report it, in Kurswerk's two languages. libpq keeps the SQLSTATE
# (57P03) to itself, and its ping, which would show it, holds up every thread.
_NOT_YET = ("the database system is", "das Datenbanksystem")
# A password that was changed is not in the file yet, or in the file already and not in the server.
_ROTATING = ("password authentication failed", "Passwort-Authentifizierung")
_PATIENCE_WITH_ROTATION_S = 15.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_PATIENCE_WITH_START_S = 30.0
_LEAST_WAIT_FOR_POOL_S = 5.0
# Moments without a zone are UTC, whatever the server takes them for. Set by a statement, not in the connection's
# options: those may be the URL's own, and not every pooler passes them on.
_UTC = "SET TimeZone = 'UTC'"

Connection = psycopg.Connection[tuple[Any, ...]]
# A URL, or what gives the one that is valid now, such as a file whose password is replaced while a service runs.
UrlSource = str | Callable[[], str]


class Database:
    """A PostgreSQL database, by URL.

    Parameters
    ----------
    url
        libpq URL or key-value string; ``postgresql+psycopg://`` is understood too. A function is called for each new
        connection; while it fails, the URL before stays in force.
    patience_s
        For how many seconds a database that cannot be reached is tried again; 0 tries once. A server that reports that
        it is starting, recovering or stopping is waited for in any case, up to 30 seconds.
    pool_size
        How many connections are kept for further use, as a server needs; 0 opens one per use.

    Raises
    ------
    InvalidInputError
        If the URL cannot be read.

    Examples
    --------
    >>> str(Database("postgresql://me:secret@db.example:5433/market"))
    'database market on db.example:5433 as me'
    """

    def __init__(self, url: UrlSource, *, patience_s: float = 0.0, pool_size: int = 0) -> None:
        self._source = url
        self._url = plain_url(url() if callable(url) else url)
        self._patience_s = patience_s
        self._pool_size = pool_size
        self._pool: ConnectionPool[Connection] | None = None
        self._pool_lock = threading.Lock()
        # Of this thread or asyncio task: the connection whose transaction every `connection` joins.
        self._joined: ContextVar[Connection | None] = ContextVar("joined", default=None)

    def __str__(self) -> str:
        return describe_url(self._url)

    def __repr__(self) -> str:
        return f"Database({self})"

    @property
    def url(self) -> str:
        """The URL with its password, as it is valid now; never print it, print ``str(database)``."""
        if callable(self._source):
            with suppress(InvalidInputError):
                self._url = plain_url(self._source())
        return self._url

    @property
    def source(self) -> UrlSource:
        """What further `Database` objects on the same database are made from."""
        return self._source

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a connection with one transaction: committed at the end of the block, rolled back on any error.

        Inside `transaction` it is a part of that one: rolled back on an error in the block, committed with the whole.

        Raises
        ------
        DatabaseUnavailableError
            If there is no connection, or it was lost.
        ConstraintError
            If a constraint was violated; it holds the constraint's name.
        StorageError
            For anything else the database refuses.
        """
        joined = self._joined.get()
        with translating(self._url):
            if joined is not None:
                with joined.transaction():
                    yield joined
            else:
                with self._pooled() if self._pool_size else self._open() as connection:
                    yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Join every `connection` of this thread or asyncio task into one transaction, whichever store asks for it.

        Blocks may be nested; the outermost one commits.

        Raises
        ------
        DatabaseUnavailableError, ConstraintError, StorageError
            As for `connection`.

        Examples
        --------
        ::

            with database.transaction():
                model_id = models.create(model)
                jobs.order("TRAIN", request, model_id=model_id)  # both, or neither
        """
        # Begun at once: of a connection that has not begun one, each block inside would be a transaction of its own.
        with self.connection() as connection, translating(self._url), connection.transaction():
            token = self._joined.set(connection)
            try:
                yield connection
            finally:
                self._joined.reset(token)

    def close(self) -> None:
        """Close the connections that are kept; the next use opens new ones."""
        with self._pool_lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @contextmanager
    def arrow_connection(self) -> Iterator[Any]:
        """Open an ADBC connection that fetches Arrow; what it changed is rolled back at the end.

        Raises
        ------
        DatabaseUnavailableError, StorageError
            As for `connection`.
        """
        # Imported here because it brings pyarrow.dataset and pandas, which most commands never need.
        import adbc_driver_manager  # noqa: PLC0415
        import adbc_driver_postgresql.dbapi  # noqa: PLC0415

        with translating(self._url):
            self._open().close()  # clear errors, patience and the version check are in one place
        try:
            with adbc_driver_postgresql.dbapi.connect(self.url) as connection:
                with connection.cursor() as cursor:
                    cursor.execute(_UTC)
                connection.commit()
                yield connection
        except adbc_driver_manager.Error as error:
            raise translated(error, self._url) from error

    def check(self) -> str:
        """Return the server's version, e.g. ``"18.4"``.

        Raises
        ------
        DatabaseUnavailableError
            If the database cannot be reached.
        """
        with self.connection() as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]) if row else ""

    def _pooled(self) -> AbstractContextManager[Connection]:
        with self._pool_lock:
            if self._pool is None:
                self._open().close()  # clear errors, patience and the version check are in one place
                self._pool = ConnectionPool(
                    lambda: self.url,
                    kwargs={"application_name": _APPLICATION, "connect_timeout": 10},
                    min_size=1,
                    max_size=self._pool_size,
                    configure=_speak_utc,
                    timeout=max(self._patience_s, _LEAST_WAIT_FOR_POOL_S),
                    # A server that was restarted leaves dead connections behind; they are replaced before use.
                    check=ConnectionPool.check_connection,
                    name=_APPLICATION,
                    open=True,
                )
            return self._pool.connection()

    def _open(self) -> Connection:
        started, pause = time.monotonic(), _PAUSE_S
        deadline = started + self._patience_s
        while True:
            try:
                connection = psycopg.connect(self.url, application_name=_APPLICATION, connect_timeout=10)
            except psycopg.OperationalError as error:
                now = time.monotonic()
                if now >= max(deadline, started + self._patience_with(error)):
                    raise self._unavailable(error) from error
                time.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, 1.5 * pause)
            else:
                return self._refusing_old(connection)

    def _patience_with(self, error: psycopg.OperationalError) -> float:
        """Return for how many seconds it is worth trying again, whatever the caller's patience."""
        text = str(error)
        if any(words in text for words in _NOT_YET):
            return _PATIENCE_WITH_START_S
        if callable(self._source) and any(words in text for words in _ROTATING):
            return _PATIENCE_WITH_ROTATION_S
        return 0.0

    def _unavailable(self, error: psycopg.OperationalError) -> DatabaseUnavailableError:
        ours = translated(error, self._url)
        return (
            ours
            if isinstance(ours, DatabaseUnavailableError)
            else DatabaseUnavailableError("database.refused", reason=ours)
        )

    def _refusing_old(self, connection: Connection) -> Connection:
        version = connection.info.server_version
        if version < OLDEST_SERVER:
            connection.close()
            raise StorageError("postgresql.too_old", database=self, version=version // 10000)
        _speak_utc(connection)
        return connection


def _speak_utc(connection: Connection) -> None:
    connection.execute(_UTC)
    connection.commit()  # else it would be taken back with the first transaction that is
