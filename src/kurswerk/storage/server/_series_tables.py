"""The tables of a market that keeps several series of each instrument, such as stocks.

Bars lie as their sources gave them, one partition per year; splits and dividends lie beside them, with the moment from
which on each was known. What is read is a view: the rows of preferred series, their prices multiplied by the splits
that were effective and known at the row. So a split changes no earlier row, and since batch and live read the same
view, both see the same bits.

The factors are kept as steps (from, until), written anew by trigger when actions or series change. Rows whose factor
changes by that, because an action came late, are reported to the feed as corrected.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple

from psycopg import sql

from kurswerk.market import CANDLE_ROLES, KEY_LENGTH, MarketSchema, Role
from kurswerk.storage.server._database import Connection
from kurswerk.storage.server._feed_trigger import FeedNames

_STORED = """
CREATE TABLE {table} (
    {key} varchar({length}) NOT NULL,
    {time} timestamptz NOT NULL,
    "interval" varchar(8) NOT NULL DEFAULT {interval},
    source varchar(64) NOT NULL DEFAULT 'unknown',
    {columns},
    "date" date NOT NULL GENERATED ALWAYS AS (({time} AT TIME ZONE 'UTC')::date) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ({key}, "interval", {time}, source)
) PARTITION BY RANGE ({time})"""
_INSTRUMENTS = """
CREATE TABLE {instruments} (
    {key} varchar({length}) PRIMARY KEY,
    name text,
    sector text,
    industry text,
    exchange varchar(16),
    currency varchar(3),
    first_day date,
    last_day date,
    is_active boolean NOT NULL DEFAULT true
)"""
# Prices of a raw series are those that were paid; others are already divided by the splits up to a day.
_SERIES = """
CREATE TABLE {series} (
    {key} varchar({length}) NOT NULL,
    "interval" varchar(8) NOT NULL,
    source varchar(64) NOT NULL,
    price_basis varchar(16) NOT NULL DEFAULT 'raw' CHECK (price_basis IN ('raw', 'split_adjusted')),
    adjusted_as_of date,
    is_preferred boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ({key}, "interval", source),
    CHECK ((price_basis = 'raw') = (adjusted_as_of IS NULL))
);
CREATE UNIQUE INDEX {one_preferred} ON {series} ({key}, "interval") WHERE is_preferred"""
# A later row of the same action is a correction of it, from the moment on at which that was known.
_ACTIONS = """
CREATE TABLE {actions} (
    {key} varchar({length}) NOT NULL,
    "date" date NOT NULL,
    kind varchar(10) NOT NULL CHECK (kind IN ('split', 'dividend', 'spin_off')),
    factor double precision NOT NULL CHECK (factor > 0 AND factor < 'infinity'),
    amount double precision CHECK (amount >= 0 AND amount < 'infinity'),
    known_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ({key}, "date", kind, known_at)
)"""
_FACTORS = """
CREATE TABLE {factors} (
    {key} varchar({length}) NOT NULL,
    "interval" varchar(8) NOT NULL,
    source varchar(64) NOT NULL,
    from_time timestamptz NOT NULL,
    until_time timestamptz NOT NULL,
    price_factor double precision NOT NULL,
    return_factor double precision NOT NULL,
    PRIMARY KEY ({key}, "interval", source, from_time)
)"""
# The one place where prices are adjusted.
_VIEW = """
CREATE VIEW {view} AS
SELECT b.{key}, b.{time}, {adjusted}, b."interval", b.source
FROM {table} b
JOIN {series} s ON s.{key} = b.{key} AND s."interval" = b."interval" AND s.source = b.source AND s.is_preferred
LEFT JOIN {factors} f ON f.{key} = b.{key} AND f."interval" = b."interval" AND f.source = b.source
    AND f.from_time <= b.{time} AND f.until_time > b.{time}
WHERE b."interval" = {interval}"""
_PRODUCT = (
    "CREATE OR REPLACE AGGREGATE {product} (double precision) (sfunc = float8mul, stype = float8, initcond = '1')"
)
# An action is effective on its day from midnight UTC, as the days of bars are.
_STEPS = """
CREATE OR REPLACE FUNCTION {steps}(changed text[]) RETURNS SETOF {factors} LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT SET timezone TO 'UTC' AS $$
    WITH moments AS (
        SELECT DISTINCT s.{key}, s."interval", s.source, coalesce(s.adjusted_as_of, '-infinity') AS since,
            greatest(a."date"::timestamptz, a.known_at) AS from_time
        FROM {series} s JOIN {actions} a ON a.{key} = s.{key}
        WHERE s.{key} = ANY (changed) AND (s.adjusted_as_of IS NULL OR a."date" > s.adjusted_as_of)
    )
    SELECT m.{key}, m."interval", m.source, m.from_time,
        lead(m.from_time, 1, 'infinity') OVER (PARTITION BY m.{key}, m."interval", m.source ORDER BY m.from_time),
        then_known.price_factor, then_known.return_factor
    FROM moments m CROSS JOIN LATERAL (
        SELECT {product}(one.factor ORDER BY one."date", one.kind) FILTER (WHERE one.kind = 'split') AS price_factor,
            {product}(one.factor ORDER BY one."date", one.kind) AS return_factor
        FROM (
            SELECT DISTINCT ON (a."date", a.kind) a."date", a.kind, a.factor FROM {actions} a
            WHERE a.{key} = m.{key} AND a."date" > m.since AND a."date"::timestamptz <= m.from_time
                AND a.known_at <= m.from_time
            ORDER BY a."date", a.kind, a.known_at DESC
        ) one
    ) then_known
$$"""
# Compares the steps that there are with those that follow now, and reports the rows between which they differ.
_REPORT = """
CREATE OR REPLACE FUNCTION {report}(changed text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET timezone TO 'UTC' AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted AND market = {market}) THEN RETURN; END IF;
    INSERT INTO {feed} (partition, bulk, kind, coin_id, "timestamp", created_at)
    SELECT (hashtext(b.{key}) & 63)::smallint, true, 1, b.{key}, b.{time}, clock_timestamp()
    FROM {view} b LEFT JOIN {steps}(changed) n ON n.{key} = b.{key} AND n."interval" = b."interval"
        AND n.source = b.source AND n.from_time <= b.{time} AND n.until_time > b.{time}
    LEFT JOIN {factors} o ON o.{key} = b.{key} AND o."interval" = b."interval" AND o.source = b.source
        AND o.from_time <= b.{time} AND o.until_time > b.{time}
    WHERE b.{key} = ANY (changed) AND (coalesce(n.price_factor, 1), coalesce(n.return_factor, 1))
        IS DISTINCT FROM (coalesce(o.price_factor, 1), coalesce(o.return_factor, 1));
    IF FOUND THEN PERFORM pg_notify({channel}, ''); END IF;
END $$"""
_REFRESH = """
CREATE OR REPLACE FUNCTION {refresh}(changed text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM {factors} WHERE {key} = ANY (changed);
    INSERT INTO {factors} SELECT * FROM {steps}(changed);
END $$"""
_ACTIONS_CHANGED = """
CREATE OR REPLACE FUNCTION {actions_changed}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM {report}(array_agg(DISTINCT {key}::text)) FROM changed_rows HAVING count(*) > 0;
    {then_refresh}
    RETURN NULL;
END $$"""
_THEN_REFRESH = "PERFORM {refresh}(array_agg(DISTINCT {key}::text)) FROM changed_rows HAVING count(*) > 0;"
# Whoever writes bars need not know of the tables beside them.
_BARS_INSERTED = """
CREATE OR REPLACE FUNCTION {bars_inserted}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO {series} ({key}, "interval", source, is_preferred)
    SELECT DISTINCT ON (n.{key}, n."interval", n.source) n.{key}, n."interval", n.source,
        n.source = min(n.source) OVER (PARTITION BY n.{key}, n."interval") AND NOT EXISTS (
            SELECT FROM {series} p WHERE p.{key} = n.{key} AND p."interval" = n."interval" AND p.is_preferred)
    FROM (SELECT DISTINCT {key}, "interval", source FROM new_rows) n
    WHERE NOT EXISTS (
        SELECT FROM {series} s WHERE s.{key} = n.{key} AND s."interval" = n."interval" AND s.source = n.source)
    ON CONFLICT DO NOTHING;
    INSERT INTO {instruments} AS i ({key}, first_day, last_day)
    SELECT {key}, min("date"), max("date") FROM new_rows GROUP BY {key} ORDER BY {key}
    ON CONFLICT ({key}) DO UPDATE
    SET first_day = least(i.first_day, excluded.first_day), last_day = greatest(i.last_day, excluded.last_day)
    WHERE i.first_day IS DISTINCT FROM least(i.first_day, excluded.first_day)
        OR i.last_day IS DISTINCT FROM greatest(i.last_day, excluded.last_day);
    RETURN NULL;
END $$"""
# Triggers of one event run in the order of their names: this one before the feed's, which asks for preferred series.
_BARS_TRIGGER = """
CREATE TRIGGER {bars_inserted} AFTER INSERT ON {table}
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {bars_inserted}()"""
_CHANGE_TRIGGER = """
CREATE TRIGGER {name} AFTER {event} ON {on}
REFERENCING {rows} TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION {actions_changed}()"""


def series_tables(market: MarketSchema) -> tuple[str, ...]:
    """Return the names of the tables and the view beside a market's own table; none for a market without series."""
    return astuple(market.series) if market.series else ()


def stored_creation(market: MarketSchema) -> Iterator[sql.Composed]:
    """Yield the statements that make a market's own table, the tables beside it, its view and their triggers.

    A market on demand shares all but the view with another one, whose triggers follow its own: their names come
    later in the alphabet, and only the last of them writes the factors anew.
    """
    names = _names(market)
    shared = (_STORED, _INSTRUMENTS, _SERIES, _ACTIONS, _FACTORS, _PRODUCT, _STEPS, _REFRESH)
    for statement in (*(() if market.on_demand else shared), _VIEW, _REPORT, _ACTIONS_CHANGED):
        yield sql.SQL(statement).format(**names)
    for on in ("actions", "series"):
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            name = sql.Identifier(f"kurswerk_{market.name}_{on}_{event.lower()}")
            yield sql.SQL(_CHANGE_TRIGGER).format(
                name=name,
                event=sql.SQL(event),
                rows=sql.SQL(rows),
                on=names[on],
                actions_changed=names["actions_changed"],
            )
    for statement in () if market.on_demand else (_BARS_INSERTED, _BARS_TRIGGER):
        yield sql.SQL(statement).format(**names)


def _names(market: MarketSchema) -> Mapping[str, sql.Composable]:
    if market.series is None:
        raise ValueError(market.name)
    tables = market.series
    shared = f"kurswerk_{tables.instruments}"
    fields = {"refresh": sql.Identifier(f"{shared}_refresh_factors"), "key": sql.Identifier(market.key)}
    return {
        **fields,
        "then_refresh": sql.SQL("" if market.on_demand else _THEN_REFRESH).format(**fields),
        "table": sql.Identifier(market.table),
        "view": sql.Identifier(tables.view),
        "instruments": sql.Identifier(tables.instruments),
        "series": sql.Identifier(tables.series),
        "actions": sql.Identifier(tables.actions),
        "factors": sql.Identifier(tables.factors),
        "one_preferred": sql.Identifier(f"{tables.series}_one_preferred"),
        "feed": sql.Identifier(market.feed.feed),
        "time": sql.Identifier(market.timestamp),
        "length": sql.Literal(KEY_LENGTH),
        "interval": sql.Literal(market.interval),
        "market": sql.Literal(market.name),
        "channel": sql.Literal(FeedNames.of(market.name).channel),
        "product": sql.Identifier(f"{shared}_product"),
        "steps": sql.Identifier(f"{shared}_factor_steps"),
        "report": sql.Identifier(f"kurswerk_{market.name}_report_factors"),
        "actions_changed": sql.Identifier(f"kurswerk_{market.name}_actions_changed"),
        "bars_inserted": sql.Identifier(f"{shared}_bars_inserted"),
        "columns": sql.SQL(", ").join(_stored_column(market, name) for name in market.columns),
        "adjusted": sql.SQL(", ").join(_adjusted_columns(market)),
    }


def _stored_column(market: MarketSchema, name: str) -> sql.Composed:
    column = market.columns[name]
    return sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(column.kind.value))


def _adjusted_columns(market: MarketSchema) -> Iterator[sql.Composed]:
    """Yield the view's columns: a split of two for one doubles prices and halves volumes."""
    operators = {market.roles[role]: "*" for role in CANDLE_ROLES} | {market.roles[Role.VOLUME]: "/"}
    for name in market.columns:
        column: sql.Composable = sql.Identifier("b", name)
        if name in operators:
            column = sql.SQL("{} {} coalesce(f.price_factor, 1)").format(column, sql.SQL(operators[name]))
        yield sql.SQL("{} AS {}").format(column, sql.Identifier(name))
    close = sql.Identifier("b", market.roles[Role.CLOSE])
    for name in market.derived:
        yield sql.SQL("{} * coalesce(f.return_factor, 1) AS {}").format(close, sql.Identifier(name))


def series_functions(connection: Connection) -> list[str]:
    """Return the functions that markets with series have left in a database, as SQL writes them."""
    rows = connection.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname ~"
        " '^kurswerk_.+_(product|factor_steps|refresh_factors|report_factors|actions_changed|bars_inserted)$'"
    )
    return [row[0] for row in rows]
