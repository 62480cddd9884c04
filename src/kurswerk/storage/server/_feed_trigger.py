"""The triggers that report to a market's feed which rows of its table are new or corrected.

One statement leads to one INSERT into the feed and one notification, however many rows it has. While no model of the
market is active nothing is written, so that loading history costs nothing. The functions run with the rights of their
owner, because the program that writes rows need not know our tables; timestamps without zone are UTC.

A statement of more than 10,000 rows is a bulk insert of history: what others write meanwhile does not wait for it.
"""

from dataclasses import dataclass

from psycopg import sql

from kurswerk.market import DEFAULT_MARKET, MarketSchema

# A longer name has no place in the feed; times outside of these are ones that many a program cannot read.
_FED = "{key} IS NOT NULL AND length({key}::text) <= 255 AND {time} >= '0001-01-02' AND {time} < '9999-12-31'"
_HEAD = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET timezone TO 'UTC' AS $$
DECLARE large boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted AND market = {market}) THEN
        RETURN NULL;
    END IF;
    SELECT count(*) > 10000 INTO large FROM new_rows;
    INSERT INTO {feed} (partition, bulk, kind, coin_id, "timestamp", created_at)
    SELECT (hashtext({key}::text) & 63)::smallint, large, {kind}, {key}::text, {time}, clock_timestamp()
    FROM {rows} WHERE {fed};
    IF FOUND THEN PERFORM pg_notify({channel}, ''); END IF;
    RETURN NULL;
END $$"""
# A key that was not there before is a new row; one that is gone changes what came after it.
_CHANGED = """(
        SELECT n.{key}, n.{time}, CASE WHEN EXISTS (
            SELECT FROM {old} o WHERE o.{key} = n.{key} AND o.{time} = n.{time}
        ) THEN 1 ELSE 0 END AS kind FROM {new} n
        UNION ALL
        SELECT o.{key}, o.{time}, 1 FROM {old} o WHERE NOT EXISTS (
            SELECT FROM {new} n WHERE n.{key} = o.{key} AND n.{time} = o.{time}
        )
    ) changed"""
# Of a table that holds several series: the rows that the market's view shows.
_PREFERRED = """(
        SELECT r.* FROM {rows} r JOIN {series} s
        ON s.{key} = r.{key} AND s."interval" = r."interval" AND s.source = r.source AND s.is_preferred
        WHERE r."interval" = {interval}
    )"""
_INSERT_TRIGGER = (
    "CREATE TRIGGER {inserted} AFTER INSERT ON {table}"
    " REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {inserted}()"
)
_UPDATE_TRIGGER = (
    "CREATE TRIGGER {updated} AFTER UPDATE ON {table}"
    " REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION {updated}()"
)


@dataclass(frozen=True)
class FeedNames:
    """Names of what belongs to a market's feed beside its tables; functions and triggers are named alike."""

    channel: str
    inserted: str
    updated: str

    @classmethod
    def of(cls, market_name: str) -> "FeedNames":
        """Return the names of a market; coins came first and have them without the market's name.

        Examples
        --------
        >>> FeedNames.of("bars").channel
        'kurswerk_bars_feed'
        """
        channel = "kurswerk_feed" if market_name == DEFAULT_MARKET else f"kurswerk_{market_name}_feed"
        return cls(channel, f"{channel}_inserted", f"{channel}_updated")


def trigger_functions(market: MarketSchema) -> list[sql.Composed]:
    """Return the statements that write the triggers' functions anew."""
    names = FeedNames.of(market.name)
    fields = {"key": sql.Identifier(market.key), "time": sql.Identifier(market.timestamp)}
    new, old = _rows_of(market, "new_rows"), _rows_of(market, "old_rows")
    changed = sql.SQL(_CHANGED).format(new=new, old=old, **fields)
    inserted = sql.SQL("{} inserted").format(new) if market.series else new
    return [
        sql.SQL(_HEAD).format(
            function=sql.Identifier(function),
            market=sql.Literal(market.name),
            feed=sql.Identifier(market.feed.feed),
            channel=sql.Literal(names.channel),
            kind=kind,
            rows=rows,
            fed=sql.SQL(_FED).format(**fields),
            **fields,
        )
        for function, kind, rows in (
            (names.inserted, sql.SQL("0"), inserted),
            (names.updated, sql.SQL("kind"), changed),
        )
    ]


def _rows_of(market: MarketSchema, rows: str) -> sql.Composable:
    """Return those rows of a transition table that are the market's."""
    if market.series is None:
        return sql.SQL("{}").format(sql.SQL(rows))
    return sql.SQL(_PREFERRED).format(
        rows=sql.SQL(rows),
        series=sql.Identifier(market.series.series),
        key=sql.Identifier(market.key),
        interval=sql.Literal(market.interval),
    )


def trigger_creation(market: MarketSchema) -> list[sql.Composed]:
    """Return the statements that put the triggers on the market's table; a second time they change nothing."""
    names = FeedNames.of(market.name)
    fields = {
        "table": sql.Identifier(market.table),
        "inserted": sql.Identifier(names.inserted),
        "updated": sql.Identifier(names.updated),
    }
    creation = [sql.SQL(trigger).format(**fields) for trigger in (_INSERT_TRIGGER, _UPDATE_TRIGGER)]
    return [*trigger_functions(market), *_drop_triggers(market), *creation]


def trigger_removal(market: MarketSchema) -> list[sql.Composed]:
    """Return the statements that take the triggers away again."""
    names = FeedNames.of(market.name)
    functions = [
        sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier(name)) for name in (names.inserted, names.updated)
    ]
    return [*_drop_triggers(market), *functions]


def _drop_triggers(market: MarketSchema) -> list[sql.Composed]:
    names = FeedNames.of(market.name)
    return [
        sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(name), sql.Identifier(market.table))
        for name in (names.inserted, names.updated)
    ]
