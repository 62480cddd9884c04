"""The two queries that bring rows to a lane: what is new, and what is known of instruments."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.storage.markets import MarketTable, array_text, row_value

Int = NDArray[np.int64]

# A bulk insert of history is cut at so many rows of a partition; between them others have their turn.
_LEAST_PER_PARTITION = 32


def take_query(table: MarketTable, columns: Sequence[str], partitions: Sequence[int], limit: int) -> sql.Composed:
    """Return the statement that takes waiting rows: key, timestamp, written at, kind, partition, present, columns.

    Single rows before bulk loads, oldest first.
    """
    each = max(_LEAST_PER_PARTITION, 2 * limit // len(partitions))
    return sql.SQL(
        "WITH due AS MATERIALIZED (SELECT f.place FROM unnest({partitions}::smallint[]) AS mine(number)"
        " CROSS JOIN LATERAL (SELECT ctid AS place, bulk, id FROM {feed} WHERE partition = mine.number"
        " ORDER BY partition, bulk, id LIMIT {each}) f ORDER BY f.bulk, f.id LIMIT {limit}),"
        " taken AS (DELETE FROM {feed} f USING due WHERE f.ctid = due.place"
        ' RETURNING f.coin_id, f."timestamp", f.created_at, f.kind, f.partition)'
        ' SELECT t.coin_id, t."timestamp", t.created_at, t.kind::bigint, t.partition::bigint,'
        " (m.there IS NOT NULL)::int::bigint{values} FROM taken t LEFT JOIN LATERAL"
        " (SELECT 1 AS there{fields} FROM {table} m WHERE m.{key} = t.coin_id AND m.{time} = {moment}{one})"
        " m ON true"
    ).format(
        feed=sql.Identifier(table.market.feed.feed),
        table=table.name,
        key=table.key,
        time=table.timestamp,
        partitions=sql.Literal(list(partitions)),
        each=sql.Literal(each),
        limit=sql.Literal(limit),
        values=_listed([sql.SQL("m.{}").format(sql.Identifier(f"v{k}")) for k in range(len(columns))]),
        fields=_listed(_fields(table, columns)),
        moment=table.as_stored(sql.SQL('t."timestamp"')),
        one=_latest(table),
    )


def history_query(
    table: MarketTable, coins: Sequence[str], first_us: Int, columns: Sequence[str], lookback: int | None
) -> sql.Composed:
    """Return the query of known rows of coins: coin, timestamp, columns; rows that wait in the feed are left out."""
    known = sql.SQL(
        "m.{key} = c.id AND {time} IS NOT NULL AND {readable} AND NOT EXISTS (SELECT FROM {feed} f"
        ' WHERE f.coin_id = c.id AND f."timestamp" = {moment} AND f.kind = 0)'
    ).format(
        key=table.key,
        time=_time(table),
        readable=table.readable(_time(table)),
        feed=sql.Identifier(table.market.feed.feed),
        moment=table.moment("m"),
    )
    fields = _time(table) + _listed(_fields(table, columns))
    one, order = _one_of_each(table)
    # What stands twice is put in order for one of each to be taken.
    ordered = sql.SQL("") if table.has_key else order
    rows = sql.SQL("SELECT {}{} FROM {} m WHERE {}").format(one, fields, table.name, known)
    if lookback is None:
        rows += ordered
    else:
        rows = sql.SQL(
            "({rows} AND {time} >= {first}{ordered}) UNION ALL ({rows} AND {time} < {first}{order} LIMIT {lookback})"
        ).format(
            rows=rows,
            time=_time(table),
            first=table.as_stored(sql.SQL("c.first")),
            ordered=ordered,
            order=order,
            lookback=sql.Literal(lookback),
        )
    return sql.SQL("SELECT c.id, {}{} FROM {} CROSS JOIN LATERAL ({}) m").format(
        table.moment("m"),
        _listed([sql.SQL("m.{}").format(sql.Identifier(f"v{k}")) for k in range(len(columns))]),
        _coins(coins, first_us),
        rows,
    )


def _one_of_each(table: MarketTable) -> tuple[sql.Composable, sql.Composable]:
    """Return what keeps one row of each moment, the one of the highest id, and the order, latest first."""
    if table.has_key:
        return sql.SQL(""), sql.SQL(" ORDER BY {} DESC").format(_time(table))
    last = sql.SQL(", m.id DESC" if table.has_ids else "")
    order = sql.SQL(" ORDER BY {} DESC{}").format(_time(table), last)
    return sql.SQL("DISTINCT ON ({}) ").format(_time(table)), order


def _coins(coins: Sequence[str], first_us: Int) -> sql.Composed:
    # Past the year 294276 there is no timestamp; "no row is wanted" becomes infinity.
    moments = ["infinity" if us == np.iinfo(np.int64).max else str(us) for us in first_us.tolist()]
    return sql.SQL(
        "(SELECT id, CASE us WHEN 'infinity' THEN timestamptz 'infinity'"
        " ELSE timestamptz 'epoch' + us::bigint * interval '1 microsecond' END AS first"
        " FROM unnest({}::text[], {}::text[]) AS asked(id, us)) c"
    ).format(sql.Literal(array_text(coins)), sql.Literal(moments))


def _fields(table: MarketTable, columns: Sequence[str]) -> list[sql.Composable]:
    values = [row_value(table, name) for name in columns]
    return [sql.SQL("{} AS {}").format(value, sql.Identifier(f"v{k}")) for k, value in enumerate(values)]


def _time(table: MarketTable) -> sql.Identifier:
    """Return the timestamp of the row ``m`` as the table has it."""
    return sql.Identifier("m", table.market.timestamp)


def _latest(table: MarketTable) -> sql.SQL:
    if table.has_key or not table.has_ids:
        return sql.SQL(" LIMIT 1")
    return sql.SQL(" ORDER BY m.id DESC LIMIT 1")


def _listed(fields: Sequence[sql.Composable]) -> sql.Composable:
    return sql.Composed([part for field in fields for part in (sql.SQL(", "), field)])
