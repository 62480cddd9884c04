"""Connections: one per use or from a pool, and one transaction over several uses."""

import threading

import psycopg
import pytest

from fault_injection import StartingPostgres
from kurswerk.core.errors import ConstraintError, DatabaseUnavailableError
from kurswerk.storage.server import Database, _database


@pytest.fixture(params=[0, 3], ids=["without pool", "with pool"])
def numbers(request: pytest.FixtureRequest, database: Database) -> Database:
    """A database with a table of unique numbers."""
    with database.connection() as connection:
        connection.execute("CREATE TABLE numbers (n int UNIQUE)")
    return Database(database.url, pool_size=request.param)


def add(database: Database, number: int) -> None:
    with database.connection() as connection:
        connection.execute("INSERT INTO numbers VALUES (%s)", [number])


def found(database: Database) -> list[int]:
    with database.connection() as connection:
        return [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]


def test_uses_inside_a_transaction_commit_together(numbers: Database):
    with numbers.transaction():
        add(numbers, 1)
        with numbers.transaction():
            add(numbers, 2)
        assert found(numbers) == [1, 2]
        assert found(Database(numbers.url)) == []
    assert found(Database(numbers.url)) == [1, 2]
    numbers.close()


def test_an_error_takes_all_of_it_back(numbers: Database):
    with pytest.raises(ZeroDivisionError), numbers.transaction():  # noqa: PT012 - both belong to the case
        add(numbers, 1)
        _ = 1 / 0
    assert found(numbers) == []
    numbers.close()


def test_an_error_that_is_caught_inside_takes_back_that_part(numbers: Database):
    with numbers.transaction():
        add(numbers, 1)
        with pytest.raises(ConstraintError, match="numbers_n_key"), numbers.connection() as connection:  # noqa: PT012 - one case
            connection.execute("INSERT INTO numbers VALUES (2)")
            connection.execute("INSERT INTO numbers VALUES (1)")
        add(numbers, 3)
    assert found(numbers) == [1, 3]
    numbers.close()


def test_another_thread_has_its_own(numbers: Database):
    with numbers.transaction():
        add(numbers, 1)
        thread = threading.Thread(target=add, args=(numbers, 2))
        thread.start()
        thread.join()
        assert found(Database(numbers.url)) == [2]
    assert found(numbers) == [1, 2]
    numbers.close()


def test_a_pool_keeps_connections_and_replaces_dead_ones(database: Database):
    pooled = Database(database.url, pool_size=1)  # two would take turns

    def backend() -> int:
        with pooled.connection() as connection:
            return connection.info.backend_pid

    first = backend()
    assert backend() == first
    with database.connection() as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert backend() != first
    pooled.close()
    assert backend() != first
    pooled.close()
    pooled.close()


def test_a_pool_without_a_server_is_reported(tmp_path):
    nowhere = Database(f"postgresql:///db?host={tmp_path}", pool_size=2)
    with pytest.raises(DatabaseUnavailableError, match="no connection"), nowhere.connection():
        pass


def test_a_connection_lost_in_the_middle_is_unavailability(numbers: Database):
    with pytest.raises(DatabaseUnavailableError), numbers.transaction() as connection:  # noqa: PT012 - one case
        add(numbers, 1)
        with psycopg.connect(numbers.url) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        add(numbers, 2)
    assert found(numbers) == []
    numbers.close()


def test_a_server_that_begins_is_waited_for(database: Database):
    starting = StartingPostgres(database, refused=6)
    with starting.listening() as url:
        assert Database(url).check()
    assert starting.to_refuse == 0


def test_a_server_that_never_gets_ready_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_database, "_PATIENCE_WITH_START_S", 0.5)
    with (
        StartingPostgres(database, refused=1000).listening() as url,
        pytest.raises(DatabaseUnavailableError, match="startet"),
    ):
        Database(url).check()
