"""Coins and their rows."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
from psycopg import sql

from kurswerk.core.errors import NotFoundError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.ingest.ports import UpsertCount
from kurswerk.market import KEY, TIMESTAMP, Panel
from kurswerk.storage._coin_copy import encode_rows
from kurswerk.storage._coin_load import Selection, condition, fetch_panel
from kurswerk.storage._coin_table import CoinTable
from kurswerk.storage._coin_upsert import CoinWriter, sized
from kurswerk.storage._database import Database
from kurswerk.training.ports import Availability

# 160 MB, counted in about a tenth of a second.
_MOST_PAGES_TO_COUNT = 20_000


class CoinMetricsStore:
    """Reads and writes ``coin_metrics``, Kurswerk's own or the collector's as it is found.

    NUMERIC columns are read as float64, NULL as NaN; NaN is written as NULL. In a table without a unique key on (mint,
    timestamp), of several rows with one key the one with the highest id counts.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def columns(self) -> tuple[str, ...]:
        """Return the columns that can be loaded, ``sol_price_usd`` among them if ``exchange_rates`` has prices."""
        return self._table().coin_columns

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
            Names of `columns`; ``sol_price_usd`` is the latest rate as of each row, NaN before the first.
        start_us, end_us
            Period in microseconds UTC, both ends inclusive; None is unbounded.
        mints, phases
            Only these coins, only rows in these phases; None is all.

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

    def latest_rows(self, mint: str, n: int, columns: Sequence[str] | None = None) -> Panel:
        """Return the last ``n`` rows of a coin (fewer if it has no more), all columns if none are named.

        Raises
        ------
        NotFoundError
            If there are no rows of this coin.
        """
        names = self.columns() if columns is None else columns
        panel = self._load(names, Selection(mints=(mint,), newest=max(int(n), 0)))
        if n > 0 and not len(panel):
            raise NotFoundError(f"there are no rows of coin '{mint}'; see what is there with 'kurswerk db status'")
        return panel

    def coins(self) -> list[str]:
        """Return the names of all coins, ascending."""
        with self._database.connection() as connection:
            query = CoinTable.find(connection).distinct_coins()
            return sorted(row[0] for row in connection.execute(query))

    def availability(self) -> Availability:
        """Return first and last timestamp, and count rows and coins."""
        with self._database.connection() as connection:
            table = CoinTable.find(connection)
            query = sql.SQL("SELECT min({0}), max({0}), count(*) FROM coin_metrics WHERE {1}")
            row = connection.execute(query.format(table.moment(), table.present())).fetchone()
            coins = len(connection.execute(table.distinct_coins()).fetchall())
        first, last, rows = row or (None, None, 0)
        return Availability(first and to_us(first), last and to_us(last), rows, coins)

    def has_rows(
        self, *, start_us: int, end_us: int, mints: Sequence[str] | None = None, phases: Sequence[int] | None = None
    ) -> bool:
        """Return whether there is a row in a period, both ends inclusive, of these coins and phases (None is all).

        Raises
        ------
        DataError
            If phases are asked for and the table has none.
        """
        selection = Selection(start_us, end_us, None, None if phases is None else tuple(phases))
        with self._database.connection() as connection:
            table = CoinTable.find(connection)
            table.require(["phase_id_at_time"] if phases is not None else [])
            query = sql.SQL("SELECT EXISTS (SELECT FROM coin_metrics WHERE {})").format(_of(table, selection, mints))
            row = connection.execute(query, {"mints": _known_text(mints)}).fetchone()
        return bool(row and row[0])

    def estimated_rows(self, *, end_us: int, mints: Sequence[str] | None = None) -> int:
        """Return how many rows there are up to a moment: counted in a small table, else as the planner thinks."""
        with self._database.connection() as connection:
            table = CoinTable.find(connection)
            if 0 < table.pages <= _MOST_PAGES_TO_COUNT:
                where = _of(table, Selection(end_us=end_us), mints)
                query = sql.SQL("SELECT count(*) FROM coin_metrics WHERE {}").format(where)
                row = connection.execute(query, {"mints": _known_text(mints)}).fetchone()
                return int(row[0]) if row else 0
            # Plain columns: of any expression the planner thinks that a third of the rows fulfil it.
            end = to_datetime(end_us)
            given = {"end": end if table.columns[TIMESTAMP].kind != "timestamp" else end.replace(tzinfo=None)}
            explain = sql.SQL('EXPLAIN (FORMAT JSON) SELECT FROM coin_metrics WHERE "timestamp" <= %(end)s{}').format(
                sql.SQL("" if mints is None else " AND mint = ANY (%(mints)s)")
            )
            plan = connection.execute(explain, {**given, "mints": _known_text(mints)}).fetchone()
        return int(plan[0][0]["Plan"]["Plan Rows"]) if plan else 0

    def upsert(self, batches: Iterable[pa.RecordBatch]) -> UpsertCount:
        """Insert rows and update those whose (mint, timestamp) is there with other values, in one transaction.

        Rows that are there as given are not written again. If anything raises, in ``batches`` too, the table is as
        before. Columns that the batches do not have stay untouched.

        Parameters
        ----------
        batches
            ``mint`` (string), ``timestamp`` (microseconds UTC) and any of the coin columns (float64, int64, bool), one
            schema for all; NULL and NaN are stored as NULL.

        Raises
        ------
        DataError
            If the table lacks a column, or a value cannot be stored in it.
        ConstraintError, StorageError
            If the database refuses.
        """
        with self._database.connection() as connection:
            table = CoinTable.find(connection)
            writer: CoinWriter | None = None
            for batch in sized(batches):
                ordered = batch.select([KEY, TIMESTAMP, *(n for n in batch.schema.names if n not in {KEY, TIMESTAMP})])
                writer = writer or CoinWriter(connection, table, ordered.schema.names[2:])
                writer.write(ordered, encode_rows(ordered, writer.kinds))
            return writer.count if writer else UpsertCount()

    def _table(self) -> CoinTable:
        with self._database.connection() as connection:
            return CoinTable.find(connection)

    def _load(self, columns: Sequence[str], selection: Selection) -> Panel:
        table = self._table()
        names = table.require([*columns, *(["phase_id_at_time"] if selection.phases is not None else [])])
        wanted = names if "phase_id_at_time" in columns or selection.phases is None else names[:-1]
        return fetch_panel(self._database.arrow_connection, table, wanted, selection)


def _of(table: CoinTable, selection: Selection, mints: Sequence[str] | None) -> sql.Composable:
    """Return a condition for rows of a selection and, where some are named, of the coins handed over as ``mints``."""
    where = condition(table, selection)
    return where if mints is None else sql.SQL("{} AND mint = ANY (%(mints)s)").format(where)


def _known_text(mints: Sequence[str] | None) -> list[str]:
    """Return coins without those that no table can hold."""
    return [mint for mint in mints or () if "\0" not in mint]
