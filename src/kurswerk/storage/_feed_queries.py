"""The two queries that bring rows to a lane: what is new, and what is known of coins."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.market import SOL_PRICE, TIMESTAMP
from kurswerk.storage._coin_load import array_text
from kurswerk.storage._coin_table import READABLE, CoinTable

Int = NDArray[np.int64]

# A load of history is cut at so many rows of a partition; between them others have their turn.
_LEAST_PER_PARTITION = 32
_PRESENT = sql.SQL('m."timestamp" IS NOT NULL AND ' + READABLE.format('m."timestamp"'))


def take_query(table: CoinTable, columns: Sequence[str], partitions: Sequence[int], limit: int) -> sql.Composed:
    """Return the statement that takes waiting rows: coin, timestamp, written at, kind, partition, present, columns.

    Single rows before bulk loads, oldest first.
    """
    each = max(_LEAST_PER_PARTITION, 2 * limit // len(partitions))
    return sql.SQL(
        "WITH due AS MATERIALIZED (SELECT f.place FROM unnest({partitions}::smallint[]) AS mine(number)"
        " CROSS JOIN LATERAL (SELECT ctid AS place, bulk, id FROM coin_feed WHERE partition = mine.number"
        " ORDER BY partition, bulk, id LIMIT {each}) f ORDER BY f.bulk, f.id LIMIT {limit}),"
        " taken AS (DELETE FROM coin_feed f USING due WHERE f.ctid = due.place"
        ' RETURNING f.coin_id, f."timestamp", f.created_at, f.kind, f.partition)'
        ' SELECT t.coin_id, t."timestamp", t.created_at, t.kind::bigint, t.partition::bigint,'
        " (m.there IS NOT NULL)::int::bigint{values} FROM taken t LEFT JOIN LATERAL"
        ' (SELECT 1 AS there{fields} FROM coin_metrics m WHERE m.mint = t.coin_id AND m."timestamp" = {moment}{one})'
        " m ON true"
    ).format(
        partitions=sql.Literal(list(partitions)),
        each=sql.Literal(each),
        limit=sql.Literal(limit),
        values=_listed([sql.SQL("m.{}").format(sql.Identifier(f"v{k}")) for k in range(len(columns))]),
        fields=_listed(_fields(table, columns)),
        moment=_as_stored(table, 't."timestamp"'),
        one=_latest(table),
    )


def history_query(
    table: CoinTable, coins: Sequence[str], first_us: Int, columns: Sequence[str], lookback: int | None
) -> sql.Composed:
    """Return the query of known rows of coins: coin, timestamp, columns; rows that wait in the feed are left out."""
    known = sql.SQL(
        "m.mint = c.id AND {present} AND NOT EXISTS (SELECT FROM coin_feed f WHERE f.coin_id = c.id"
        ' AND f."timestamp" = {moment} AND f.kind = 0)'
    ).format(present=_PRESENT, moment=_moment(table))
    fields = sql.SQL('m."timestamp"') + _listed(_fields(table, columns))
    one, order = _one_of_each(table)
    # What stands twice is put in order for one of each to be taken.
    ordered = sql.SQL("") if table.has_key else order
    rows = sql.SQL("SELECT {}{} FROM coin_metrics m WHERE {}").format(one, fields, known)
    if lookback is None:
        rows += ordered
    else:
        rows = sql.SQL(
            '({rows} AND m."timestamp" >= {first}{ordered}) UNION ALL'
            ' ({rows} AND m."timestamp" < {first}{order} LIMIT {lookback})'
        ).format(
            rows=rows, first=_as_stored(table, "c.first"), ordered=ordered, order=order, lookback=sql.Literal(lookback)
        )
    return sql.SQL("SELECT c.id, {}{} FROM {} CROSS JOIN LATERAL ({}) m").format(
        sql.SQL("m.\"timestamp\" AT TIME ZONE 'UTC'" if _is_naive(table) else 'm."timestamp"'),
        _listed([sql.SQL("m.{}").format(sql.Identifier(f"v{k}")) for k in range(len(columns))]),
        _coins(coins, first_us),
        rows,
    )


def _one_of_each(table: CoinTable) -> tuple[sql.Composable, sql.Composable]:
    """Return what keeps one row of each of a coin's moments, the one of the highest id, and the order, latest first."""
    if table.has_key:
        return sql.SQL(""), sql.SQL(' ORDER BY m."timestamp" DESC')
    last = sql.SQL(", m.id DESC" if "id" in table.columns else "")
    return sql.SQL('DISTINCT ON (m."timestamp") '), sql.SQL(' ORDER BY m."timestamp" DESC{}').format(last)


def _coins(coins: Sequence[str], first_us: Int) -> sql.Composed:
    # Past the year 294276 there is no timestamp; "no row is wanted" becomes infinity.
    moments = ["infinity" if us == np.iinfo(np.int64).max else str(us) for us in first_us.tolist()]
    return sql.SQL(
        "(SELECT id, CASE us WHEN 'infinity' THEN timestamptz 'infinity'"
        " ELSE timestamptz 'epoch' + us::bigint * interval '1 microsecond' END AS first"
        " FROM unnest({}::text[], {}::text[]) AS asked(id, us)) c"
    ).format(sql.Literal(array_text(coins)), sql.Literal(moments))


def _fields(table: CoinTable, columns: Sequence[str]) -> list[sql.Composable]:
    return [sql.SQL("{} AS {}").format(_value(table, name), sql.Identifier(f"v{k}")) for k, name in enumerate(columns)]


def _value(table: CoinTable, name: str) -> sql.Composable:
    if name == SOL_PRICE:
        return sql.SQL(
            "(SELECT e.sol_price_usd::double precision FROM exchange_rates e WHERE e.created_at <= {}"
            " AND e.sol_price_usd IS NOT NULL ORDER BY e.created_at DESC{} LIMIT 1)"
        ).format(_moment(table), sql.SQL(", e.id DESC" if table.has_rate_ids else ""))
    if name not in table.columns:
        return sql.SQL("NULL::double precision")
    return table.number(name, sql.SQL("m.{}").format(sql.Identifier(name)))


def _is_naive(table: CoinTable) -> bool:
    return table.columns[TIMESTAMP].kind == "timestamp"


def _moment(table: CoinTable) -> sql.SQL:
    return sql.SQL("(m.\"timestamp\" AT TIME ZONE 'UTC')" if _is_naive(table) else 'm."timestamp"')


def _as_stored(table: CoinTable, expression: str) -> sql.Composed:
    """Return a timestamptz as the table's own type, so that its index is used."""
    form = sql.SQL("({} AT TIME ZONE 'UTC')" if _is_naive(table) else "{}")
    return form.format(sql.SQL(expression))


def _latest(table: CoinTable) -> sql.SQL:
    if table.has_key or "id" not in table.columns:
        return sql.SQL(" LIMIT 1")
    return sql.SQL(" ORDER BY m.id DESC LIMIT 1")


def _listed(fields: Sequence[sql.Composable]) -> sql.Composable:
    return sql.Composed([part for field in fields for part in (sql.SQL(", "), field)])
