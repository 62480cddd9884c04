"""A market's table into a `Panel`, in Arrow batches, with one copy of the data in memory."""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.core.jit import kernel
from kurswerk.market import InstrumentAttribute, Panel
from kurswerk.storage.markets._as_of import values_as_of
from kurswerk.storage.markets._table import MarketTable

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_AS_THEY_ARE = frozenset({"float8", "int2", "int4", "int8", "bool"})
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_LEAST_ROWS_TO_PART = 100_000
_MOST_PARTS = 4

Connect = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Selection:
    """Which rows; bounds are inclusive microseconds, None is all; ``newest`` keeps the last n of one instrument."""

    start_us: int | None = None
    end_us: int | None = None
    instruments: tuple[str, ...] | None = None
    segments: tuple[int, ...] | None = None
    newest: int | None = None


def fetch_panel(connect: Connect, table: MarketTable, columns: Sequence[str], selection: Selection) -> Panel:
    """Read a panel over ADBC connections that ``connect`` opens, all of it as of one moment.

    Instruments travel as 64-bit hashes, made by the server, instead of as text; the rows come in the table's order and
    are put in theirs afterwards. A large table is read in parts, each over a connection of its own.
    """
    stored = [name for name in columns if name not in table.joined]
    joined = [name for name in columns if name in table.joined]
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(_ONE_MOMENT)
        _choose(cursor, selection)
        instruments, seed = _fetch_instruments(cursor, table, selection)
        count = _count(cursor, table, selection)
        rows = _Rows(len(columns), count, instruments, ordinals=not table.has_key)
        query = rows_query(table, stored, selection, seed)
        parts = _parts(table, selection, count)
        _fetch_rows(connect, cursor, selection, [query + part for part in parts], rows)
        panel = rows.panel((*stored, *joined))
        joins = [table.joined[name] for name in joined]
        values = values_as_of(cursor, joins, panel, chosen=selection.instruments is not None)
        for place, column in enumerate(values, start=len(stored)):
            panel.values[place] = column
        if table.market.exchanges is not None:
            panel = panel.with_exchanges(_attributes(cursor, table.market.exchanges))
    return _in_order(panel, tuple(columns))


def _choose(cursor: Any, selection: Selection) -> None:
    """Hand the instruments to the transaction as a value; the queries read them there."""
    cursor.execute("SELECT set_config('kurswerk.instruments', $1, true)", (array_text(selection.instruments or ()),))


def _fetch_rows(
    connect: Connect, cursor: Any, selection: Selection, queries: Sequence[sql.Composed], rows: "_Rows"
) -> None:
    """Run all queries at once, as of the moment of ``cursor``'s transaction; the first one on ``cursor`` itself."""
    if len(queries) == 1:
        _read(cursor, queries[0], rows)
        return
    cursor.execute("SELECT pg_export_snapshot()")
    snapshot = cursor.fetchone()[0]

    def read_there(query: sql.Composed) -> None:
        with connect() as connection, connection.cursor() as other:
            other.execute(_ONE_MOMENT)
            other.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)).as_string())
            _choose(other, selection)
            _read(other, query, rows)

    with ThreadPoolExecutor(len(queries) - 1, thread_name_prefix="kurswerk-load") as pool:
        others = [pool.submit(read_there, query) for query in queries[1:]]
        _read(cursor, queries[0], rows)
        for other in others:
            other.result()


def _read(cursor: Any, query: sql.Composed, rows: "_Rows") -> None:
    cursor.execute(query.as_string())
    for batch in cursor.fetch_record_batch():
        rows.take(batch)


def _count(cursor: Any, table: MarketTable, selection: Selection) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table.name, condition(table, selection))
    cursor.execute(query.as_string())
    return int(cursor.fetchone()[0])


def _parts(table: MarketTable, selection: Selection, count: int) -> list[sql.Composable]:
    """Return conditions that part the table by blocks, in as many parts as there are processors, four at most."""
    parts = min(_MOST_PARTS, os.cpu_count() or 1)
    if count < _LEAST_ROWS_TO_PART or not table.pages or parts == 1 or selection.newest is not None:
        return [sql.SQL("")]
    bounds = [table.pages * k // parts for k in range(1, parts)]
    before = [sql.SQL(" AND ctid < {}::tid").format(sql.Literal(f"({bound},0)")) for bound in bounds]
    behind = [sql.SQL(" AND ctid >= {}::tid").format(sql.Literal(f"({bound},0)")) for bound in bounds]
    # The last part has no end: blocks may have come since the table was looked at.
    return [low + high for low, high in zip([sql.SQL(""), *behind], [*before, sql.SQL("")], strict=True)]


def array_text(values: Iterable[str]) -> str:
    r"""Write an array as PostgreSQL reads it; text with NUL, which no table can hold, is left out.

    Examples
    --------
    >>> print(array_text(['a', 'b"c']))
    {"a","b\"c"}
    """
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values if "\0" not in value)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def rows_query(table: MarketTable, columns: Sequence[str], selection: Selection, seed: int) -> sql.Composed:
    """Return the query of hash, timestamp and values (and an ordinal where keys may stand twice)."""
    fields = [
        sql.SQL("hashtextextended({}::text, {})").format(table.key, sql.Literal(seed)),
        table.moment(),
        *(_as_number(table, name) for name in columns),
    ]
    if not table.has_key:
        fields.append(sql.SQL("id::bigint" if table.has_ids else "0::bigint"))
    newest = selection.newest is not None
    # Of one instrument: rows with one moment are rows with one key.
    distinct = newest and not table.has_key
    head = sql.SQL("DISTINCT ON ({}) ").format(table.timestamp) if distinct else sql.SQL("")
    query = sql.SQL("SELECT {}{} FROM {} WHERE {}").format(
        head, sql.SQL(", ").join(fields), table.name, condition(table, selection)
    )
    if newest:
        last = sql.SQL("id DESC") if table.has_ids else table.timestamp
        query += sql.SQL(" ORDER BY {} DESC, {} LIMIT {}").format(table.timestamp, last, sql.Literal(selection.newest))
    return query


def _as_number(table: MarketTable, name: str) -> sql.Composable:
    column = sql.Identifier(name)
    if table.columns[name].kind in _AS_THEY_ARE:
        return column
    return table.number(name, column)


def condition(table: MarketTable, selection: Selection) -> sql.Composable:
    """Return the condition of a selection; its instruments are read from the setting that `array_text` was put into."""
    parts = [table.present()]
    # Bounds are numbers that Python made text of, in the column's own type, so that its index is used.
    for operator, us in ((">=", selection.start_us), ("<=", selection.end_us)):
        if us is not None:
            bound = sql.SQL("(timestamptz 'epoch' + {} * interval '1 microsecond')").format(sql.Literal(int(us)))
            parts.append(sql.SQL("{} {} {}").format(table.timestamp, sql.SQL(operator), table.as_stored(bound)))
    if selection.instruments is not None:
        parts.append(sql.SQL("{} = ANY (current_setting('kurswerk.instruments')::text[])").format(table.key))
    if selection.segments is not None and table.market.segment is not None:
        numbers: list[sql.Composable] = [sql.Literal(int(number)) for number in selection.segments]
        column = sql.Identifier(table.market.segment.column)
        parts.append(sql.SQL("{} IN ({})").format(column, sql.SQL(", ").join(numbers or [sql.NULL])))
    return sql.SQL(" AND ").join(parts)


@dataclass(frozen=True)
class _Instruments:
    """Names ascending; ``hashes`` ascending and ``codes`` their places in ``names``."""

    names: tuple[str, ...]
    hashes: Int
    codes: Int


def _fetch_instruments(cursor: Any, table: MarketTable, selection: Selection) -> tuple[_Instruments, int]:
    source = (
        sql.SQL(
            "SELECT DISTINCT instrument FROM"
            " unnest(current_setting('kurswerk.instruments')::text[]) AS asked(instrument)"
        )
        if selection.instruments is not None
        else table.distinct_instruments()
    )
    seed = 0
    while True:
        query = sql.SQL("SELECT instrument, hashtextextended(instrument, {}) FROM ({}) asked").format(
            sql.Literal(seed), source
        )
        cursor.execute(query.as_string())
        found = cursor.fetch_arrow_table()
        names = np.array(found.column(0).to_pylist(), dtype=object)
        hashes = found.column(1).to_numpy().astype(np.int64)
        if len(np.unique(hashes)) == len(hashes):
            break
        seed += 1
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.argsort(names)] = np.arange(len(names))
    order = np.argsort(hashes)
    return _Instruments(tuple(sorted(names)), hashes[order], rank[order]), seed


class _Rows:
    """Rows as they come, from several threads, in arrays made for all of them."""

    def __init__(self, n_columns: int, n_rows: int, instruments: _Instruments, *, ordinals: bool) -> None:
        self._instruments = instruments
        self._lock = threading.Lock()
        self._n = 0
        self._values = np.empty((n_columns, n_rows), dtype=np.float64)
        self._codes = np.empty(n_rows, dtype=np.int32)
        self._times = np.empty(n_rows, dtype=np.int64)
        self._ordinals = np.empty(n_rows if ordinals else 0, dtype=np.int64)

    def take(self, batch: pa.RecordBatch) -> None:
        """Append a batch of hash, timestamp, values…[, ordinal]."""
        with self._lock:
            rows = slice(self._n, self._n + batch.num_rows)
            self._n = rows.stop
        encode(batch.column(0).to_numpy(), self._instruments.hashes, self._instruments.codes, self._codes[rows])
        self._times[rows] = batch.column(1).view(pa.int64()).to_numpy()
        has_ordinal = len(self._ordinals) > 0
        if has_ordinal:
            self._ordinals[rows] = batch.column(batch.num_columns - 1).to_numpy()
        for j in range(2, batch.num_columns - has_ordinal):
            self._values[j - 2, rows] = _numbers(batch.column(j))

    def panel(self, columns: tuple[str, ...]) -> Panel:
        """Put the rows in order; of rows with the same key the one with the highest ordinal stays."""
        codes, times, names = self._codes[: self._n], self._times[: self._n], self._instruments.names
        if len(self._ordinals):
            order = np.lexsort((self._ordinals[: self._n], times, codes))
            last = np.ones(len(order), dtype=np.bool_)
            last[:-1] = (np.diff(codes[order]) != 0) | (np.diff(times[order]) != 0)
            order = order[last]
        else:
            order = arrange(codes, times, len(names))
        counts = np.bincount(codes[order], minlength=len(names))
        present = np.flatnonzero(counts)
        offsets = np.concatenate(([0], np.cumsum(counts[present]))).astype(np.int64)
        return Panel(tuple(names[k] for k in present), offsets, times[order], columns, self._ordered_values(order))

    def _ordered_values(self, order: Int) -> Float:
        """Sort every column within the memory it lies in: column j ends before the unsorted column j + 1 begins."""
        n = len(order)
        flat = self._values.reshape(-1)
        for j in range(len(self._values)):
            unsorted = self._values[j, : self._n].copy()
            np.take(unsorted, order, out=flat[j * n : (j + 1) * n], mode="clip")  # "raise" would copy once more
        return flat[: len(self._values) * n].reshape(len(self._values), n)


def _numbers(column: "pa.Array[Any]") -> NDArray[Any]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)  # NULL becomes NaN
    return values


@kernel
def encode(hashes: Int, known: Int, codes: Int, out: NDArray[np.int32]) -> None:
    """Write the code of every hash; ``known`` is ascending and holds all of them."""
    place = 0
    for i in range(len(hashes)):
        if known[place] != hashes[i]:
            place = np.searchsorted(known, hashes[i])
        out[i] = codes[place]


def arrange(codes: NDArray[np.int32], times: Int, n_codes: int) -> Int:
    """Return the order of rows by (code, time): they are dealt out by instrument, and those out of order are sorted.

    Rows are mostly stored in the order of time, so that dealing out is all that is left to do.
    """
    starts = np.zeros(n_codes + 1, dtype=np.int64)
    starts[1:] = np.cumsum(np.bincount(codes, minlength=n_codes))
    order = np.empty(len(codes), dtype=np.int64)
    unsorted = np.zeros(n_codes, dtype=np.bool_)
    deal(codes, times, starts[:-1].copy(), order, unsorted)
    for k in np.flatnonzero(unsorted):
        rows = order[starts[k] : starts[k + 1]]
        order[starts[k] : starts[k + 1]] = rows[np.argsort(times[rows], kind="stable")]
    return order


@kernel
def deal(codes: NDArray[np.int32], times: Int, place: Int, order: Int, unsorted: NDArray[np.bool_]) -> None:
    """Write each row's number to the next place of its instrument, and mark those whose times go back."""
    last = np.full(len(place), -1, dtype=np.int64)
    for i in range(len(codes)):
        code = codes[i]
        if last[code] >= 0 and times[i] < times[last[code]]:
            unsorted[code] = True
        last[code] = i
        order[place[code]] = i
        place[code] += 1


def _attributes(cursor: Any, attribute: InstrumentAttribute) -> dict[str, str]:
    """Return an attribute of the instruments that have it."""
    query = sql.SQL("SELECT {key}::text, {column}::text FROM {table} WHERE {column} IS NOT NULL").format(
        key=sql.Identifier(attribute.key),
        column=sql.Identifier(attribute.column),
        table=sql.Identifier(attribute.table),
    )
    cursor.execute(query.as_string())
    found = cursor.fetch_arrow_table()
    return dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))


def _in_order(panel: Panel, columns: tuple[str, ...]) -> Panel:
    if panel.columns == columns:
        return panel
    rows = [panel.columns.index(name) for name in columns]
    return replace(panel, columns=columns, values=panel.values[rows])
