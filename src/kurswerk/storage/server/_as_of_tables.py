"""The tables of values that are stated of instruments from time to time, such as fundamentals, beside a market's own.

A view brings values per share into the share of the market's prices: a price that is read is multiplied by the splits
since, so that what was stated per share of its day is multiplied by the same factor. Prices of a series that is
adjusted up to a day are divided by the splits up to there; so is what was stated before that day.
"""

from collections.abc import Iterable, Iterator

from psycopg import sql

from kurswerk.market import KEY_LENGTH, AsOfTable, MarketSchema
from kurswerk.market.schema import SeriesTables

_TABLE = """
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    {key} varchar({length}) NOT NULL,
    as_of timestamptz NOT NULL,
    source varchar(64) NOT NULL,
    {columns},
    known_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON {table} ({key}, known_at DESC, id DESC);
CREATE INDEX ON {table} (source, as_of, {key})"""
_PER_SHARE = """
CREATE VIEW {view} AS
SELECT e.id, e.{key}, e.known_at, {columns}
FROM {table} e CROSS JOIN LATERAL (SELECT coalesce((
    SELECT CASE WHEN s.adjusted_as_of >= (e.as_of AT TIME ZONE 'UTC')::date THEN (
        SELECT 1.0 / {product}(a.factor ORDER BY a."date") FROM (
            SELECT DISTINCT ON (x."date") x."date", x.factor FROM {actions} x
            WHERE x.{key} = e.{key} AND x.kind = 'split' AND x."date" <= s.adjusted_as_of
                AND x."date"::timestamp AT TIME ZONE 'UTC' > e.as_of
            ORDER BY x."date", x.known_at DESC
        ) a
    ) ELSE (
        SELECT f.price_factor FROM {factors} f
        WHERE f.{key} = e.{key} AND f."interval" = s."interval" AND f.source = s.source
            AND f.from_time <= e.as_of AND f.until_time > e.as_of
    ) END
    FROM {series} s WHERE s.{key} = e.{key} AND s."interval" = {interval} AND s.is_preferred
), 1.0) AS factor) share"""


def as_of_relations(market: MarketSchema) -> list[str]:
    """Return the names of the tables and views of stated values of a market."""
    views = [table.per_share_view for table in market.as_of_tables if table.per_share_view]
    return [*(table.name for table in market.as_of_tables), *views]


def as_of_creation(market: MarketSchema, missing: Iterable[str]) -> Iterator[sql.Composed]:
    """Yield the statements that make those of these tables and views that are missing."""
    names = set(missing)
    for table in market.as_of_tables:
        if table.name in names:
            yield _table_creation(table)
        if table.per_share_view in names and market.series is not None:
            yield _view_creation(market, market.series, table)


def _table_creation(table: AsOfTable) -> sql.Composed:
    columns = []
    for name, value in table.values.items():
        column = sql.Identifier(name)
        least = sql.SQL("" if value.signed else " CHECK ({} >= 0)").format(column)
        columns.append(sql.SQL("{} {}{}").format(column, sql.SQL(value.stored), least))
    return sql.SQL(_TABLE).format(
        table=sql.Identifier(table.name),
        key=sql.Identifier(table.key),
        length=sql.Literal(KEY_LENGTH),
        columns=sql.SQL(", ").join(columns),
    )


def _view_creation(market: MarketSchema, tables: SeriesTables, table: AsOfTable) -> sql.Composed:
    shared = [name for name, value in table.values.items() if value.is_per_share]
    columns = [sql.SQL("e.{0} * share.factor AS {0}").format(sql.Identifier(name)) for name in shared]
    return sql.SQL(_PER_SHARE).format(
        view=sql.Identifier(table.per_share_view or ""),
        table=sql.Identifier(table.name),
        key=sql.Identifier(table.key),
        columns=sql.SQL(", ").join(columns),
        product=sql.Identifier(f"kurswerk_{tables.instruments}_product"),
        actions=sql.Identifier(tables.actions),
        factors=sql.Identifier(tables.factors),
        series=sql.Identifier(tables.series),
        interval=sql.Literal(market.interval),
    )
