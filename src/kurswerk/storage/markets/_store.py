"""The rows of a market."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.core.errors import DataError, NoDataError, NotFoundError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.ingest.ports import UpsertCount
from kurswerk.market import AsOfTable, MarketSchema, Panel
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.series import SeriesOrigin, SourceConflict
from kurswerk.storage.markets._load import Selection, condition, fetch_panel
from kurswerk.storage.markets._sealed import mark_outsiders
from kurswerk.storage.markets._series import SeriesSink, add_actions, source_conflicts
from kurswerk.storage.markets._stated_values import KnownValue, StatedValueSink, describe_instruments, known_values
from kurswerk.storage.markets._table import MarketTable
from kurswerk.storage.markets._upsert import MarketWriter, sized
from kurswerk.storage.server import Database
from kurswerk.training.ports import Availability

# 160 MB, counted in about a tenth of a second.
_MOST_PAGES_TO_COUNT = 20_000


class PostgresMarketStore:
    """Reads and writes a market's table, Kurswerk's own or another program's as it is found.

    NUMERIC columns are read as float64, NULL as NaN; NaN is written as NULL. In a table without a unique key on
    (key, timestamp), of several rows with one key the one with the highest id counts.
    """

    def __init__(self, database: Database, market: MarketSchema) -> None:
        self._database, self._market = database, market

    def columns(self) -> tuple[str, ...]:
        """Return the columns that can be loaded, joined ones among them if their tables hold a value."""
        return self._table().panel_columns

    def load_panel(
        self,
        columns: Sequence[str],
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        mints: Iterable[str] | None = None,
        phases: Iterable[int] | None = None,
    ) -> Panel:
        """Read rows as of one moment of the database.

        Parameters
        ----------
        columns
            Names of `columns`; a joined one has the latest value known at each row, NaN before the first.
        start_us, end_us
            Period in microseconds UTC, both ends inclusive; None is unbounded.
        mints, phases
            Only these instruments, only rows in these segments; None is all.

        Returns
        -------
        Panel
            Float64 in the order of ``columns``; empty if nothing is there.

        Raises
        ------
        UnknownNameError
            For a column nobody knows.
        DataError
            For one that this database does not have.
        StorageError
            If the database refuses or cannot be reached.
        """
        selection = Selection(
            start_us,
            end_us,
            None if mints is None else tuple(dict.fromkeys(mints)),
            None if phases is None else tuple(phases),
        )
        return self._load(columns, selection)

    def mark_outsiders(self, panel: Panel) -> Panel:
        """Return a panel of this market with `Panel.outsiders`: rows that came when their moment was sealed."""
        with self._database.connection() as connection:
            return mark_outsiders(connection, self._market, panel)

    def latest_rows(self, mint: str, n: int, columns: Sequence[str] | None = None) -> Panel:
        """Return the last ``n`` rows of an instrument (fewer if it has no more).

        All columns if none are named, but those that are read only where they are named.

        Raises
        ------
        NotFoundError
            If there are no rows of this instrument.
        """
        names = columns
        if names is None:
            names = [name for name in self.columns() if name in self._market.usual_columns]
        panel = self._load(names, Selection(instruments=(mint,), newest=max(int(n), 0)))
        if n > 0 and not len(panel):
            raise NotFoundError("coin.no_rows_see_status", coin=mint)
        return panel

    def instruments(self) -> list[str]:
        """Return the names of all instruments, ascending."""
        with suppress(NoDataError), self._database.connection() as connection:
            query = MarketTable.find(connection, self._market).distinct_instruments()
            return sorted(row[0] for row in connection.execute(query))
        return []

    def availability(self) -> Availability:
        """Return first and last timestamp, and count rows and instruments."""
        row, coins = None, 0
        with suppress(NoDataError), self._database.connection() as connection:
            table = MarketTable.find(connection, self._market)
            query = sql.SQL("SELECT min({0}), max({0}), count(*) FROM {1} WHERE {2}")
            row = connection.execute(query.format(table.moment(), table.name, table.present())).fetchone()
            coins = len(connection.execute(table.distinct_instruments()).fetchall())
        first, last, rows = row or (None, None, 0)
        return Availability(first and to_us(first), last and to_us(last), rows, coins)

    def has_rows(
        self, *, start_us: int, end_us: int, mints: Sequence[str] | None = None, phases: Sequence[int] | None = None
    ) -> bool:
        """Return whether there is a row in a period, both ends inclusive, of these instruments and segments.

        Raises
        ------
        DataError
            If phases are asked for and the table has none.
        """
        selection = Selection(start_us, end_us, None, None if phases is None else tuple(phases))
        with self._database.connection() as connection:
            table = MarketTable.find(connection, self._market)
            table.require(self._segment_columns(phases))
            query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(table.name, _of(table, selection, mints))
            row = connection.execute(query, {"mints": _known_text(mints)}).fetchone()
        return bool(row and row[0])

    def estimated_rows(self, *, end_us: int, mints: Sequence[str] | None = None) -> int:
        """Return how many rows there are up to a moment: counted in a small table, else as the planner thinks."""
        with self._database.connection() as connection:
            table = MarketTable.find(connection, self._market)
            if 0 < table.pages <= _MOST_PAGES_TO_COUNT:
                where = _of(table, Selection(end_us=end_us), mints)
                query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table.name, where)
                row = connection.execute(query, {"mints": _known_text(mints)}).fetchone()
                return int(row[0]) if row else 0
            # Plain columns: of any expression the planner thinks that a third of the rows fulfil it.
            end = to_datetime(end_us)
            given = {"end": end.replace(tzinfo=None) if table.is_naive else end}
            only = sql.SQL("") if mints is None else sql.SQL(" AND {} = ANY (%(mints)s)").format(table.key)
            # Not the view of a market that has one: of its joins the planner expects too few rows.
            explain = sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {} WHERE {} <= %(end)s{}").format(
                sql.Identifier(self._market.table), table.timestamp, only
            )
            plan = connection.execute(explain, {**given, "mints": _known_text(mints)}).fetchone()
        return int(plan[0][0]["Plan"]["Plan Rows"]) if plan else 0

    def upsert(self, batches: Iterable[pa.RecordBatch]) -> UpsertCount:
        """Insert rows and update those whose (key, timestamp) is there with other values, in one transaction.

        Rows that are there as given are not written again. Of a market with several series of an instrument, see
        `SeriesSink`, they are of the source "unknown". If anything raises, in ``batches`` too, the table is as
        before. Columns that the batches do not have stay untouched.

        Parameters
        ----------
        batches
            Key (string), timestamp (microseconds UTC) and any of the market's columns (float64, int64, bool), one
            schema for all; NULL and NaN are stored as NULL.

        Raises
        ------
        DataError
            If the table lacks a column, or a value cannot be stored in it.
        ConstraintError, StorageError
            If the database refuses.
        """
        if self._market.series is not None:
            return SeriesSink(self._database, self._market, SeriesOrigin()).upsert(batches)
        with self._database.connection() as connection:
            table = MarketTable.find(connection, self._market, stored=True)
            writer: MarketWriter | None = None
            for batch in sized(batches):
                ordered = batch.select(
                    [*dict.fromkeys([self._market.key, self._market.timestamp, *batch.schema.names])]
                )
                writer = writer or MarketWriter(connection, table, ordered.schema.names[2:])
                writer.write(ordered)
            return writer.count if writer else UpsertCount()

    def series_sink(self, origin: SeriesOrigin, exchange: str | None = None) -> SeriesSink:
        """Return what writes bars of one source, where the market's table holds several series of an instrument."""
        return SeriesSink(self._database, self._market, origin, exchange)

    def series_sink_of(self, origin: SeriesOrigin) -> Callable[[str], SeriesSink]:
        """Return what opens, for an exchange, a sink for bars of one source."""
        return lambda exchange: self.series_sink(origin, exchange)

    def add_actions(self, actions: Sequence[CorporateAction]) -> int:
        """Store corporate actions that are not there yet, or are there with other values; return how many."""
        return add_actions(self._database, self._market, actions)

    def stated_values_sink(self, table: AsOfTable, source: str, members_column: str | None = None) -> StatedValueSink:
        """Return what writes values that one source states into one of the market's as-of tables."""
        return StatedValueSink(self._database, table, source, members_column)

    def describe_instruments(self, companies: Mapping[str, str]) -> None:
        """Keep the names of companies, and the newest sectors and industries, for people."""
        describe_instruments(self._database, self._market, companies)

    def known_values(self, instrument: str, moment_us: int, names: Collection[str] | None = None) -> list[KnownValue]:
        """Return the newest stated values of an instrument known at a moment, or some of them."""
        return known_values(self._database, self._market, instrument, moment_us, names)

    def source_conflicts(self, instruments: Collection[str] | None = None) -> list[SourceConflict]:
        """Return where other sources of instruments (None: of all) differ from the preferred one, bar by bar."""
        return source_conflicts(self._database, self._market, instruments)

    def spin_off_days(self) -> dict[str, NDArray[np.datetime64]]:
        """Return on which days instruments are known to have handed out a part of themselves."""
        if self._market.series is None:
            return {}
        query = sql.SQL("SELECT {key}, array_agg(DISTINCT \"date\") FROM {actions} WHERE kind = 'spin_off' GROUP BY 1")
        names = {"key": sql.Identifier(self._market.key), "actions": sql.Identifier(self._market.series.actions)}
        with self._database.connection() as connection:
            rows = connection.execute(query.format(**names)).fetchall()
        return {row[0]: np.array(row[1], dtype="datetime64[D]") for row in rows}

    def _table(self) -> MarketTable:
        with self._database.connection() as connection:
            return MarketTable.find(connection, self._market, values=True)

    def _load(self, columns: Sequence[str], selection: Selection) -> Panel:
        table = self._table()
        table.require(self._segment_columns(selection.segments))
        return fetch_panel(self._database.arrow_connection, table, table.require(columns), selection)

    def _segment_columns(self, segments: Sequence[int] | None) -> list[str]:
        """Return the column that a selection of segments needs."""
        if segments is None:
            return []
        if self._market.segment is None:
            raise DataError("market.no_segments", market=self._market.name)
        return [self._market.segment.column]


def _of(table: MarketTable, selection: Selection, mints: Sequence[str] | None) -> sql.Composable:
    """Return a condition for rows of a selection and, where some are named, of the instruments in ``mints``."""
    where = condition(table, selection)
    return where if mints is None else sql.SQL("{} AND {} = ANY (%(mints)s)").format(where, table.key)


def _known_text(mints: Sequence[str] | None) -> list[str]:
    """Return instruments without those that no table can hold."""
    return [mint for mint in mints or () if "\0" not in mint]
