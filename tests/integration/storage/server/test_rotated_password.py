"""Connections after the password of their role was changed: the file that holds it is read again."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from kurswerk.bootstrap.settings import read_settings
from kurswerk.core.errors import DatabaseUnavailableError, InvalidInputError
from kurswerk.storage.operations import PostgresChangeFeed
from kurswerk.storage.server import Database
from password_role import PasswordRole, password_role

pytestmark = pytest.mark.skipif(
    "KURSWERK_TEST_DATABASE_URL" in os.environ, reason="changes pg_hba.conf of a server of its own"
)


@pytest.fixture
def role(database: Database, tmp_path) -> Iterator[PasswordRole]:
    with password_role(database.url, tmp_path / "url") as role:
        yield role


def rotate(role: PasswordRole) -> None:
    role.choose()
    role.change_in_server()
    role.write_file()
    assert role.end_sessions() >= 0


def of_settings(role: PasswordRole, **options) -> Database:
    settings = read_settings({"KURSWERK_DATABASE_URL_FILE": str(role.file)}, role.file.parent)
    assert settings.database_source is not None
    return Database(settings.database_source, **options)


def who(database: Database) -> str:
    with database.connection() as connection:
        return connection.execute("SELECT current_user").fetchone()[0]


@pytest.mark.parametrize("pool_size", [0, 2])
def test_new_connections_take_the_password_of_now(role: PasswordRole, pool_size: int):
    with closing(of_settings(role, pool_size=pool_size)) as database:
        for _ in range(3):
            assert who(database) == "rotating"
            rotate(role)
        with database.arrow_connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 AS one")
            assert cursor.fetch_arrow_table().column("one").to_pylist() == [1]
        assert role.url() == database.url
        assert who(Database(database.source)) == "rotating"


def test_a_file_that_follows_the_server_late_is_waited_for(role: PasswordRole):
    database = of_settings(role)
    role.choose()
    role.change_in_server()
    role.end_sessions()
    late = threading.Timer(0.5, role.write_file)
    late.start()
    began = time.monotonic()
    assert who(database) == "rotating"
    assert time.monotonic() - began >= 0.4
    late.join()


def test_a_url_that_is_no_file_is_not_waited_for(role: PasswordRole):
    database = Database(role.url())
    role.choose()
    role.change_in_server()
    with pytest.raises(DatabaseUnavailableError, match="password authentication failed"):
        database.check()


@pytest.mark.parametrize("content", ["", "no url", "mysql://somewhere/else"])
def test_while_a_file_holds_nothing_of_use_the_password_before_counts(role: PasswordRole, content: str):
    database = of_settings(role)
    role.file.write_text(content)
    assert who(database) == "rotating"
    role.file.unlink()
    assert who(database) == "rotating"
    with pytest.raises(InvalidInputError):
        of_settings(role)


def test_who_listens_listens_again(role: PasswordRole):
    feed = PostgresChangeFeed(of_settings(role))

    async def listen() -> object:
        async for change in feed.changes():
            return change
        return "nothing"

    assert asyncio.run(listen()) is None
    rotate(role)
    assert asyncio.run(listen()) is None


def test_parts_of_the_url_may_come_from_a_file(role: PasswordRole):
    secret = role.file.with_name("password")
    secret.write_text("first")
    environment = {"DB_HOST": "db", "DB_USER": "me", "DB_NAME": "market", "DB_PASSWORD_FILE": str(secret)}
    source = read_settings(environment, role.file.parent).database_source
    assert callable(source)
    assert source() == "postgresql://me:first@db:5432/market"
    secret.write_text("second\n")
    assert source() == "postgresql://me:second@db:5432/market"
    plain = read_settings({"KURSWERK_DATABASE_URL": "postgresql://me@db/market"}, role.file.parent)
    assert plain.database_source == "postgresql://me@db/market"
    assert plain.replace_in("http", port=0).database_source == plain.database_source
