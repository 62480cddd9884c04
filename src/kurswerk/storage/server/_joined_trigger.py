"""The triggers that note changes of joined values for the markets whose rows they belong to.

One statement leads to one change for each market with an active model and each partition, from the earliest moment that
it touched up to the next value that it left alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from kurswerk.market import MARKETS, MarketSchema

_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET timezone TO 'UTC' AS $$
DECLARE first timestamptz; last timestamptz;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT min(e.{time}), max(e.{time}) INTO first, last FROM new_rows e WHERE {complete};
    ELSIF TG_OP = 'DELETE' THEN
        SELECT min(e.{time}), max(e.{time}) INTO first, last FROM old_rows e WHERE {complete};
    ELSE
        SELECT min(e.{time}), max(e.{time}) INTO first, last FROM (
            (SELECT {fields} FROM new_rows EXCEPT SELECT {fields} FROM old_rows)
            UNION ALL (SELECT {fields} FROM old_rows EXCEPT SELECT {fields} FROM new_rows)
        ) e WHERE {complete};
    END IF;
    IF first IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO joined_changes (market, source, partition, from_time, until_time)
    SELECT m.name, {source}, partition, first,
        (SELECT min(e.{time}) FROM {table} e WHERE e.{time} > last AND {complete})
    FROM unnest({markets}::text[]) AS m(name), generate_series(0, 63) AS partition
    WHERE EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted AND market = m.name);
    RETURN NULL;
END $$"""
# Values of single instruments: a change concerns the partitions of theirs, from the earliest moment on. Where each
# value ends would have to be kept for each instrument; the whole future is named instead.
_KEYED_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET timezone TO 'UTC' AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN {inserted}; ELSIF TG_OP = 'DELETE' THEN {deleted}; ELSE {updated}; END IF;
    RETURN NULL;
END $$"""
_KEYED_NOTE = """
        INSERT INTO joined_changes (market, source, partition, from_time, until_time)
        SELECT m.name, {source}, c.partition, c.first, NULL FROM (
            SELECT (hashtext({key}::text) & 63)::smallint AS partition, min(e.{time}) AS first
            FROM {changed} e WHERE {complete} GROUP BY 1
        ) c CROSS JOIN unnest({markets}::text[]) AS m(name)
        WHERE EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted AND market = m.name)"""
_CHANGED = {
    "inserted": "new_rows",
    "deleted": "old_rows",
    "updated": "((SELECT {fields} FROM new_rows EXCEPT SELECT {fields} FROM old_rows)"
    " UNION ALL (SELECT {fields} FROM old_rows EXCEPT SELECT {fields} FROM new_rows))",
}
_TRIGGERS = {
    "inserted": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows",
    "updated": "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "deleted": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows",
}


@dataclass(frozen=True)
class JoinedSource:
    """A table that markets join values from: the values' columns, and that of the moment from which they are known.

    ``key`` is the column that names the instrument, None where values hold for all of them.
    """

    table: str
    time: str
    values: tuple[str, ...]
    markets: tuple[str, ...]
    key: str | None = None

    def complete(self, alias: str) -> sql.Composable:
        """Return a condition for rows that hold a value and its moment, one of the years 1 to 9999."""
        moment = sql.SQL("{0} >= '0001-01-02' AND {0} < '9999-12-31'").format(sql.Identifier(alias, self.time))
        filled = [sql.SQL("{} IS NOT NULL").format(sql.Identifier(alias, value)) for value in self.values]
        held = filled[0] if len(filled) == 1 else sql.SQL("({})").format(sql.SQL(" OR ").join(filled))
        return sql.SQL(" AND ").join([moment, held])


def joined_sources(markets: Iterable[MarketSchema]) -> list[JoinedSource]:
    """Return the tables that markets join values from, each once."""
    values: dict[tuple[str, str, str | None], dict[str, None]] = {}
    users: dict[tuple[str, str, str | None], dict[str, None]] = {}
    for market in markets:
        for column in market.joined.values():
            place = (column.table, column.known_at, column.key)
            values.setdefault(place, {})[column.value] = None
            users.setdefault(place, {})[market.name] = None
    return [
        JoinedSource(table, time, tuple(found), tuple(users[table, time, key]), key)
        for (table, time, key), found in values.items()
    ]


def joined_trigger_name(table: str, event: str) -> str:
    """Return the name of a trigger on a joined table.

    Examples
    --------
    >>> joined_trigger_name("exchange_rates", "inserted")
    'kurswerk_joined_exchange_rates_inserted'
    """
    return f"kurswerk_joined_{table}_{event}"


def joined_function(table: str) -> sql.Identifier:
    """Return the function that the triggers on a joined table call, quoted."""
    return sql.Identifier(f"kurswerk_joined_{table}")


def joined_trigger_creation(market: MarketSchema, tables: Iterable[str] | None = None) -> list[sql.Composed]:
    """Return the statements that put triggers on a market's joined tables, or some; again they change nothing."""
    statements: list[sql.Composed] = []
    wanted = None if tables is None else set(tables)
    mine = {source.table for source in joined_sources([market])}
    for source in joined_sources(MARKETS.values()):
        if source.table not in mine or (wanted is not None and source.table not in wanted):
            continue
        function = joined_function(source.table)
        statements.append(_function(source, function))
        statements += _drop(source)
        for event, declaration in _TRIGGERS.items():
            statements.append(
                sql.SQL("CREATE TRIGGER {} " + declaration + " FOR EACH STATEMENT EXECUTE FUNCTION {}()").format(
                    sql.Identifier(joined_trigger_name(source.table, event)),
                    function,
                    table=sql.Identifier(source.table),
                )
            )
    return statements


def joined_trigger_removal(market: MarketSchema) -> list[sql.Composed]:
    """Return the statements that take the triggers off a market's joined tables, those that are there."""
    return [
        statement
        for source in joined_sources([market])
        for statement in (
            *_drop(source),
            sql.SQL("DROP FUNCTION IF EXISTS {}()").format(joined_function(source.table)),
        )
    ]


def _function(source: JoinedSource, function: sql.Identifier) -> sql.Composed:
    keyed = [] if source.key is None else [source.key]
    names: dict[str, sql.Composable] = {
        "source": sql.Literal(source.table),
        "table": sql.Identifier(source.table),
        "time": sql.Identifier(source.time),
        "complete": source.complete("e"),
        "fields": sql.SQL(", ").join(map(sql.Identifier, (*keyed, source.time, *source.values))),
        "markets": sql.Literal(list(source.markets)),
    }
    if not keyed:
        return sql.SQL(_FUNCTION).format(function=function, **names)
    key = sql.Identifier("e", *keyed)
    notes = {
        event: sql.SQL(_KEYED_NOTE).format(key=key, changed=sql.SQL(changed).format(**names), **names)
        for event, changed in _CHANGED.items()
    }
    return sql.SQL(_KEYED_FUNCTION).format(function=function, **notes)


def _drop(source: JoinedSource) -> list[sql.Composed]:
    return [
        sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(
            sql.Identifier(joined_trigger_name(source.table, event)), sql.Identifier(source.table)
        )
        for event in _TRIGGERS
    ]
