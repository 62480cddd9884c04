"""What a collector keeps: by one owner at a time, all of a batch or nothing, and the same again changes nothing."""

import pytest

from kurswerk.core.errors import ConflictError, DatabaseUnavailableError
from kurswerk.ingest.collector import (
    CoinTrade,
    Collected,
    CollectedRow,
    CollectorStatus,
    FollowedCoin,
    Gap,
    GapReason,
    Reserves,
)
from kurswerk.ingest.collector._rows import coin_row
from kurswerk.storage.markets import PostgresCollectorStore, collector_gaps, collector_reports
from kurswerk.storage.server import Database
from waiting import until

US = 1_790_000_000_000_000
STATUS = CollectorStatus(is_connected=True, last_message_us=US, silent_after_s=60.0, coins=1)


def a_batch(number: int = 1) -> Collected:
    after = Reserves(31.0 + number, 1e9)
    trade = CoinTrade("coin", f"signature{number}", "wallet", True, 1.0, 1e6, after, US + number)
    values = coin_row([trade], trade.before, after, phase=1, creator="dev")
    coin = FollowedCoin("coin", "dev", US, US + number, 1, high=after.price, high_us=US + number)
    gap = Gap(GapReason.INTERRUPTED, US, US + 1, windows=number, id="00000000-0000-0000-0000-000000000001")
    return Collected([CollectedRow("coin", US + 5_000_000 * number, values)], [trade], [coin], [gap], US + number)


def counts(database: Database) -> list[int]:
    tables = ("coin_metrics", "coin_streams", "collected_coins", "collected_trades", "collector_gaps")
    with database.connection() as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


def lose_connections(database: Database) -> None:
    """Have the server end all connections to the database but this one."""
    with database.connection() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_what_was_written_comes_back_to_the_next_owner(database: Database):
    store = PostgresCollectorStore(database, "pumpportal")
    memory = store.acquire()
    assert memory is not None
    assert (memory.coins, memory.trades, memory.until_us) == ([], [], None)
    batch = a_batch()
    store.write(batch, STATUS)
    store.write(batch, STATUS)  # as after a commit whose answer was lost
    assert counts(database) == [1, 1, 1, 1, 1]
    store.release()
    again = PostgresCollectorStore(database, "pumpportal").acquire()
    assert again is not None
    assert (again.coins, again.trades, again.until_us) == (list(batch.coins), list(batch.trades), batch.until_us)
    assert collector_gaps(database) == list(batch.gaps)


def test_a_coin_that_is_followed_no_more_is_forgotten_but_stays_listed(database: Database):
    store = PostgresCollectorStore(database, "pumpportal")
    assert store.acquire()
    store.write(a_batch(), STATUS)
    ended = FollowedCoin("coin", "dev", US, US + 2, 99, is_followed=False)
    store.write(Collected([], [], [ended], [], US + 3), STATUS)
    assert counts(database) == [1, 1, 0, 1, 1]
    with database.connection() as connection:
        stream = connection.execute("SELECT is_active, current_phase_id, ath_price_sol FROM coin_streams").fetchone()
    assert stream == (False, 99, pytest.approx(32.0 / 1e9))


def test_only_one_owner_collects_and_an_owner_that_was_replaced_writes_nothing(database: Database):
    first, second = (PostgresCollectorStore(database, "pumpportal") for _ in range(2))
    assert first.acquire() is not None
    assert second.acquire() is None
    assert PostgresCollectorStore(database, "exchange-rates").acquire_status()
    first.write(a_batch(), STATUS)
    lose_connections(database)
    until(lambda: second.acquire() is not None)
    with pytest.raises((ConflictError, DatabaseUnavailableError)):
        first.write(a_batch(2), STATUS)
    with pytest.raises(ConflictError):
        first.write(a_batch(2), STATUS)
    assert counts(database)[0] == 1


def test_an_owner_that_lost_its_connection_goes_on_as_before(database: Database):
    store = PostgresCollectorStore(database, "pumpportal")
    assert store.acquire() is not None
    store.write(a_batch(), STATUS)
    lose_connections(database)
    with pytest.raises(DatabaseUnavailableError):
        store.write(a_batch(2), STATUS)
    store.write(a_batch(2), STATUS)
    assert counts(database) == [2, 1, 1, 2, 1]
    (report,) = collector_reports(database)
    assert (report.name, report.status.is_connected, report.status.coins) == ("pumpportal", True, 1)
