"""``coin_metrics`` as it is found: ours, or the collector's with other types, more columns or fewer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from kurswerk.core.errors import DataError, StorageError, UnknownNameError
from kurswerk.market import COIN_COLUMNS, KEY, SOL_PRICE, TIMESTAMP
from kurswerk.storage._database import Connection

TABLE = sql.Identifier("coin_metrics")
TIMESTAMP_FIELD = '"timestamp"'
READABLE = "({0} >= '0001-01-02' AND {0} < '9999-12-31')"
# Numbers of any size; beyond these a cast to double precision is an error.
_WIDE = "numeric"
# Whether an index keeps (mint, timestamp) unique, and whether one begins with mint.
_UNIQUE_KEY = """
SELECT bool_or(indisunique), count(*) > 0 FROM (
    SELECT i.indisunique AND i.indimmediate AND i.indnkeyatts = 2 AND
           (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])) = ARRAY['mint', 'timestamp']
           AS indisunique
    FROM pg_index i JOIN pg_attribute first ON first.attrelid = i.indrelid AND first.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass('coin_metrics') AND i.indisvalid AND i.indpred IS NULL AND first.attname = 'mint'
) indexes"""


@dataclass(frozen=True)
class FoundColumn:
    """A column's type by its internal name (``float8``, ``numeric``) and as SQL writes it (``numeric(20,8)``)."""

    name: str
    kind: str
    declared: str
    nullable: bool


@dataclass(frozen=True)
class CoinTable:
    """The table's shape.

    Attributes
    ----------
    columns
        All columns by name.
    has_key
        (mint, timestamp) is unique, so that conflicts can be left to the server.
    has_mint_index
        Coins can be listed without reading all rows.
    pages
        Blocks of 8 KiB that the rows lie in; 0 for a view or a partitioned table, which has none of its own.
    has_rates
        ``exchange_rates`` holds at least one price.
    has_rate_ids
        Its rows have ids, which say which of several rates of one moment came last.
    """

    columns: Mapping[str, FoundColumn]
    has_key: bool
    has_mint_index: bool
    pages: int
    has_rates: bool
    has_rate_ids: bool

    @classmethod
    def find(cls, connection: Connection) -> "CoinTable":
        """Look at the table.

        Raises
        ------
        StorageError
            If there is none, or it has no (mint, timestamp).
        """
        rows = connection.execute(
            "SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull"
            " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE a.attrelid = to_regclass('coin_metrics') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ).fetchall()
        columns = {row[0]: FoundColumn(*row) for row in rows}
        if not columns:
            raise StorageError("there is no table coin_metrics in the database; run 'kurswerk db upgrade'")
        if lacking := [name for name in (KEY, TIMESTAMP) if name not in columns]:
            raise StorageError(f"coin_metrics lacks {' and '.join(lacking)}; found: {', '.join(columns)}")
        unique = connection.execute(_UNIQUE_KEY).fetchone() or (False, False)
        pages = connection.execute(
            "SELECT pg_relation_size(oid) / current_setting('block_size')::int FROM pg_class"
            " WHERE oid = to_regclass('coin_metrics') AND relkind = 'r'"
        ).fetchone()
        rates = _has_rates(connection)
        return cls(columns, bool(unique[0]), bool(unique[1]), pages[0] if pages else 0, rates, _has_ids(connection))

    @property
    def coin_columns(self) -> tuple[str, ...]:
        """Those of our columns that can be loaded, in our order."""
        ours = [name for name in COIN_COLUMNS if name in self.columns]
        return (*ours, SOL_PRICE) if self.has_rates else tuple(ours)

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
            if name not in COIN_COLUMNS and name != SOL_PRICE:
                raise UnknownNameError("column", name, [*COIN_COLUMNS, SOL_PRICE])
            if name not in self.coin_columns:
                where = "exchange_rates holds no" if name == SOL_PRICE else "coin_metrics has no column"
                raise DataError(f"{where} '{name}'; found: {', '.join(self.coin_columns)}")
        return tuple(dict.fromkeys(names))

    def present(self) -> sql.Composable:
        """Return a condition that leaves out rows without a key, which only foreign tables can hold.

        A moment outside of the years 1 to 9999 is none: most programs, Python among them, cannot read it.
        """
        parts = [
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(name))
            for name in (KEY, TIMESTAMP)
            if self.columns[name].nullable
        ]
        return sql.SQL(" AND ").join([*parts, sql.SQL(READABLE).format(sql.SQL(TIMESTAMP_FIELD))])

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

    def moment(self) -> sql.Composable:
        """Return the timestamp as timestamptz; one without zone is UTC."""
        naive = self.columns[TIMESTAMP].kind == "timestamp"
        return sql.SQL("(\"timestamp\" AT TIME ZONE 'UTC')" if naive else '"timestamp"')

    def distinct_coins(self) -> sql.SQL:
        """Return a query of all coins, by index where there is one."""
        if not self.has_mint_index:
            return sql.SQL("SELECT DISTINCT mint::text AS mint FROM coin_metrics WHERE mint IS NOT NULL")
        # One step down the index per coin, where DISTINCT would read every row.
        return sql.SQL(
            "SELECT mint::text AS mint FROM (WITH RECURSIVE coin AS ("
            "(SELECT mint FROM coin_metrics ORDER BY mint LIMIT 1) UNION ALL"
            " SELECT (SELECT t.mint FROM coin_metrics t WHERE t.mint > coin.mint ORDER BY t.mint LIMIT 1)"
            " FROM coin WHERE coin.mint IS NOT NULL) SELECT mint FROM coin) coins WHERE mint IS NOT NULL"
        )


def _has_rates(connection: Connection) -> bool:
    there = connection.execute(
        "SELECT count(*) = 2 FROM pg_attribute WHERE attrelid = to_regclass('exchange_rates')"
        " AND attname IN ('created_at', 'sol_price_usd') AND NOT attisdropped"
    ).fetchone()
    if there is None or not there[0]:
        return False
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM exchange_rates WHERE sol_price_usd IS NOT NULL AND created_at IS NOT NULL)"
    ).fetchone()
    return bool(row and row[0])


def _has_ids(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('exchange_rates') AND attname = 'id'"
        " AND NOT attisdropped)"
    ).fetchone()
    return bool(row and row[0])
