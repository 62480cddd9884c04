"""Rows into a market's table: straight where no key is there yet, by way of a staging table where one may be."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import psycopg
import pyarrow as pa
from psycopg import sql

from kurswerk.core.errors import DataError
from kurswerk.ingest.ports import UpsertCount
from kurswerk.market import Kind
from kurswerk.storage.binary_copy import HEADER, KEY_KINDS, TRAILER, WIDTHS, encode_rows
from kurswerk.storage.markets._table import SERIES_COLUMNS, MarketTable
from kurswerk.storage.server import Connection

_LEAST_ROWS = 1 << 15
_MOST_ROWS = 1 << 16
_STAGED_KINDS = {Kind.FLOAT: "float8", Kind.INT: "int8", Kind.BOOL: "bool"}
_STAGING = sql.Identifier("kurswerk_staging")

_OVERLAP = """
SELECT EXISTS (
    SELECT FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS given (instrument, first, last)
    CROSS JOIN LATERAL (
        SELECT FROM {table} t WHERE t.{key} = given.instrument{series}
        AND t.{time} >= timestamptz 'epoch' + (first - 1) * interval '1 microsecond'
        AND t.{time} <= timestamptz 'epoch' + (last + 1) * interval '1 microsecond' LIMIT 1) one)"""


class MarketWriter:
    """Writes batches of one schema in one transaction; counts what became of the rows.

    Parameters
    ----------
    connection
        Its transaction is left open.
    table
        The table as found.
    names
        Columns of the batches after key and timestamp.
    series
        What `SERIES_COLUMNS` are in all rows, where the table holds several series of an instrument.

    Raises
    ------
    DataError
        If the table lacks one of the columns.
    """

    def __init__(
        self, connection: Connection, table: MarketTable, names: Sequence[str], series: tuple[str, str] | None = None
    ) -> None:
        self._connection, self._table, self._names = connection, table, tuple(names)
        self._series = dict(zip(SERIES_COLUMNS, series or (), strict=False))
        lacking = [name for name in names if name not in table.columns or name not in table.market.columns]
        if lacking:
            raise DataError(
                "database.column_not_in_table", table=table.market.table, columns=lacking, found=table.panel_columns
            )
        found = [table.columns[name].kind for name in self._names]
        self._straight = (
            table.has_key
            and all(kind in WIDTHS for kind in found)
            and table.columns[table.market.key].kind in KEY_KINDS
            and table.columns[table.market.timestamp].kind == "timestamptz"
        )
        self._staged_kinds = [_STAGED_KINDS[table.market.columns[name].kind] for name in self._names]
        self._kinds = found if self._straight else self._staged_kinds
        self._fields = _listed([table.market.key, table.market.timestamp, *self._series, *self._names])
        self._staged_fields = _listed(["instrument", "moment", *self._names])
        self._staging_made = False
        self._inserted = self._updated = self._unchanged = 0

    @property
    def count(self) -> UpsertCount:
        """What became of the rows so far."""
        return UpsertCount(self._inserted, self._updated, self._unchanged)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch."""
        series = tuple(self._series.values())
        payload = encode_rows(batch, self._kinds, series)
        if self._straight and not self._may_overlap(batch) and self._copied_straight(batch, payload):
            return
        if series or self._kinds != self._staged_kinds:
            payload = encode_rows(batch, self._staged_kinds)
        self._merge(batch.num_rows, payload)

    def _may_overlap(self, batch: pa.RecordBatch) -> bool:
        moments = pa.table({"instrument": batch.column(0), "us": batch.column(1).view(pa.int64())})
        spans = moments.group_by("instrument").aggregate([("us", "min"), ("us", "max")])
        values = [spans.column(name).to_pylist() for name in ("instrument", "us_min", "us_max")]
        table = self._table
        series = sql.Composed(
            [
                sql.SQL(" AND t.{} = {}").format(sql.Identifier(name), sql.Literal(value))
                for name, value in self._series.items()
            ]
        )
        query = sql.SQL(_OVERLAP).format(table=table.name, key=table.key, time=table.timestamp, series=series)
        row = self._connection.execute(query, values).fetchone()
        return bool(row and row[0])

    def _copied_straight(self, batch: pa.RecordBatch, payload: memoryview) -> bool:
        try:
            with self._connection.transaction():
                self._copy(self._table.name, self._fields, payload)
        except psycopg.errors.UniqueViolation:  # a key stands twice in the batch, or somebody else was faster
            return False
        self._inserted += batch.num_rows
        return True

    def _copy(self, target: sql.Identifier, fields: sql.Composed, payload: memoryview) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, fields)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(HEADER)
            copy.write(payload)
            copy.write(TRAILER)

    def _merge(self, rows: int, payload: memoryview) -> None:
        self._ready_staging()
        self._copy(_STAGING, self._staged_fields, payload)
        execute = self._connection.execute
        # Of rows with one key in the batch the last counts; the others are repeats.
        execute(
            "DELETE FROM kurswerk_staging s USING (SELECT max(seq) AS seq, instrument, moment FROM kurswerk_staging"
            " GROUP BY instrument, moment HAVING count(*) > 1) twice"
            " WHERE s.instrument = twice.instrument AND s.moment = twice.moment AND s.seq < twice.seq"
        )
        updated = self._number(self._update_statement()) if self._names else 0
        inserted = self._number(self._insert_statement())
        self._updated += updated
        self._inserted += inserted
        self._unchanged += rows - updated - inserted

    def _ready_staging(self) -> None:
        if self._staging_made:
            self._connection.execute("TRUNCATE kurswerk_staging")
            return
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in zip(self._names, self._staged_kinds, strict=True)
        ]
        columns += [
            sql.SQL("{} text DEFAULT {}").format(sql.Identifier(name), sql.Literal(value))
            for name, value in self._series.items()
        ]
        self._connection.execute(
            sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(
                _STAGING,
                sql.SQL(", ").join(
                    [
                        sql.SQL("seq bigint GENERATED ALWAYS AS IDENTITY"),
                        sql.SQL("instrument text, moment timestamptz"),
                        *columns,
                    ]
                ),
            )
        )
        if self._table.has_key_index:
            # A staged batch is small beside the table: look its rows up, never read the whole table for it.
            for setting in ("enable_hashjoin", "enable_mergejoin"):
                self._connection.execute(sql.SQL("SET LOCAL {} = off").format(sql.Identifier(setting)))
        self._staging_made = True

    def _number(self, statement: sql.Composed) -> int:
        row = self._connection.execute(statement).fetchone()
        return int(row[0]) if row else 0

    def _cast(self, name: str) -> sql.Composable:
        """Return a staged value as the table's type."""
        found, kind = self._table.columns[name], self._table.market.columns[name].kind
        column = sql.SQL("s.{}").format(sql.Identifier(name))
        target = sql.SQL(found.declared)  # written by the server itself
        if kind is Kind.BOOL and found.kind != "bool":
            return sql.SQL("{}::int::{}").format(column, target)
        if kind is Kind.FLOAT and found.kind == "numeric":  # by text: the direct way keeps 15 digits only
            return sql.SQL("{}::text::{}").format(column, target)
        return sql.SQL("{}::{}").format(column, target)

    def _key_values(self) -> tuple[sql.Composable, sql.Composable]:
        """Return the staged key and timestamp as the table's types."""
        table = self._table
        key = sql.SQL("s.instrument::{}").format(sql.SQL(table.columns[table.market.key].declared))
        if table.is_naive:
            return key, table.as_stored(sql.SQL("s.moment"))
        return key, sql.SQL("s.moment::{}").format(sql.SQL(table.columns[table.market.timestamp].declared))

    def _same_key(self) -> sql.Composable:
        key, moment = self._key_values()
        # Compared with columns, not with constants: the server would think that few rows have these.
        series = [sql.SQL(" AND t.{0} = s.{0}").format(sql.Identifier(name)) for name in self._series]
        return sql.SQL("t.{} = {} AND t.{} = {}{}").format(
            self._table.key, key, self._table.timestamp, moment, sql.Composed(series)
        )

    def _changed(self, new: str) -> sql.Composable:
        def value(name: str) -> sql.Composable:
            return sql.SQL("excluded.{}").format(sql.Identifier(name)) if new == "excluded" else self._cast(name)

        left = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in self._names)
        right = sql.SQL(", ").join(value(name) for name in self._names)
        return sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(left, right)

    def _update_statement(self) -> sql.Composed:
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), self._cast(name)) for name in self._names
        )
        return sql.SQL(
            "WITH changed AS (UPDATE {} t SET {} FROM {} s WHERE {} AND {} RETURNING s.seq)"
            " SELECT count(DISTINCT seq) FROM changed"
        ).format(self._table.name, assignments, _STAGING, self._same_key(), self._changed("staged"))

    def _insert_statement(self) -> sql.Composed:
        series = [sql.Identifier("s", name) for name in self._series]
        values = [*self._key_values(), *series, *(self._cast(name) for name in self._names)]
        table = self._table.name
        conflict: sql.Composable = sql.SQL("")
        if self._table.has_key:
            conflict = self._on_conflict()
        return sql.SQL(
            "WITH added AS (INSERT INTO {} AS t ({}) SELECT {} FROM {} s"
            " WHERE NOT EXISTS (SELECT FROM {} t WHERE {}) ORDER BY s.seq {} RETURNING 1) SELECT count(*) FROM added"
        ).format(table, self._fields, sql.SQL(", ").join(values), _STAGING, table, self._same_key(), conflict)

    def _on_conflict(self) -> sql.Composable:
        """Return what happens to a row that another session committed after we looked."""
        market = self._table.market
        target = sql.SQL("ON CONFLICT ({})").format(_listed([market.key, market.timestamp, *self._series]))
        if not self._names:
            return sql.SQL("{} DO NOTHING").format(target)
        assignments = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in self._names
        )
        return sql.SQL("{} DO UPDATE SET {} WHERE {}").format(target, assignments, self._changed("excluded"))


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def sized(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut and join batches to sizes that are worth a COPY; all must have one schema.

    Raises
    ------
    DataError
        If a batch has another schema than the first.
    """
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if waiting and batch.schema != waiting[0].schema:
            raise DataError("database.batches_differ", columns=batch.schema.names, before=waiting[0].schema.names)
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _LEAST_ROWS:
            yield from _joined(waiting)
            waiting, rows = [], 0
    if rows:
        yield from _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_batches(batches).combine_chunks()
    return chain.from_iterable(
        table.slice(start, _MOST_ROWS).combine_chunks().to_batches() for start in range(0, table.num_rows, _MOST_ROWS)
    )
