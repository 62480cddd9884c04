"""The feed: one session per lane, with its leases, and the transaction that takes rows and stores predictions."""

import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.pq import TransactionStatus

from kurswerk.alerts import AlertRule, Notice, Notification
from kurswerk.core.errors import StorageError
from kurswerk.market import MarketSchema, Panel
from kurswerk.serving.ports import (
    ActiveModel,
    FeedRows,
    InstrumentState,
    JoinedChange,
    MissedRows,
    NewAlert,
    NewPredictions,
)
from kurswerk.storage.binary_copy import RowBlock, compile_now, decode_rows
from kurswerk.storage.feed._joined_changes import JoinedPoll, note_joined_change, take_joined_changes
from kurswerk.storage.feed._leases import Leases
from kurswerk.storage.feed._locks import FeedLocks
from kurswerk.storage.feed._missing_columns import note_missing_columns
from kurswerk.storage.feed._moments import MomentTables
from kurswerk.storage.feed._queries import history_query, take_query
from kurswerk.storage.feed._source import DEFAULT_OVERLAP_S, feed_installed, has_active_models, poll
from kurswerk.storage.feed._states import StateTable
from kurswerk.storage.markets import MarketTable
from kurswerk.storage.operations import SILENT
from kurswerk.storage.predictions import PredictionWriter, add_deliveries, add_notice, rules_in_force
from kurswerk.storage.server import Database, FeedNames, jsonb, translating

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
# Columns, partitions and most rows → the statement that takes such rows.
TakeStatement = Callable[[tuple[str, ...], tuple[int, ...], int], bytes]

_MOST_COUNTED = 100_000
# Every query looks rows up by index; the tables change too fast for statistics to show it.
_OPTIONS = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off -c jit=off"
    # Rows are taken and predictions stored together: what a crash loses of both is done again, with the same bits.
    " -c synchronous_commit=off -c timezone=UTC"
    # A machine that vanished without a word holds its partitions no longer than five seconds.
    " -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 -c tcp_user_timeout=5000"
)


class PostgresFeedSession:
    """One lane's connection; implements `kurswerk.serving.ports.FeedSession`.

    Parameters
    ----------
    database
        It must be reached directly: a pooler that hands sessions around would lose the leases.
    market
        Whose rows are taken; only models of this market predict them.
    overlap_s
        How far behind the newest row a table without triggers is looked at for more.

    Raises
    ------
    DatabaseUnavailableError
        If there is no connection.
    """

    def __init__(self, database: Database, market: MarketSchema, *, overlap_s: float = DEFAULT_OVERLAP_S) -> None:
        self._market, self._overlap_s = market, overlap_s
        compile_now()
        self._url = database.url
        with translating(self._url):
            self._connection = psycopg.connect(
                self._url, autocommit=True, application_name="kurswerk predictor", connect_timeout=10, options=_OPTIONS,
                keepalives_idle=2, keepalives_interval=1, keepalives_count=2,
            )  # fmt: skip
            self._connection.execute(f"LISTEN {FeedNames.of(market.name).channel}".encode())
            self._connection.execute("LISTEN kurswerk_changes")
            self._leases = Leases(self._connection, FeedLocks.of(market))
            self._writer = PredictionWriter(self._connection)
        # Looked at when it is first needed: a table that lacks its key must not keep a lane from reporting that.
        self._found: MarketTable | None = None
        # The same ones come every few milliseconds; to compose one takes half of one.
        self._take_statement: TakeStatement = lru_cache(maxsize=4)(self._compose_take)
        self._held: tuple[int, ...] = ()
        self._joined = JoinedPoll(market)
        self.name = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def lease(self) -> frozenset[int]:
        """Take or give back partitions so that all lanes have their share; return those held."""
        with translating(self._url):
            held = self._leases.balance()
        self._held = tuple(sorted(held))
        return held

    def models_with_missed_rows(self) -> frozenset[int]:
        """Return the models with missed rows in the leased partitions."""
        query = (
            "SELECT DISTINCT b.model_id FROM prediction_backlog b JOIN ml_models m ON m.id = b.model_id"
            " WHERE b.partition = ANY (%s) AND m.market = %s"
        )
        with translating(self._url):
            rows = self._connection.execute(query, [list(self._held), self._market.name])
            return frozenset(row[0] for row in rows)

    @contextmanager
    def transaction(self) -> Iterator["PostgresFeedTransaction"]:
        """Open a transaction; committed at the end of the block, rolled back on any error."""
        with translating(self._url), self._connection.transaction():
            yield PostgresFeedTransaction(self._connection, self._table, self._held, self._writer, self._take_statement)

    def read_columns(self) -> Mapping[str, str]:
        """Look at the market's tables anew; return the columns that can be read from now on, with their versions.

        Raises
        ------
        StorageError
            If there is no table, or it lacks key or timestamp.
        """
        with translating(self._url):
            found = MarketTable.find(self._connection, self._market)
        if self._found is None or found.versions != self._found.versions:
            self._take_statement = lru_cache(maxsize=4)(self._compose_take)
        self._found = found
        return found.versions

    @property
    def _table(self) -> MarketTable:
        if self._found is None:
            self._found = MarketTable.find(self._connection, self._market)
        return self._found

    def _compose_take(self, columns: tuple[str, ...], partitions: tuple[int, ...], limit: int) -> bytes:
        return _copy_out_statement(take_query(self._table, columns, partitions, limit))

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something new, or after a time."""
        with translating(self._url):
            for _ in self._connection.notifies(timeout=timeout_s, stop_after=1):
                pass

    def lag(self) -> tuple[int, float]:
        """Return how many rows of the leased partitions wait, and for how many seconds the oldest has."""
        query = sql.SQL(
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 FROM"
            " (SELECT created_at FROM {} WHERE partition = ANY (%s) LIMIT %s) waiting"
        ).format(sql.Identifier(self._market.feed.feed))
        with translating(self._url):
            row = self._connection.execute(query, [list(self._held), _MOST_COUNTED]).fetchone()
        return (int(row[0]), max(0.0, float(row[1]))) if row else (0, 0.0)

    def poll_table(self) -> int:
        """Where the table has no triggers, look for new rows while a model is active; return how many."""
        with translating(self._url), self._connection.transaction():
            if has_active_models(self._connection, self._market):
                self._joined.poll(self._connection)
        with translating(self._url), self._connection.transaction():
            if feed_installed(self._connection, self._market) or not has_active_models(self._connection, self._market):
                return 0
            return poll(self._connection, self._market, overlap_s=self._overlap_s)

    def report_state(self, state: Mapping[str, Any]) -> None:
        """Publish the state of this lane; rows of lanes that fell silent a minute ago are removed."""
        with translating(self._url), self._connection.transaction():
            self._connection.execute(
                "INSERT INTO serving_replicas (id, state) VALUES (%s, %s)"
                " ON CONFLICT (id) DO UPDATE SET state = excluded.state, seen_at = now()",
                [self.name, jsonb(state)],
            )
            self._connection.execute(sql.SQL("DELETE FROM serving_replicas WHERE {}").format(SILENT))

    def close(self) -> None:
        """End the session; when this returns, its partitions are free."""
        try:
            # A server notices a closed connection only some time later; another lane need not wait for that.
            if self._connection.info.transaction_status == TransactionStatus.IDLE:
                self._leases.give_up()
        except psycopg.OperationalError:
            pass  # A lost connection holds nothing any more.
        finally:
            self._connection.close()


class PostgresFeedTransaction(MomentTables):
    """One transaction of a session; implements `kurswerk.serving.ports.FeedTransaction`."""

    def __init__(
        self,
        connection: psycopg.Connection,
        table: MarketTable,
        held: tuple[int, ...],
        writer: PredictionWriter,
        take_statement: TakeStatement,
    ) -> None:
        self._connection, self._table, self._held, self._writer = connection, table, held, writer
        self._take_statement, self._states = take_statement, StateTable(table.market)
        self._revisions = sql.Identifier(table.market.feed.revisions)

    def take(self, columns: Sequence[str], limit: int) -> FeedRows:
        """Take waiting rows of the leased partitions with their values, small loads before bulk loads."""
        if not set(columns) <= self._table.versions.keys():
            self._require_same_columns()
        if not self._held:
            block = RowBlock([], np.empty((5 + len(columns), 0), dtype=np.int64))
        else:
            block = self._copy_out(self._take_statement(tuple(columns), self._held, limit), 5 + len(columns))
        return FeedRows(
            instruments=block.keys,
            timestamps=block.moments(0),
            committed_us=block.moments(1),
            fresh=block.words[2] == 0,
            partitions=block.words[3],
            present=block.words[4] != 0,
            values=block.numbers(5),
        )

    def _require_same_columns(self) -> None:
        """Refuse to take rows without a column that has come back: what it holds would be lost on them."""
        self._connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(self._table.name))
        if MarketTable.find(self._connection, self._table.market).versions != self._table.versions:
            raise StorageError("database.columns_changed", table=self._table.market.table)

    def active_models(self) -> Sequence[ActiveModel]:
        """Return the models that predict, by id; they cannot be removed before the transaction ends."""
        rows = self._connection.execute(
            "SELECT id, name, artifact_sha256, alert_threshold::float8, serving_epoch FROM ml_models"
            " WHERE is_active AND NOT is_deleted AND market = %s AND status = 'READY'"
            " AND artifact_sha256 IS NOT NULL ORDER BY id FOR KEY SHARE",
            [self._table.market.name],
        ).fetchall()
        return [ActiveModel(*row) for row in rows]

    def history(self, coins: Sequence[str], first_us: Int, columns: Sequence[str], lookback: int | None) -> Panel:
        """Return known rows: those from ``first_us`` on and ``lookback`` before them, or all for None."""
        query = history_query(self._table, coins, first_us, columns, lookback)
        block = self._copy_out(_copy_out_statement(query), 1 + len(columns))
        names = sorted(set(block.keys))
        code = {name: k for k, name in enumerate(names)}
        codes = np.fromiter((code[key] for key in block.keys), dtype=np.int64, count=len(block))
        values = block.words[1:].view(np.float64)
        return Panel.from_codes(names, codes, block.moments(0), dict(zip(columns, values, strict=True)))

    def load_states(self, definition: str, coins: Sequence[str]) -> Sequence[InstrumentState]:
        """Return stored states of coins, of these features alone."""
        return self._states.load(self._connection, definition, coins)

    def delete_states(self, first_us: Mapping[str, int]) -> None:
        """Remove coins' states of a moment or later, whatever features they are of."""
        self._states.delete(self._connection, first_us)

    def clear_states(self) -> None:
        """Remove all states of the leased partitions."""
        self._states.clear_partitions(self._connection, self._held)

    def delete_states_since(self, first_us: int) -> None:
        """Remove the states of a moment or later of the leased partitions' instruments."""
        self._states.delete_since(self._connection, self._held, first_us)

    def take_joined_changes(self) -> Sequence[JoinedChange]:
        """Take the changes of joined values that the leased partitions have not noted."""
        return take_joined_changes(self._connection, self._table.market, self._held)

    def note_joined_change(self, first_id: int, change: JoinedChange) -> None:
        """Note a change that predictions with ids under ``first_id`` cannot have known."""
        note_joined_change(self._connection, self._table.market, first_id, change)

    def save_states(self, definition: str, states: Sequence[InstrumentState]) -> None:
        """Store states in the place of those that their coins have."""
        self._states.save(self._connection, definition, states)

    def reserve(self, count: int) -> Int:
        """Return so many new ids of predictions, ascending."""
        return self._writer.reserve(count)

    def existing(self, coins: Sequence[str], timestamps: Int, models: Int) -> Bool:
        """Return, shape (n, m), which predictions are there already."""
        rows = self._connection.execute(
            "SELECT coin.place, p.model_id FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY AS coin(id, us, place)"
            " JOIN predictions p ON p.coin_id = coin.id AND p.model_id = ANY (%s)"
            " AND p.\"timestamp\" = timestamptz 'epoch' + coin.us * interval '1 microsecond'",
            [list(coins), timestamps.tolist(), models.tolist()],
        ).fetchall()
        place = {int(model): k for k, model in enumerate(models)}
        found = np.zeros((len(coins), len(models)), dtype=np.bool_)
        for row, model in rows:
            found[row - 1, place[model]] = True
        return found

    def store(self, predictions: NewPredictions, alerts: Sequence[NewAlert]) -> None:
        """Store predictions, count them, store alerts and notify listeners."""
        self._writer.store(predictions, alerts, slot=min(self._held))

    def alert_rules(self) -> Sequence[AlertRule]:
        """Return the rules in force."""
        return rules_in_force(self._connection)

    def enqueue_notifications(self, deliveries: Sequence[Notification]) -> None:
        """Store messages to send, unless one about the coin is within the rule's cool-down."""
        add_deliveries(self._connection, deliveries)

    def note_missing_columns(self, needed: Collection[str]) -> Sequence[str]:
        """Note which needed columns the market's tables lack now; return those that nobody had noted."""
        return note_missing_columns(self._connection, self._table.market, needed)

    def enqueue_notice(self, rule_ids: Sequence[int], notice: Notice) -> None:
        """Store a notice to send by some rules, once to each place."""
        add_notice(self._connection, rule_ids, notice)

    def add_missed(self, model_ids: Sequence[int], rows: MissedRows, partitions: Int) -> None:
        """Note that models could not predict rows."""
        self._connection.execute(
            'INSERT INTO prediction_backlog (model_id, coin_id, "timestamp", partition, first_prediction_id)'
            " SELECT model, coin, timestamptz 'epoch' + us * interval '1 microsecond', home, first_id"
            " FROM unnest(%s::text[], %s::bigint[], %s::smallint[], %s::bigint[]) AS missed(coin, us, home, first_id),"
            " unnest(%s::bigint[]) AS model ON CONFLICT DO NOTHING",
            [
                list(rows.instruments),
                rows.timestamps.tolist(),
                partitions.tolist(),
                rows.first_ids.tolist(),
                list(model_ids),
            ],
        )

    def take_missed(self, model_id: int, limit: int) -> MissedRows:
        """Take rows that a model missed, those of one coin together."""
        rows = self._connection.execute(
            "WITH due AS MATERIALIZED (SELECT ctid AS place FROM prediction_backlog WHERE partition = ANY (%s)"
            ' AND model_id = %s ORDER BY coin_id, "timestamp" LIMIT %s)'
            " DELETE FROM prediction_backlog b USING due WHERE b.ctid = due.place"
            ' RETURNING b.coin_id, (extract(epoch FROM b."timestamp") * 1000000)::bigint, b.first_prediction_id',
            [list(self._held), model_id, limit],
        ).fetchall()
        numbers = np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, 2)
        return MissedRows([row[0] for row in rows], numbers[:, 0], numbers[:, 1])

    def note_revisions(self, kind: str, first_id: int, rows: Mapping[str, Sequence[int]]) -> None:
        """Note rows that came late or were corrected."""
        keys = [(coin, us) for coin, times in rows.items() for us in times]
        self._connection.execute(
            sql.SQL(
                "INSERT INTO {} (coin_id, first_prediction_id, kind, timestamps)"
                " SELECT coin, %s, %s, array_agg(timestamptz 'epoch' + us * interval '1 microsecond')"
                " FROM unnest(%s::text[], %s::bigint[]) AS revised(coin, us) GROUP BY coin"
            ).format(self._revisions),
            [first_id, kind, [coin for coin, _ in keys], [us for _, us in keys]],
        )

    def late_rows(self, coins: Sequence[str]) -> Mapping[str, Sequence[tuple[int, Sequence[int]]]]:
        """Return for coins the rows that came late: first id of a prediction that knew them, and their timestamps."""
        rows = self._connection.execute(
            sql.SQL(
                "SELECT coin_id, first_prediction_id,"
                " (SELECT array_agg((extract(epoch FROM t) * 1000000)::bigint) FROM unnest(timestamps) t)"
                " FROM {} WHERE coin_id = ANY (%s) AND kind = 'late'"
            ).format(self._revisions),
            [list(coins)],
        ).fetchall()
        found: dict[str, list[tuple[int, Sequence[int]]]] = {}
        for coin, first_id, times in rows:
            found.setdefault(coin, []).append((first_id, times))
        return found

    def _copy_out(self, statement: bytes, fields: int) -> RowBlock:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            data = b"".join(copy)
        return decode_rows(data, fields)


def _copy_out_statement(query: sql.Composed) -> bytes:
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query).as_bytes()
