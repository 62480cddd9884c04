"""The feed: one session per lane, with its leases, and the transaction that takes rows and stores predictions."""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.pq import TransactionStatus

from kurswerk.market import Panel
from kurswerk.serving.ports import (
    ActiveModel,
    AlertRule,
    CoinState,
    FeedRows,
    NewAlert,
    NewDelivery,
    NewPredictions,
    OwedRows,
)
from kurswerk.storage._alerts import add_deliveries, rules_in_force
from kurswerk.storage._binary_rows import RowBlock, compile_now, decode_rows
from kurswerk.storage._coin_states import drop_states, keep_states, states_of
from kurswerk.storage._coin_table import CoinTable
from kurswerk.storage._database import Database
from kurswerk.storage._errors import translating
from kurswerk.storage._feed_queries import history_query, take_query
from kurswerk.storage._feed_source import DEFAULT_OVERLAP_S, feed_installed, look
from kurswerk.storage._json import jsonb
from kurswerk.storage._leases import Leases
from kurswerk.storage._prediction_writer import PredictionWriter
from kurswerk.storage._replicas import SILENT

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
# Columns, partitions and most rows → the statement that takes such rows.
TakeStatement = Callable[[tuple[str, ...], tuple[int, ...], int], bytes]

_MOST_COUNTED = 100_000
# Every query looks rows up by index; the tables change too fast for statistics to say so.
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
    overlap_s
        How far behind the newest row a table without triggers is looked at for more.

    Raises
    ------
    DatabaseUnavailableError
        If there is no connection.
    """

    def __init__(self, database: Database, *, overlap_s: float = DEFAULT_OVERLAP_S) -> None:
        self._overlap_s = overlap_s
        compile_now()
        self._url = database.url
        with translating(self._url):
            self._connection = psycopg.connect(
                self._url, autocommit=True, application_name="kurswerk predictor", connect_timeout=10, options=_OPTIONS,
                keepalives_idle=2, keepalives_interval=1, keepalives_count=2,
            )  # fmt: skip
            self._table = CoinTable.find(self._connection)
            self._connection.execute("LISTEN kurswerk_feed")
            self._connection.execute("LISTEN kurswerk_changes")
            self._leases = Leases(self._connection)
            self._writer = PredictionWriter(self._connection)
        # The same ones come every few milliseconds; to compose one takes half of one.
        self._take_statement: TakeStatement = lru_cache(maxsize=4)(self._compose_take)
        self._held: tuple[int, ...] = ()
        self.name = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def lease(self) -> frozenset[int]:
        """Take or give back partitions so that all lanes have their share; return those held."""
        with translating(self._url):
            held = self._leases.balance()
        self._held = tuple(sorted(held))
        return held

    def owing(self) -> frozenset[int]:
        """Return the models that owe predictions in the leased partitions."""
        query = "SELECT DISTINCT model_id FROM prediction_backlog WHERE partition = ANY (%s)"
        with translating(self._url):
            return frozenset(row[0] for row in self._connection.execute(query, [list(self._held)]))

    @contextmanager
    def work(self) -> Iterator["PostgresFeedWork"]:
        """Open a transaction; committed at the end of the block, rolled back on any error."""
        with translating(self._url), self._connection.transaction():
            yield PostgresFeedWork(self._connection, self._table, self._held, self._writer, self._take_statement)

    def _compose_take(self, columns: tuple[str, ...], partitions: tuple[int, ...], limit: int) -> bytes:
        return _copy_out_statement(take_query(self._table, columns, partitions, limit))

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something new, or after a time."""
        with translating(self._url):
            for _ in self._connection.notifies(timeout=timeout_s, stop_after=1):
                pass

    def waiting(self) -> tuple[int, float]:
        """Return how many rows of the leased partitions wait, and for how many seconds the oldest has."""
        query = (
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 FROM"
            " (SELECT created_at FROM coin_feed WHERE partition = ANY (%s) LIMIT %s) waiting"
        )
        with translating(self._url):
            row = self._connection.execute(query, [list(self._held), _MOST_COUNTED]).fetchone()
        return (int(row[0]), max(0.0, float(row[1]))) if row else (0, 0.0)

    def look(self) -> int:
        """Where ``coin_metrics`` has no triggers, look for new rows while a model is active; return how many."""
        with translating(self._url), self._connection.transaction():
            if feed_installed(self._connection):
                return 0
            row = self._connection.execute(
                "SELECT EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted)"
            ).fetchone()
            return look(self._connection, overlap_s=self._overlap_s) if row and row[0] else 0

    def report(self, state: Mapping[str, Any]) -> None:
        """Tell how this lane is; rows of lanes that fell silent a minute ago are removed."""
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


class PostgresFeedWork:
    """One transaction of a session; implements `kurswerk.serving.ports.FeedWork`."""

    def __init__(
        self,
        connection: psycopg.Connection,
        table: CoinTable,
        held: tuple[int, ...],
        writer: PredictionWriter,
        take_statement: TakeStatement,
    ) -> None:
        self._connection, self._table, self._held, self._writer = connection, table, held, writer
        self._take_statement = take_statement

    def take(self, columns: Sequence[str], limit: int) -> FeedRows:
        """Take waiting rows of the leased partitions with their values, small loads before bulk loads."""
        if not self._held:
            block = RowBlock([], np.empty((5 + len(columns), 0), dtype=np.int64))
        else:
            block = self._copy_out(self._take_statement(tuple(columns), self._held, limit), 5 + len(columns))
        return FeedRows(
            coins=block.keys,
            timestamps=block.moments(0),
            committed_us=block.moments(1),
            fresh=block.words[2] == 0,
            partitions=block.words[3],
            present=block.words[4] != 0,
            values=block.numbers(5),
        )

    def active_models(self) -> Sequence[ActiveModel]:
        """Return the models that predict, by id; they cannot be removed before the transaction ends."""
        rows = self._connection.execute(
            "SELECT id, name, artifact_sha256, alert_threshold::float8, serving_epoch FROM ml_models"
            " WHERE is_active AND NOT is_deleted AND status = 'READY' AND artifact_sha256 IS NOT NULL"
            " ORDER BY id FOR KEY SHARE"
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

    def states(self, definition: str, coins: Sequence[str]) -> Sequence[CoinState]:
        """Return stored states of coins, of these features alone."""
        return states_of(self._connection, definition, coins)

    def drop_states(self, first_us: Mapping[str, int]) -> None:
        """Remove coins' states of a moment or later, whatever features they are of."""
        drop_states(self._connection, first_us)

    def keep_states(self, definition: str, states: Sequence[CoinState]) -> None:
        """Store states in the place of those that their coins have."""
        keep_states(self._connection, definition, states)

    def reserve(self, count: int) -> Int:
        """Return so many new ids of predictions, ascending."""
        return self._writer.reserve(count)

    def stored(self, coins: Sequence[str], timestamps: Int, models: Int) -> Bool:
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
        """Store predictions, count them, store alerts and tell listeners."""
        self._writer.store(predictions, alerts, slot=min(self._held))

    def alert_rules(self) -> Sequence[AlertRule]:
        """Return the rules in force."""
        return rules_in_force(self._connection)

    def send(self, deliveries: Sequence[NewDelivery]) -> None:
        """Store messages to send, unless one about the coin is within the rule's cool-down."""
        add_deliveries(self._connection, deliveries)

    def owe(self, model_ids: Sequence[int], rows: OwedRows, partitions: Int) -> None:
        """Note that models could not predict rows."""
        self._connection.execute(
            'INSERT INTO prediction_backlog (model_id, coin_id, "timestamp", partition, first_prediction_id)'
            " SELECT model, coin, timestamptz 'epoch' + us * interval '1 microsecond', home, first_id"
            " FROM unnest(%s::text[], %s::bigint[], %s::smallint[], %s::bigint[]) AS owed(coin, us, home, first_id),"
            " unnest(%s::bigint[]) AS model ON CONFLICT DO NOTHING",
            [list(rows.coins), rows.timestamps.tolist(), partitions.tolist(), rows.first_ids.tolist(), list(model_ids)],
        )

    def take_owed(self, model_id: int, limit: int) -> OwedRows:
        """Take rows that a model owes, those of one coin together."""
        rows = self._connection.execute(
            "WITH due AS MATERIALIZED (SELECT ctid AS place FROM prediction_backlog WHERE partition = ANY (%s)"
            ' AND model_id = %s ORDER BY coin_id, "timestamp" LIMIT %s)'
            " DELETE FROM prediction_backlog b USING due WHERE b.ctid = due.place"
            ' RETURNING b.coin_id, (extract(epoch FROM b."timestamp") * 1000000)::bigint, b.first_prediction_id',
            [list(self._held), model_id, limit],
        ).fetchall()
        numbers = np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, 2)
        return OwedRows([row[0] for row in rows], numbers[:, 0], numbers[:, 1])

    def revise(self, kind: str, first_id: int, rows: Mapping[str, Sequence[int]]) -> None:
        """Note rows that came late or were corrected."""
        keys = [(coin, us) for coin, times in rows.items() for us in times]
        self._connection.execute(
            "INSERT INTO coin_revisions (coin_id, first_prediction_id, kind, timestamps)"
            " SELECT coin, %s, %s, array_agg(timestamptz 'epoch' + us * interval '1 microsecond')"
            " FROM unnest(%s::text[], %s::bigint[]) AS revised(coin, us) GROUP BY coin",
            [first_id, kind, [coin for coin, _ in keys], [us for _, us in keys]],
        )

    def learnt_late(self, coins: Sequence[str]) -> Mapping[str, Sequence[tuple[int, Sequence[int]]]]:
        """Return for coins the rows that came late: first id of a prediction that knew them, and their timestamps."""
        rows = self._connection.execute(
            "SELECT coin_id, first_prediction_id,"
            " (SELECT array_agg((extract(epoch FROM t) * 1000000)::bigint) FROM unnest(timestamps) t)"
            " FROM coin_revisions WHERE coin_id = ANY (%s) AND kind = 'late'",
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
