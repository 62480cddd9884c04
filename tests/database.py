"""Fixtures: a real PostgreSQL, and a migrated database of its own for each test that asks for one."""

import itertools
import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from kurswerk.storage.server import Database, EmbeddedPostgres, upgrade
from server_folders import server_folder

TEMPLATE = "kurswerk_template"
_numbers = itertools.count()


def url_of(server: str, name: str) -> str:
    """Return the URL of another database on a server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def execute(server: str, statement: str, *names: str) -> None:
    """Run a statement that allows no transaction."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """URL of a server of this session's own (one per pytest-xdist worker), gone afterwards.

    KURSWERK_TEST_DATABASE_URL names another server, whose user may create databases.
    """
    if external := os.environ.get("KURSWERK_TEST_DATABASE_URL"):
        yield external
        return
    folder = server_folder("kurswerk-test-")
    server = EmbeddedPostgres(folder)
    try:
        url = server.start()
        for setting in ("fsync", "full_page_writes"):  # tests need not survive a power cut
            execute(url, "ALTER SYSTEM SET {} = off", setting)
        execute(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template_name(server_url: str) -> Iterator[str]:
    """Name of a migrated database that others are cloned from."""
    name = f"{TEMPLATE}_{os.getpid()}"
    execute(server_url, "CREATE DATABASE {}", name)
    upgrade(Database(url_of(server_url, name)))
    yield name
    execute(server_url, "DROP DATABASE {} WITH (FORCE)", name)


def clone_of(server_url: str, template: str) -> Iterator[Database]:
    """Give a new database like another one; it is gone afterwards."""
    name = f"kurswerk_test_{os.getpid()}_{next(_numbers)}"
    execute(server_url, "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
    try:
        yield Database(url_of(server_url, name))
    finally:
        execute(server_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database(server_url: str, template_name: str) -> Iterator[Database]:
    """A migrated, empty database."""
    yield from clone_of(server_url, template_name)


@pytest.fixture
def bare_database(server_url: str) -> Iterator[Database]:
    """A database without any table."""
    yield from clone_of(server_url, "template1")
