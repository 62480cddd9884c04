"""A market's table as it is found: ours, or the collector's with other types, more columns or fewer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from psycopg import sql

from kurswerk.core.errors import DataError, NoDataError, StorageError, UnknownNameError
from kurswerk.market import JoinedColumn, MarketSchema
from kurswerk.storage.server import Connection

_READABLE = "({0} >= '0001-01-02' AND {0} < '9999-12-31')"
# Numbers of any size; beyond these a cast to double precision is an error.
_WIDE = "numeric"
# Whether an index keeps the columns of a key unique, and whether one begins with the key.
_UNIQUE_KEY = """
SELECT bool_or(indisunique), count(*) > 0 FROM (
    SELECT i.indisunique AND i.indimmediate AND i.indnkeyatts = cardinality(%(unique)s::text[]) AND
           (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[]))
           = (SELECT array_agg(name ORDER BY name) FROM unnest(%(unique)s::text[]) AS name)
           AS indisunique
    FROM pg_index i JOIN pg_attribute first ON first.attrelid = i.indrelid AND first.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(%(table)s) AND i.indisvalid AND i.indpred IS NULL AND first.attname = %(key)s
) indexes"""
_COLUMNS = """
SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attnum
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(%(relation)s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_PAGES = """
SELECT pg_relation_size(oid) / current_setting('block_size')::int FROM pg_class
WHERE oid = to_regclass(%(relation)s) AND relkind = 'r'"""
# Columns that distinguish the series of an instrument.
SERIES_COLUMNS = ("interval", "source")


@dataclass(frozen=True)
class FoundColumn:
    """A column's type by its internal name (``float8``, ``numeric``) and as SQL writes it (``numeric(20,8)``).

    ``number`` is the server's own; a column that was dropped and added again has another.
    """

    name: str
    kind: str
    declared: str
    nullable: bool
    number: int

    @property
    def version(self) -> str:
        """Differs when the column was added again or has another type."""
        return f"{self.number} {self.declared}"


@dataclass(frozen=True)
class FoundJoin:
    """A joined column whose table is there; with ids the highest is that of the last of several rows of one time."""

    column: JoinedColumn
    has_ids: bool
    has_values: bool
    version: str


@dataclass(frozen=True)
class MarketTable:
    """The shape of a market's table, or of the view that its rows are read from.

    Attributes
    ----------
    market
        The market's schema.
    relation
        Name of the table or view.
    columns
        All columns by name.
    has_key
        (key, timestamp) is unique, so that conflicts can be left to the server.
    has_key_index
        Instruments can be listed without reading all rows.
    pages
        Blocks of 8 KiB that the rows lie in; 0 for a view or a partitioned table, which has none of its own.
    joined
        Those of the market's joined columns whose tables are there.
    """

    market: MarketSchema
    relation: str
    columns: Mapping[str, FoundColumn]
    has_key: bool
    has_key_index: bool
    pages: int
    joined: Mapping[str, FoundJoin]

    @classmethod
    def find(
        cls, connection: Connection, market: MarketSchema, *, stored: bool = False, values: bool = False
    ) -> "MarketTable":
        """Look at what rows are read from.

        Parameters
        ----------
        stored
            Look at the table that rows are written into.
        values
            Find out which joined columns hold a value; otherwise `panel_columns` has none of them. To learn that a
            large table holds none takes a look at all of it.

        Raises
        ------
        NoDataError
            If it is made when the first rows are stored, and none were.
        StorageError
            If there is none, or it lacks key or timestamp.
        """
        unique = [market.key, market.timestamp, *(SERIES_COLUMNS if market.series else ())]
        relation = market.table if stored else market.relation
        names = {"table": market.table, "relation": relation, "key": market.key, "unique": unique}
        columns = {row[0]: FoundColumn(*row) for row in connection.execute(_COLUMNS, names).fetchall()}
        if not columns and market.on_demand:
            raise NoDataError("market.no_rows_stored", market=market.name)
        if not columns:
            raise StorageError("database.no_market_table", table=relation)
        if lacking := [name for name in (market.key, market.timestamp) if name not in columns]:
            raise StorageError("database.market_table_incomplete", table=relation, columns=lacking, found=columns)
        # An index of the table serves the view too, whose rows are those of one series of each instrument.
        indexed = connection.execute(_UNIQUE_KEY, names).fetchone() or (False, False)
        pages = connection.execute(_PAGES, names).fetchone()
        return cls(
            market,
            relation,
            columns,
            bool(indexed[0]),
            bool(indexed[1]),
            pages[0] if pages else 0,
            _joins(connection, market, values=values),
        )

    @property
    def name(self) -> sql.Identifier:
        """The table or view, quoted."""
        return sql.Identifier(self.relation)

    @property
    def key(self) -> sql.Identifier:
        """The column of the instrument, quoted."""
        return sql.Identifier(self.market.key)

    @property
    def timestamp(self) -> sql.Identifier:
        """The column of the row's time, quoted."""
        return sql.Identifier(self.market.timestamp)

    @property
    def has_ids(self) -> bool:
        """Whether rows have an ``id``, of which the highest of one key counts."""
        return "id" in self.columns

    @property
    def is_naive(self) -> bool:
        """Whether times are stored without a zone; they are UTC."""
        return self.columns[self.market.timestamp].kind == "timestamp"

    @property
    def panel_columns(self) -> tuple[str, ...]:
        """Those of the market's columns that can be loaded, in its order; joined ones where there is a value."""
        filled = {name for name, join in self.joined.items() if join.has_values}
        return tuple(name for name in self.market.panel_columns if name in self.columns or name in filled)

    @cached_property
    def versions(self) -> dict[str, str]:
        """The market's columns that can be read now, joined ones of an empty table too, and the version of each."""
        names = (*self.market.columns, *self.market.derived)
        own = {name: self.columns[name].version for name in names if name in self.columns}
        return own | {name: join.version for name, join in self.joined.items()}

    @property
    def joined_tables(self) -> tuple[str, ...]:
        """The tables of joined columns that are there."""
        return tuple(dict.fromkeys(join.column.table for join in self.joined.values()))

    def require(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names, each once, if the table has all of them.

        Raises
        ------
        UnknownNameError
            For a name that means nothing; with the nearest.
        DataError
            For a column that this database does not have.
        """
        for name in names:
            if name not in self.market.panel_columns:
                raise UnknownNameError("column.unknown", name=name, known=self.market.panel_columns)
            if name not in self.panel_columns:
                join = self.market.joined.get(name)
                code = "database.no_joined_value" if join else "database.no_such_column"
                table = join.table if join else self.market.table
                raise DataError(code, table=table, column=name, found=self.panel_columns)
        return tuple(dict.fromkeys(names))

    def present(self) -> sql.Composable:
        """Return a condition that leaves out rows without a key, which only foreign tables can hold.

        A time outside of the years 1 to 9999 is none: most programs, Python among them, cannot read it.
        """
        parts = [
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(name))
            for name in (self.market.key, self.market.timestamp)
            if self.columns[name].nullable
        ]
        return sql.SQL(" AND ").join([*parts, self.readable(self.timestamp)])

    @staticmethod
    def readable(field: sql.Composable) -> sql.Composed:
        """Return a condition that a time lies in the years 1 to 9999."""
        return sql.SQL(_READABLE).format(field)

    def number(self, name: str, field: sql.Composable) -> sql.Composable:
        """Return a column, written as ``field``, as a number that Arrow and the feed take for a float.

        A NUMERIC outside of what a double holds is NULL above and 0 below, not an error that stops all rows.
        """
        column = self.columns[name]
        if column.kind == "bool":
            return sql.SQL("{}::int::double precision").format(field)
        if column.declared != _WIDE:
            return sql.SQL("{}::double precision").format(field)
        return sql.SQL(
            "(CASE WHEN abs({0}) < 1e-307 THEN 0 WHEN abs({0}) < 1.7e308 THEN {0} END)::double precision"
        ).format(field)

    def moment(self, alias: str | None = None) -> sql.Composable:
        """Return the timestamp as timestamptz, of a table or of its alias; one without zone is UTC."""
        field = sql.Identifier(*([alias] if alias else []), self.market.timestamp)
        return sql.SQL("({} AT TIME ZONE 'UTC')").format(field) if self.is_naive else field

    def as_stored(self, moment: sql.Composable) -> sql.Composable:
        """Return a timestamptz as the table's own type, so that its index is used."""
        return sql.SQL("({} AT TIME ZONE 'UTC')").format(moment) if self.is_naive else moment

    def distinct_instruments(self) -> sql.Composed:
        """Return a query of all instruments, by index where there is one."""
        if self.market.series is not None:
            return sql.SQL(
                'SELECT {key}::text AS instrument FROM {series} WHERE is_preferred AND "interval" = {interval}'
            ).format(
                key=self.key,
                series=sql.Identifier(self.market.series.series),
                interval=sql.Literal(self.market.interval),
            )
        if not self.has_key_index:
            return sql.SQL("SELECT DISTINCT {key}::text AS instrument FROM {table} WHERE {key} IS NOT NULL").format(
                key=self.key, table=self.name
            )
        # One step down the index per instrument, where DISTINCT would read every row.
        return sql.SQL(
            "SELECT {key}::text AS instrument FROM (WITH RECURSIVE step AS ("
            "(SELECT {key} FROM {table} ORDER BY {key} LIMIT 1) UNION ALL"
            " SELECT (SELECT t.{key} FROM {table} t WHERE t.{key} > step.{key} ORDER BY t.{key} LIMIT 1)"
            " FROM step WHERE step.{key} IS NOT NULL) SELECT {key} FROM step) steps WHERE {key} IS NOT NULL"
        ).format(key=self.key, table=self.name)


def _joins(connection: Connection, market: MarketSchema, *, values: bool) -> dict[str, FoundJoin]:
    shapes: dict[str, dict[str, FoundColumn]] = {}
    there: dict[str, JoinedColumn] = {}
    for name, column in market.joined.items():
        if column.relation not in shapes:
            rows = connection.execute(_COLUMNS, {"relation": column.relation}).fetchall()
            shapes[column.relation] = {row[0]: FoundColumn(*row) for row in rows}
        if shapes[column.relation].keys() >= set(_needed(column)):
            there[name] = column
    filled = _filled(connection, there.values()) if values else set()
    found = {}
    for name, column in there.items():
        shape = shapes[column.relation]
        version = ", ".join(shape[one].version for one in _needed(column))
        found[name] = FoundJoin(column, "id" in shape, (column.table, column.value) in filled, version)
    return found


def _needed(column: JoinedColumn) -> list[str]:
    return [column.value, column.known_at, *([column.key] if column.key else [])]


def _filled(connection: Connection, columns: Iterable[JoinedColumn]) -> set[tuple[str, str]]:
    """Return which columns of which tables hold a value, by one query."""
    asked = {(column.table, column.value): column.known_at for column in columns}
    if not asked:
        return set()
    each = [
        sql.SQL("EXISTS (SELECT FROM {} WHERE {} IS NOT NULL AND {} IS NOT NULL)").format(
            sql.Identifier(table), sql.Identifier(value), sql.Identifier(known_at)
        )
        for (table, value), known_at in asked.items()
    ]
    row = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(each))).fetchone() or ()
    return {place for place, has_value in zip(asked, row, strict=True) if has_value}
