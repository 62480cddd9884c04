"""Connections and errors on a real PostgreSQL."""

import re
import threading
from urllib.parse import urlsplit, urlunsplit

import pytest

from database import execute, url_of
from kurswerk.core.errors import ConstraintError, DatabaseUnavailableError, StorageError
from kurswerk.storage import Database, _database


def run_block(database: Database, *statements: str, then: Exception | None = None) -> None:
    with database.connection() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]
        if then is not None:
            raise then


def test_a_block_is_one_transaction(bare_database: Database):
    run_block(bare_database, "CREATE TABLE t (x int CONSTRAINT t_x_check CHECK (x > 0))")
    with pytest.raises(ConstraintError) as caught:
        run_block(bare_database, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (-1)")
    assert caught.value.constraint == "t_x_check"
    with pytest.raises(ZeroDivisionError):
        run_block(bare_database, "INSERT INTO t VALUES (2)", then=ZeroDivisionError())
    with bare_database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_what_the_server_refuses_is_named(bare_database: Database):
    with pytest.raises(StorageError, match="no_such_table"), bare_database.connection() as connection:
        connection.execute("SELECT * FROM no_such_table")
    with (
        pytest.raises(StorageError, match="no_such_table"),
        bare_database.arrow_connection() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM no_such_table")


def test_a_database_that_is_not_there(server_url: str):
    missing = Database(url_of(server_url, "no_such_database"))
    with pytest.raises(DatabaseUnavailableError, match="no_such_database"):
        missing.check()
    with pytest.raises(DatabaseUnavailableError, match="no_such_database"), missing.arrow_connection():
        pass


def test_no_server_and_no_password_in_the_message():
    database = Database("postgresql://me:s3cret@127.0.0.1:9/db")
    with pytest.raises(DatabaseUnavailableError, match=re.escape("database db on 127.0.0.1:9 as me")) as caught:
        database.check()
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(database)


def test_patience_waits_for_a_database_that_comes(server_url: str):
    name = "kurswerk_test_late"
    later = threading.Timer(0.4, execute, (server_url, "CREATE DATABASE {}", name))
    later.start()
    try:
        assert Database(url_of(server_url, name), patience_s=30).check()
    finally:
        later.join()
        execute(server_url, "DROP DATABASE {} WITH (FORCE)", name)


def test_an_old_server_is_refused(bare_database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_database, "OLDEST_SERVER", 990000)
    with pytest.raises(StorageError, match="needs 14 or newer"):
        bare_database.check()


def test_a_session_that_the_server_ends(bare_database: Database):
    with pytest.raises(DatabaseUnavailableError):
        run_block(bare_database, "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1")


def test_urls_of_sqlalchemy_are_understood(bare_database: Database):
    parts = urlsplit(bare_database.url)
    assert Database(urlunsplit(parts._replace(scheme="postgresql+psycopg"))).check() == bare_database.check()
