"""Values of other tables as of each row of a panel: the newest that was known by then.

`values_as_of` reads them for whole panels, `as_of_query` for single rows inside the feed's statements; both give the
same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.core.timestamps import DAY_US
from kurswerk.market import JoinedColumn, Panel
from kurswerk.storage.markets._table import FoundJoin

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def values_as_of(cursor: Any, joins: Sequence[FoundJoin], panel: Panel, *, chosen: bool = False) -> list[Float]:
    """Return joined columns for every row of a panel.

    Parameters
    ----------
    cursor
        Of ADBC; the tables are read as of its transaction.
    chosen
        The setting ``kurswerk.instruments`` of the transaction holds the panel's instruments.

    Returns
    -------
    list of ndarray
        float64, shape (n_rows,), one for each: the value, or its age in days; NaN before the first one and past its
        limit of age.
    """
    known: dict[tuple[str, ...], _Known] = {}
    columns = []
    for join in joins:
        column = join.column
        # A value and its age are one reading.
        source = (column.relation, column.value, column.known_at, column.key or "")
        if source not in known:
            known[source] = _Known(*_known_values(cursor, join, panel, chosen=chosen))
        columns.append(known[source].column(column, panel))
    return columns


@dataclass(frozen=True)
class _Known:
    """Moments and values, ascending within each instrument, and where those of each instrument begin."""

    known_us: Int
    values: Float
    first_rows: Int

    def column(self, column: JoinedColumn, panel: Panel) -> Float:
        """Return a column of the panel."""
        place = np.empty(len(panel), dtype=np.int64)
        for k in range(len(panel.instruments)):
            rows = slice(int(panel.offsets[k]), int(panel.offsets[k + 1]))
            first, end = (0, len(self.known_us)) if column.key is None else self.first_rows[k : k + 2]
            found = np.searchsorted(self.known_us[first:end], panel.timestamps[rows], side="right")
            place[rows] = np.where(found > 0, found + first - 1, -1)
        there = place >= 0
        result = np.full(len(panel), np.nan)
        age_us = panel.timestamps[there] - self.known_us[place[there]]
        result[there] = age_us / DAY_US if column.is_age else self.values[place[there]]
        if column.max_age_us is not None:
            result[np.flatnonzero(there)[age_us > column.max_age_us]] = np.nan
        return result


def _known_values(cursor: Any, join: FoundJoin, panel: Panel, *, chosen: bool) -> tuple[Int, Float, Int]:
    """Return moments and values, ascending within each instrument, and where those of each instrument begin."""
    column = join.column
    key = sql.SQL("{}::text, ").format(sql.Identifier(column.key)) if column.key else sql.SQL("")
    only: sql.Composable = sql.SQL("")
    if column.key and chosen:
        only = sql.SQL(" AND {} = ANY (current_setting('kurswerk.instruments')::text[])").format(
            sql.Identifier(column.key)
        )
    query = sql.SQL(
        "SELECT {key}{time}::timestamptz, {value}::double precision FROM {table}"
        " WHERE {value} IS NOT NULL AND {time} IS NOT NULL{only} ORDER BY {time}{last}"
    ).format(
        key=key,
        table=sql.Identifier(column.relation),
        value=sql.Identifier(column.value),
        time=sql.Identifier(column.known_at),
        only=only,
        last=sql.SQL(", id" if join.has_ids else ""),
    )
    cursor.execute(query.as_string())
    found = cursor.fetch_arrow_table()
    moments, values = found.column(found.num_columns - 2).cast(pa.int64()).to_numpy(), found.column(-1).to_numpy()
    if not column.key:
        return moments, values, np.zeros(0, dtype=np.int64)
    names = pa.array(panel.instruments, pa.string())
    codes = pc.index_in(found.column(0).cast(pa.string()), value_set=names).fill_null(-1).to_numpy()
    # Stable, so that the order of time stays; instruments that the panel lacks come first.
    order = np.argsort(codes, kind="stable")
    first_rows = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return moments[order], values[order], first_rows


def as_of_query(join: FoundJoin, instrument: sql.Composable, moment: sql.Composable) -> sql.Composed:
    """Return a subquery for a joined column at one row; NULL where nothing is known, or nothing recent enough.

    Parameters
    ----------
    instrument, moment
        The row's instrument, and its timestamp as timestamptz.
    """
    column = join.column
    conditions = [
        sql.SQL("e.{} <= {}").format(sql.Identifier(column.known_at), moment),
        sql.SQL("e.{} IS NOT NULL").format(sql.Identifier(column.value)),
    ]
    if column.key:
        conditions.append(sql.SQL("e.{} = {}").format(sql.Identifier(column.key), instrument))
    if column.max_age_us is not None:
        limit = sql.SQL("{} - {} * interval '1 microsecond'").format(moment, sql.Literal(column.max_age_us))
        conditions.append(sql.SQL("e.{} >= {}").format(sql.Identifier(column.known_at), limit))
    return sql.SQL("(SELECT {value} FROM {table} e WHERE {conditions} ORDER BY e.{time} DESC{last} LIMIT 1)").format(
        value=_value(column, moment),
        table=sql.Identifier(column.relation),
        conditions=sql.SQL(" AND ").join(conditions),
        time=sql.Identifier(column.known_at),
        last=sql.SQL(", e.id DESC" if join.has_ids else ""),
    )


def _value(column: JoinedColumn, moment: sql.Composable) -> sql.Composed:
    if not column.is_age:
        return sql.SQL("e.{}::double precision").format(sql.Identifier(column.value))
    age_us = sql.SQL("(extract(epoch FROM {} - e.{}) * 1000000)::bigint").format(
        moment, sql.Identifier(column.known_at)
    )
    return sql.SQL("{}::double precision / {}::double precision").format(age_us, sql.Literal(DAY_US))
