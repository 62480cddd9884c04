"""States of instruments' features, stored so that a start need not read whole histories."""

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from kurswerk.market import MarketSchema
from kurswerk.serving.ports import InstrumentState

_DELETE = sql.SQL("""
DELETE FROM {states} s USING unnest(%s::text[], %s::bigint[]) AS first(instrument, us)
WHERE s.coin_id = first.instrument AND s."timestamp" >= timestamptz 'epoch' + first.us * interval '1 microsecond'""")
_DELETE_PARTITIONS = "DELETE FROM {states} WHERE (hashtext(coin_id) & 63) = ANY (%s)"
_DELETE_SINCE = _DELETE_PARTITIONS + " AND \"timestamp\" >= timestamptz 'epoch' + %s * interval '1 microsecond'"
_LOAD = sql.SQL("""
SELECT coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, state FROM {states}
WHERE coin_id = ANY (%s) AND definition = %s""")
_SAVE = sql.SQL("""
INSERT INTO {states} (coin_id, definition, "timestamp", state)
VALUES (%s, %s, timestamptz 'epoch' + %s * interval '1 microsecond', %b)
ON CONFLICT (coin_id) DO UPDATE SET definition = excluded.definition, "timestamp" = excluded."timestamp",
    state = excluded.state, saved_at = now()""")


class StateTable:
    """The stored states of one market's instruments, read and written in the caller's transaction."""

    def __init__(self, market: MarketSchema) -> None:
        states = sql.Identifier(market.feed.states)
        self._delete, self._load, self._save = (one.format(states=states) for one in (_DELETE, _LOAD, _SAVE))
        self._delete_partitions = sql.SQL(_DELETE_PARTITIONS).format(states=states)
        self._delete_since = sql.SQL(_DELETE_SINCE).format(states=states)
        self._delete_all = sql.SQL("DELETE FROM {}").format(states)

    def load(
        self, connection: psycopg.Connection, definition: str, instruments: Sequence[str]
    ) -> Sequence[InstrumentState]:
        """Return the stored states of instruments that were made by some features."""
        with connection.cursor(binary=True) as cursor:
            rows = cursor.execute(self._load, [list(instruments), bytes.fromhex(definition)]).fetchall()
        return [InstrumentState(*row) for row in rows]

    def delete(self, connection: psycopg.Connection, first_us: Mapping[str, int]) -> None:
        """Remove the instruments' states of a moment or later, whatever features they are of."""
        connection.execute(self._delete, [list(first_us), list(first_us.values())])

    def save(self, connection: psycopg.Connection, definition: str, states: Sequence[InstrumentState]) -> None:
        """Store states in place of the instruments' earlier ones."""
        key = bytes.fromhex(definition)
        with connection.cursor() as cursor:
            cursor.executemany(self._save, [(one.instrument, key, one.timestamp_us, one.state) for one in states])

    def clear_partitions(self, connection: psycopg.Connection, partitions: Sequence[int]) -> None:
        """Remove all states of some partitions' instruments."""
        connection.execute(self._delete_partitions, [list(partitions)])

    def delete_since(self, connection: psycopg.Connection, partitions: Sequence[int], first_us: int) -> None:
        """Remove the states of a moment or later of some partitions' instruments."""
        connection.execute(self._delete_since, [list(partitions), first_us])

    def clear(self, connection: psycopg.Connection) -> None:
        """Remove all states, where rows may have come that no feed has reported."""
        connection.execute(self._delete_all)
