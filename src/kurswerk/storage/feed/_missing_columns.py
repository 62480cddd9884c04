"""Columns that models need and a market lacks, kept so that all lanes together report each loss once."""

from collections.abc import Collection, Sequence

import psycopg

from kurswerk.market import MarketSchema
from kurswerk.storage.markets import MarketTable

_RETURNED = "DELETE FROM missing_columns WHERE market = %s AND column_name = ANY (%s)"
_LOST = """
INSERT INTO missing_columns (market, column_name, table_name)
SELECT %s, lost.name, lost.place FROM unnest(%s::text[], %s::text[]) AS lost(name, place)
ON CONFLICT DO NOTHING RETURNING column_name"""


def note_missing_columns(
    connection: psycopg.Connection, market: MarketSchema, needed: Collection[str]
) -> Sequence[str]:
    """Note which needed columns the market's tables lack, in the caller's transaction; return those not noted before.

    A column that is there again is forgotten, needed or not, so that its next loss is a new one. One that is no longer
    needed stays noted: it is still the same loss if a model needs it later.
    """
    # One lane after the other: what one has noted, the next one finds.
    connection.execute("LOCK TABLE missing_columns IN SHARE ROW EXCLUSIVE MODE")
    present = MarketTable.find(connection, market).versions
    connection.execute(_RETURNED, [market.name, list(present)])
    lost = [name for name in market.in_order(needed) if name not in present]
    rows = connection.execute(_LOST, [market.name, lost, [market.table_of(name) for name in lost]]).fetchall()
    return market.in_order(row[0] for row in rows)
