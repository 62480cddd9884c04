"""Rows of instruments, each of a period of its own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.storage.markets._as_of import as_of_query
from kurswerk.storage.markets._load import array_text
from kurswerk.storage.markets._table import MarketTable

Int = NDArray[np.int64]


def row_value(table: MarketTable, name: str) -> sql.Composable:
    """Return a column of the row ``m`` as a number, a joined one as known at the row; NULL where there is none."""
    if name in table.market.joined:
        return _as_of(table, name)
    if name not in table.columns:
        return sql.SQL("NULL::double precision")
    return table.number(name, sql.SQL("m.{}").format(sql.Identifier(name)))


def periods_query(
    table: MarketTable, instruments: Sequence[str], from_us: Int, until_us: Int, columns: Sequence[str]
) -> sql.Composed:
    """Return the query of instrument, timestamp and columns: all rows of each period, and the next one after it.

    Parameters
    ----------
    from_us, until_us
        Of each instrument, shape (n,), both ends inclusive; microseconds UTC.
    """
    time = sql.Identifier("m", table.market.timestamp)
    fields = sql.SQL(", ").join([time, *(row_value(table, name) for name in columns)])
    named = [sql.Identifier("at"), *(sql.Identifier(f"v{k}") for k in range(len(columns)))]
    last = sql.SQL(", m.id DESC" if table.has_ids else "")
    # What stands twice is put in order for one of each to be taken.
    one = sql.SQL("" if table.has_key else "DISTINCT ON ({}) ").format(time)
    order = sql.SQL("") if table.has_key else sql.SQL(" ORDER BY {}{}").format(time, last)
    return sql.SQL(
        "SELECT c.id, {moment}{values} FROM {asked} CROSS JOIN LATERAL ("
        "(SELECT {one}{fields} FROM {table} m WHERE m.{key} = c.id AND {readable}"
        " AND {time} >= {start} AND {time} <= {end}{order})"
        " UNION ALL (SELECT {fields} FROM {table} m WHERE m.{key} = c.id AND {readable} AND {time} > {end}"
        " ORDER BY {time}{last} LIMIT 1)) AS r({named})"
    ).format(
        moment=sql.SQL("r.at AT TIME ZONE 'UTC'" if table.is_naive else "r.at"),
        values=sql.SQL("").join(sql.SQL(", r.{}").format(name) for name in named[1:]),
        asked=_periods(instruments, from_us, until_us),
        one=one,
        fields=fields,
        table=table.name,
        key=table.key,
        readable=table.readable(time),
        time=time,
        start=table.as_stored(sql.SQL("c.start")),
        end=table.as_stored(sql.SQL("c.stop")),
        order=order,
        last=last if not table.has_key else sql.SQL(""),
        named=sql.SQL(", ").join(named),
    )


def _periods(instruments: Sequence[str], from_us: Int, until_us: Int) -> sql.Composed:
    return sql.SQL(
        "(SELECT id, timestamptz 'epoch' + first * interval '1 microsecond' AS start,"
        " timestamptz 'epoch' + last * interval '1 microsecond' AS stop"
        " FROM unnest({}::text[], {}::bigint[], {}::bigint[]) AS asked(id, first, last)) c"
    ).format(sql.Literal(array_text(instruments)), sql.Literal(from_us.tolist()), sql.Literal(until_us.tolist()))


def _as_of(table: MarketTable, name: str) -> sql.Composable:
    """Return a joined column's latest value known at the row ``m``; NULL where its table holds none."""
    join = table.joined.get(name)
    if join is None:
        return sql.SQL("NULL::double precision")
    return as_of_query(join, sql.SQL("m.{}").format(table.key), table.moment("m"))
