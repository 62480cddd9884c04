"""Changes of joined values, such as an exchange rate that is inserted late: noticed by trigger or by polling.

A value known from a moment on belongs to every market row from that moment up to the next value. What was predicted of
such rows before the value was there comes out differently when it is computed again. So a change is kept for each
partition until the lane that holds it has noted it, together with the ids of the predictions that cannot have known.
"""

import time
from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from kurswerk.market import MarketSchema
from kurswerk.serving.ports import JoinedChange
from kurswerk.storage.feed._locks import FeedLocks
from kurswerk.storage.server import Connection, JoinedSource, joined_sources, joined_trigger_name

# Of the time, a hundredth at most is spent on comparing tables with what they were.
_REST = 100.0
# A comparison meets most rows of both; lanes otherwise switch off what suits that.
_SETTINGS = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_seqscan = on; SET LOCAL enable_mergejoin = on"
_READABLE = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = ANY (%s) AND attnum > 0"
_HAS_IDS = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'id')"
_HAS_TRIGGERS = "SELECT count(*) = 3 FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname LIKE %s"
_KNOWN = "SELECT EXISTS (SELECT FROM joined_seen WHERE market = %s AND source = %s)"
# The row that marks the table as looked at, though it may have been empty.
_BEGIN = """
INSERT INTO joined_seen (market, source, "timestamp", content) VALUES (%s, %s, '-infinity', 0) ON CONFLICT DO NOTHING"""
_THERE = """
    SELECT DISTINCT ON (1) e.{time}::timestamptz AS moment, hashtextextended(ROW({values})::text, 0) AS content
    FROM {source} e WHERE {complete} ORDER BY 1{last}"""
# All that became known at one moment, of whichever instrument.
_THERE_BY_INSTRUMENT = """
    SELECT e.{time}::timestamptz AS moment,
        hashtextextended(string_agg(ROW({values})::text, ',' ORDER BY ROW({values})::text{last}), 0) AS content
    FROM {source} e WHERE {complete} GROUP BY 1"""
_COMPARE = """
WITH there AS ({there}), seen AS (
    SELECT "timestamp" AS moment, content FROM joined_seen
    WHERE market = {market} AND source = {name} AND "timestamp" > '-infinity'
), changed AS (
    SELECT moment, t.content FROM there t FULL JOIN seen s USING (moment) WHERE t.content IS DISTINCT FROM s.content
), gone AS (
    DELETE FROM joined_seen j USING changed c
    WHERE j.market = {market} AND j.source = {name} AND j."timestamp" = c.moment AND c.content IS NULL
), kept AS (
    INSERT INTO joined_seen (market, source, "timestamp", content)
    SELECT {market}, {name}, moment, content FROM changed WHERE content IS NOT NULL
    ON CONFLICT (market, source, "timestamp") DO UPDATE SET content = excluded.content
)
SELECT min(moment), max(moment) FROM changed"""
_ADD = """
INSERT INTO joined_changes (market, source, partition, from_time, until_time)
SELECT {market}, {name}, partition, %(first)s, {until} FROM generate_series(0, 63) AS partition"""
# Of single instruments' values the next one of each would count; the whole future is named instead.
_UNTIL = "(SELECT min(e.{time}::timestamptz) FROM {source} e WHERE e.{time}::timestamptz > %(last)s AND {complete})"
_TAKE = """
WITH taken AS (
    DELETE FROM joined_changes WHERE market = %s AND partition = ANY (%s)
    RETURNING source, partition, from_time, until_time
)
SELECT source, array_agg(DISTINCT partition), (extract(epoch FROM from_time) * 1000000)::bigint,
    CASE WHEN until_time < '9999-12-31' THEN (extract(epoch FROM until_time) * 1000000)::bigint END
FROM taken GROUP BY source, from_time, until_time ORDER BY 3"""
_NOTE = """
INSERT INTO {revisions} (coin_id, first_prediction_id, kind, source, partitions, timestamps)
VALUES ('', %s, 'joined', %s, %s, ARRAY[{first}, {until}])"""
_MOMENT = "timestamptz 'epoch' + %s * interval '1 microsecond'"


class JoinedPoll:
    """Looks at joined tables without triggers for values that are new, changed or gone.

    How often depends on how long it takes: a comparison reads the whole table.
    """

    def __init__(self, market: MarketSchema) -> None:
        self._market = market
        self._next = 0.0

    def poll(self, connection: psycopg.Connection) -> int:
        """Note changes since the last poll; return in how many tables there were any. In a transaction of its own."""
        started = time.monotonic()
        if not self._market.joined or started < self._next:
            return 0
        found = compare_joined(connection, self._market)
        self._next = started + _REST * (time.monotonic() - started)
        return found


def compare_joined(connection: Connection, market: MarketSchema) -> int:
    """Compare joined tables without triggers with what they were, and note what has changed, in the transaction.

    The first comparison takes all that is there as known. Of several processes one compares.
    """
    locked = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [FeedLocks.of(market).polling]).fetchone()
    if not locked or not locked[0]:
        return 0
    for statement in _SETTINGS.split("; "):
        connection.execute(statement.encode())
    return sum(_compare(connection, market, source) for source in joined_sources([market]))


def forget_joined(connection: Connection, market: MarketSchema) -> None:
    """Take joined values as they are: nothing has changed before this moment."""
    connection.execute("DELETE FROM joined_changes WHERE market = %s", [market.name])
    forget_seen(connection, market)
    compare_joined(connection, market)


def forget_seen(connection: Connection, market: MarketSchema) -> None:
    """Forget what joined tables were: the next comparison takes them as they are then."""
    connection.execute("DELETE FROM joined_seen WHERE market = %s", [market.name])


def take_joined_changes(
    connection: psycopg.Connection, market: MarketSchema, partitions: Sequence[int]
) -> list[JoinedChange]:
    """Take the changes that wait for partitions, in the caller's transaction; those of one statement together."""
    rows = connection.execute(_TAKE, [market.name, list(partitions)]).fetchall()
    return [JoinedChange(source, tuple(homes), first, until) for source, homes, first, until in rows]


def note_joined_change(
    connection: psycopg.Connection, market: MarketSchema, first_id: int, change: JoinedChange
) -> None:
    """Note a change: predictions of its partitions with ids under ``first_id`` cannot have known it."""
    until = sql.SQL("'infinity'::timestamptz" if change.until_us is None else _MOMENT)
    statement = sql.SQL(_NOTE).format(
        revisions=sql.Identifier(market.feed.revisions), first=sql.SQL(_MOMENT), until=until
    )
    moments = [change.from_us] if change.until_us is None else [change.from_us, change.until_us]
    connection.execute(statement, [first_id, change.source, list(change.partitions), *moments])


def _compare(connection: Connection, market: MarketSchema, source: JoinedSource) -> int:
    """Compare one table; return 1 if it has changed."""
    names = _names(connection, market, source)
    if names is None:
        return 0
    known = connection.execute(_KNOWN, [market.name, source.table]).fetchone()
    connection.execute(_BEGIN, [market.name, source.table])
    there = _THERE if source.key is None else _THERE_BY_INSTRUMENT
    span = connection.execute(sql.SQL(_COMPARE).format(there=sql.SQL(there).format(**names), **names)).fetchone()
    if not known or not known[0] or span is None or span[0] is None:
        return 0
    # Of what came before this moment, only the moments are known: everything between them may have changed.
    until = _UNTIL if source.key is None else "NULL::timestamptz"
    add = sql.SQL(_ADD).format(until=sql.SQL(until).format(**names), **names)
    connection.execute(add, {"first": span[0], "last": span[1]} if source.key is None else {"first": span[0]})
    return 1


def _names(connection: Connection, market: MarketSchema, source: JoinedSource) -> Mapping[str, sql.Composable] | None:
    """Return the names that statements are composed of; None if it has triggers, or cannot be read."""
    keyed = [] if source.key is None else [source.key]
    columns = [*keyed, source.time, *source.values]
    readable = connection.execute(_READABLE, [source.table, columns]).fetchone()
    triggers = connection.execute(_HAS_TRIGGERS, [source.table, joined_trigger_name(source.table, "%")]).fetchone()
    if not readable or readable[0] < len(columns) or (triggers and triggers[0]):
        return None
    ids = connection.execute(_HAS_IDS, [source.table]).fetchone()
    return {
        "market": sql.Literal(market.name),
        "name": sql.Literal(source.table),
        "source": sql.Identifier(source.table),
        "time": sql.Identifier(source.time),
        "values": sql.SQL(", ").join(sql.Identifier("e", value) for value in (*keyed, *source.values)),
        "complete": source.complete("e"),
        "last": sql.SQL(", e.id DESC" if ids and ids[0] else ""),
    }
