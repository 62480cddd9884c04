"""States of coins' features, stored so that a start need not read whole histories."""

from collections.abc import Mapping, Sequence

import psycopg

from kurswerk.serving.ports import CoinState

_STALE = """
DELETE FROM coin_states s USING unnest(%s::text[], %s::bigint[]) AS first(coin, us)
WHERE s.coin_id = first.coin AND s."timestamp" >= timestamptz 'epoch' + first.us * interval '1 microsecond'"""
_FOUND = """
SELECT coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, state FROM coin_states
WHERE coin_id = ANY (%s) AND definition = %s"""
_KEPT = """
INSERT INTO coin_states (coin_id, definition, "timestamp", state)
VALUES (%s, %s, timestamptz 'epoch' + %s * interval '1 microsecond', %b)
ON CONFLICT (coin_id) DO UPDATE SET definition = excluded.definition, "timestamp" = excluded."timestamp",
    state = excluded.state, saved_at = now()"""


def states_of(connection: psycopg.Connection, definition: str, coins: Sequence[str]) -> Sequence[CoinState]:
    """Return the stored states of coins that were made by some features."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(_FOUND, [list(coins), bytes.fromhex(definition)]).fetchall()
    return [CoinState(*row) for row in rows]


def drop_states(connection: psycopg.Connection, first_us: Mapping[str, int]) -> None:
    """Remove coins' states of a moment or later, whatever features they are of."""
    connection.execute(_STALE, [list(first_us), list(first_us.values())])


def keep_states(connection: psycopg.Connection, definition: str, states: Sequence[CoinState]) -> None:
    """Store states in the place of those that their coins have."""
    key = bytes.fromhex(definition)
    with connection.cursor() as cursor:
        cursor.executemany(_KEPT, [(one.coin, key, one.timestamp_us, one.state) for one in states])


def drop_all_states(connection: psycopg.Connection) -> None:
    """Remove all states, where rows may have come of which nobody was told."""
    connection.execute("DELETE FROM coin_states")
