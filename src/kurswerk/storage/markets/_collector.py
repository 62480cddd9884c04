"""What collectors keep in the database: rows, followed coins, latest trades, gaps, and how they are."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final
from uuid import uuid4

import psycopg
import pyarrow as pa

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ConflictError, DatabaseUnavailableError, StorageError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.ingest.collector import (
    CoinTrade,
    Collected,
    CollectedRow,
    CollectorMemory,
    CollectorStatus,
    FollowedCoin,
    Gap,
    Reserves,
)
from kurswerk.ingest.ports import arrow_schema
from kurswerk.market import COINS
from kurswerk.storage.markets._table import MarketTable
from kurswerk.storage.markets._upsert import MarketWriter
from kurswerk.storage.server import Connection, Database, translating

# For longer than repeats are recognised.
_FORGET_TRADES: Final = """
DELETE FROM collected_trades WHERE collector = %s AND "timestamp" < now() - interval '30 minutes'"""
_FORGET_GAPS: Final = "DELETE FROM collector_gaps WHERE collector = %s AND started_at < now() - interval '100 days'"
_FORGET_EVERY_S: Final = 60.0
# A server needs a moment to notice that the connection which held the lock is gone.
_LOCK_PATIENCE_S, _LOCK_PAUSE_S = 3.0, 0.05
_STATUS: Final = """
UPDATE collectors SET seen_at = clock_timestamp(), last_message_at = coalesce(%(last_message)s, last_message_at),
    is_connected = %(is_connected)s, is_stopped = %(is_stopped)s, silent_after_seconds = %(silent_after)s,
    coins = %(coins)s, reason = %(reason)s, until = coalesce(%(until)s, until)
WHERE name = %(name)s AND owner = %(owner)s"""
_OWN: Final = """
INSERT INTO collectors (name, owner, silent_after_seconds) VALUES (%(name)s, %(owner)s, 60)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, is_stopped = false, is_connected = false"""
_PUT_COIN: Final = """
INSERT INTO collected_coins
    (collector, mint, creator, created_at, last_trade_at, phase_id, high, high_at, is_migrated)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (collector, mint) DO UPDATE SET last_trade_at = excluded.last_trade_at, phase_id = excluded.phase_id,
    high = excluded.high, high_at = excluded.high_at, is_migrated = excluded.is_migrated"""
_PUT_TRADE: Final = """
INSERT INTO collected_trades
    (collector, mint, signature, token_reserves, sol_reserves, trader, is_buy, sol, tokens, "timestamp")
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING"""
_COINS: Final = """
SELECT mint, creator, created_at, last_trade_at, phase_id, high, high_at, is_migrated FROM collected_coins
WHERE collector = %s"""
_TRADES: Final = """
SELECT mint, signature, token_reserves, sol_reserves, trader, is_buy, sol, tokens, "timestamp" FROM collected_trades
WHERE collector = %s ORDER BY "timestamp" """
_PUT_GAP: Final = """
INSERT INTO collector_gaps (id, collector, mint, reason, started_at, ended_at, windows)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, windows = excluded.windows"""
# Columns that a table of somebody else's has beside these stay as they are.
_PUT_STREAM: Final = """
WITH given (mint, is_active, phase, created, high, high_time) AS (
    VALUES (%s, %s::boolean, %s::int, %s::timestamptz, %s::float8, %s::timestamptz)),
updated AS (
    UPDATE coin_streams c SET is_active = g.is_active, current_phase_id = g.phase,
        ath_price_sol = coalesce(g.high, c.ath_price_sol), ath_timestamp = coalesce(g.high_time, c.ath_timestamp)
    FROM given g WHERE c.token_address = g.mint AND (c.is_active, c.current_phase_id, c.ath_timestamp)
        IS DISTINCT FROM (g.is_active, g.phase, coalesce(g.high_time, c.ath_timestamp)))
INSERT INTO coin_streams (token_address, is_active, current_phase_id, created_at, ath_price_sol, ath_timestamp)
SELECT * FROM given g WHERE NOT EXISTS (SELECT FROM coin_streams c WHERE c.token_address = g.mint)"""


class PostgresCollectorStore:
    """Keeps what one collector collected; implements `CollectorStore` and `StatusStore`.

    It is the owner for as long as it holds an advisory lock, on a connection of its own over which it writes, too: who
    loses the connection cannot write before the lock is held again.

    Parameters
    ----------
    name
        Of the collector, the same in all processes.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name
        self._owner = str(uuid4())
        self._key = int(sha256_bytes(f"kurswerk collector {name}".encode())[:16], 16) >> 1
        self._open = ExitStack()
        self._connection: Connection | None = None
        self._forgot_s = time.monotonic()

    def acquire(self) -> CollectorMemory | None:
        """Become the owner and return what the one before left, or None while somebody else is."""
        if not self.acquire_status():
            return None
        with self._transaction() as connection:
            connection.execute(_FORGET_GAPS, [self._name])
            return self._memory(connection)

    def acquire_status(self) -> bool:
        """Become the owner; False while somebody else is."""
        self.release()
        try:
            self._connected()
        except ConflictError:
            return False
        self._owner = str(uuid4())
        with self._transaction() as connection:
            connection.execute(_OWN, {"name": self._name, "owner": self._owner})
        return True

    def write(self, collected: Collected, status: CollectorStatus) -> None:
        """Store everything, or nothing; the same again changes nothing."""
        with self._transaction() as connection:
            self._put_status(connection, status, collected.until_us)
            self._put_coins(connection, collected.coins)
            if collected.rows:
                table = MarketTable.find(connection, COINS)
                batch = _batch(collected.rows, [name for name in COINS.columns if name in table.columns])
                writer = MarketWriter(connection, table, batch.schema.names[2:])
                writer.write(batch)
            with connection.cursor() as cursor:
                cursor.executemany(_PUT_TRADE, [(self._name, *_trade_values(trade)) for trade in collected.trades])
                cursor.executemany(_PUT_GAP, [_gap_values(gap, self._name) for gap in collected.gaps])
            if time.monotonic() - self._forgot_s > _FORGET_EVERY_S:
                connection.execute(_FORGET_TRADES, [self._name])
                self._forgot_s = time.monotonic()

    def write_status(self, status: CollectorStatus) -> None:
        """Store how the collector is."""
        with self._transaction() as connection:
            self._put_status(connection, status, None)

    def release(self) -> None:
        """Own it no more."""
        self._connection = None
        with suppress(StorageError, psycopg.Error):
            self._open.close()

    def _connected(self, patience_s: float = 0.0) -> Connection:
        """Open a connection that holds the lock, waiting for that of a lost connection to fall.

        Raises
        ------
        ConflictError
            If somebody else holds it.
        """
        connection = self._open.enter_context(self._database.connection())
        deadline = time.monotonic() + patience_s
        with translating(self._database.url):
            connection.autocommit = True
            while not self._has_locked(connection):
                if time.monotonic() >= deadline:
                    self.release()
                    raise ConflictError("collect.taken_over", name=self._name)
                time.sleep(_LOCK_PAUSE_S)
        self._connection = connection
        return connection

    def _has_locked(self, connection: Connection) -> bool:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [self._key]).fetchone()
        return bool(row and row[0])

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Give a transaction on the owner's connection, which is opened again if it was lost."""
        connection = self._connection or self._connected(_LOCK_PATIENCE_S)
        try:
            with translating(self._database.url), connection.transaction():
                yield connection
        except DatabaseUnavailableError:
            self.release()
            raise

    def _put_status(self, connection: Connection, status: CollectorStatus, until_us: int | None) -> None:
        values = {
            "name": self._name,
            "owner": self._owner,
            "until": _moment(until_us),
            "last_message": _moment(status.last_message_us),
            "is_connected": status.is_connected,
            "is_stopped": status.is_stopped,
            "silent_after": status.silent_after_s,
            "coins": status.coins,
            "reason": status.reason,
        }
        if connection.execute(_STATUS, values).rowcount != 1:
            raise ConflictError("collect.taken_over", name=self._name)

    def _put_coins(self, connection: Connection, coins: Sequence[FollowedCoin]) -> None:
        followed = [coin for coin in coins if coin.is_followed]
        ended = [coin.mint for coin in coins if not coin.is_followed]
        with connection.cursor() as cursor:
            cursor.executemany(_PUT_COIN, [(self._name, *_coin_values(coin)) for coin in followed])
            cursor.executemany(_PUT_STREAM, [_stream_values(coin) for coin in coins])
        if ended:
            connection.execute(
                "DELETE FROM collected_coins WHERE collector = %s AND mint = ANY (%s)", [self._name, ended]
            )

    def _memory(self, connection: Connection) -> CollectorMemory:
        row = connection.execute("SELECT until FROM collectors WHERE name = %s", [self._name]).fetchone()
        coins = connection.execute(_COINS, [self._name])
        trades = connection.execute(_TRADES, [self._name])
        return CollectorMemory(
            [_coin(values) for values in coins],
            [_trade(values) for values in trades],
            to_us(row[0]) if row and row[0] else None,
        )


def _batch(rows: Sequence[CollectedRow], columns: Sequence[str]) -> pa.RecordBatch:
    """Return rows in the form in which a market's rows travel."""
    schema = arrow_schema(columns, COINS)
    moments = pa.array([row.timestamp_us for row in rows], pa.int64()).view(schema.field(COINS.timestamp).type)
    values = [pa.array([row.values[name] for row in rows], schema.field(name).type) for name in columns]
    return pa.RecordBatch.from_arrays([pa.array([row.mint for row in rows]), moments, *values], schema=schema)


def _moment(moment_us: int | None) -> Any:
    return None if moment_us is None else to_datetime(moment_us)


def _coin_values(coin: FollowedCoin) -> tuple[Any, ...]:
    times = (to_datetime(coin.created_us), to_datetime(coin.last_trade_us))
    return (coin.mint, coin.creator, *times, coin.phase, coin.high, _moment(coin.high_us), coin.is_migrated)


def _coin(values: Sequence[Any]) -> FollowedCoin:
    mint, creator, created, last_trade, phase, high, high_at, is_migrated = values
    return FollowedCoin(
        mint, creator, to_us(created), to_us(last_trade), phase, high, high_at and to_us(high_at), is_migrated
    )


def _stream_values(coin: FollowedCoin) -> tuple[Any, ...]:
    return (coin.mint, coin.is_followed, coin.phase, to_datetime(coin.created_us), coin.high, _moment(coin.high_us))


def _trade_values(trade: CoinTrade) -> tuple[Any, ...]:
    reserves = (trade.after.tokens, trade.after.sol)
    traded = (trade.trader, trade.is_buy, trade.sol, trade.tokens, to_datetime(trade.moment_us))
    return (trade.mint, trade.signature, *reserves, *traded)


def _trade(values: Sequence[Any]) -> CoinTrade:
    mint, signature, token_reserves, sol_reserves, trader, is_buy, sol, tokens, moment = values
    after = Reserves(sol_reserves, token_reserves)
    return CoinTrade(mint, signature, trader, is_buy, sol, tokens, after, to_us(moment))


def _gap_values(gap: Gap, collector: str) -> tuple[Any, ...]:
    times = (to_datetime(gap.start_us), _moment(gap.end_us))
    return (gap.id, collector, gap.mint, gap.reason.value, *times, gap.windows)
