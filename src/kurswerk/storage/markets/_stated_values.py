"""Values that sources state of instruments from time to time: added, never changed, and read as known at a moment."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
from psycopg import sql

from kurswerk.core.timestamps import DAY_US, to_datetime, to_us
from kurswerk.ingest.ports import UpsertCount
from kurswerk.market import AsOfTable, MarketSchema
from kurswerk.market.gics import INDUSTRIES, SECTORS
from kurswerk.storage.binary_copy import HEADER, TRAILER, encode_rows
from kurswerk.storage.markets._upsert import sized
from kurswerk.storage.server import Connection, Database

_LEAST_TO_ANALYSE = 1000
_STAGING = """
CREATE TEMPORARY TABLE kurswerk_stated (
    {key} varchar NOT NULL, as_of timestamptz NOT NULL, {declared}
) ON COMMIT DROP"""
# A day without a time is known when it is over. What a source states anew of a moment is known from now on, and never
# counts where something later was known already.
_ADD = """
WITH last AS (
    SELECT DISTINCT ON (t.{key}, t.as_of) t.{key}, t.as_of, {stored}
    FROM {table} t JOIN kurswerk_stated g ON g.{key} = t.{key} AND g.as_of = t.as_of WHERE t.source = %(source)s
    ORDER BY t.{key}, t.as_of, t.id DESC
), newest AS (
    SELECT one.{key}, max(one.as_of) AS as_of FROM (
        SELECT {key}, as_of FROM kurswerk_stated UNION ALL SELECT {key}, as_of FROM {table} WHERE known_at <= now()
    ) one GROUP BY 1
), judged AS (
    SELECT g.*, l.as_of IS NOT NULL AS is_there, ROW({given}) IS NOT DISTINCT FROM ROW({last}) AS is_same,
        n.as_of > g.as_of AS is_outdated
    FROM kurswerk_stated g JOIN newest n ON n.{key} = g.{key}
    LEFT JOIN last l ON l.{key} = g.{key} AND l.as_of = g.as_of
), added AS (
    INSERT INTO {table} ({key}, as_of, source, {columns}, known_at)
    SELECT {key}, as_of, %(source)s, {columns}, CASE
        WHEN is_there THEN CASE WHEN NOT is_outdated THEN now() END
        WHEN as_of = date_trunc('day', as_of, 'UTC') THEN as_of + interval '24 hours' ELSE as_of END
    FROM judged WHERE NOT (is_there AND is_same) ORDER BY 2, 1
)
SELECT count(*) FILTER (WHERE NOT is_there), count(*) FILTER (WHERE is_there AND NOT is_same),
    count(*) FILTER (WHERE is_there AND is_same) FROM judged"""
# Who stands in one list and not in the source's next one has left by then.
_LEFT = """
WITH lists AS (
    SELECT as_of, lead(as_of) OVER (ORDER BY as_of) AS next, lead(known_at) OVER (ORDER BY as_of) AS next_known_at
    FROM (SELECT as_of, min(known_at) AS known_at FROM {table} WHERE source = %(source)s AND {member} = 1
        GROUP BY as_of) one
)
INSERT INTO {table} ({key}, as_of, source, {member}, known_at)
SELECT DISTINCT m.{key}, l.next, m.source, 0, l.next_known_at
FROM lists l JOIN {table} m ON m.source = %(source)s AND m.as_of = l.as_of AND m.{member} = 1
WHERE l.next IS NOT NULL AND NOT EXISTS (
    SELECT FROM {table} o
    WHERE o.source = m.source AND o.as_of = l.next AND o.{key} = m.{key} AND o.{member} IS NOT NULL)
ORDER BY 2, 1"""
_DESCRIBE = """
WITH newest AS (
    SELECT i.{key} AS id, given.name, {sector} AS sector, {industry} AS industry
    FROM {instruments} i LEFT JOIN unnest(%(keys)s::text[], %(names)s::text[]) AS given(id, name) ON given.id = i.{key}
)
UPDATE {instruments} i SET name = coalesce(n.name, i.name),
    sector = coalesce(%(sectors)s::jsonb ->> n.sector::text, i.sector),
    industry = coalesce(%(industries)s::jsonb ->> n.industry::text, i.industry)
FROM newest n WHERE n.id = i.{key} AND num_nonnulls(n.name, n.sector, n.industry) > 0"""
_NEWEST = """
(SELECT c.{value} FROM {table} c WHERE c.{key} = i.{key} AND c.known_at IS NOT NULL AND c.{value} IS NOT NULL
    ORDER BY c.known_at DESC, c.id DESC LIMIT 1)"""


class StatedValueSink:
    """Writes what one source states into an `AsOfTable`; implements `kurswerk.ingest.ports.MarketSink`.

    Parameters
    ----------
    source
        Who states it.
    members_column
        Column of an index of which the source's rows of one moment are all members; who is missing in a later list
        has left.
    """

    def __init__(self, database: Database, table: AsOfTable, source: str, members_column: str | None = None) -> None:
        self._database, self._table, self._source, self._members = database, table, source, members_column

    def upsert(self, batches: Iterable[pa.RecordBatch]) -> UpsertCount:
        """Add rows that are not there; "updated" are those of a moment of which the source stated something else.

        What is stored stays: a row that replaces another is known from now on. In one transaction.
        """
        with self._database.connection() as connection:
            names: list[str] | None = None
            for batch in sized(batches):
                names = names or self._stage(connection, batch)
                kinds = ["float8" if pa.types.is_floating(field.type) else "int8" for field in batch.schema][2:]
                statement = sql.SQL("COPY kurswerk_stated FROM STDIN (FORMAT binary)")
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    copy.write(HEADER)
                    copy.write(encode_rows(batch, kinds))
                    copy.write(TRAILER)
            return UpsertCount() if names is None else self._add(connection, names)

    def _stage(self, connection: Connection, batch: pa.RecordBatch) -> list[str]:
        names = list(batch.schema.names[2:])
        kinds = ["float8" if pa.types.is_floating(batch.schema.field(name).type) else "int8" for name in names]
        declared = [sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(k)) for n, k in zip(names, kinds, strict=True)]
        connection.execute(
            sql.SQL(_STAGING).format(key=sql.Identifier(self._table.key), declared=sql.SQL(", ").join(declared))
        )
        return names

    def _add(self, connection: Connection, names: list[str]) -> UpsertCount:
        parts: dict[str, sql.Composable] = {
            "table": sql.Identifier(self._table.name),
            "key": sql.Identifier(self._table.key),
            "columns": sql.SQL(", ").join(map(sql.Identifier, names)),
            "stored": sql.SQL(", ").join(sql.Identifier("t", name) for name in names),
            "given": sql.SQL(", ").join(sql.Identifier("g", name) for name in names),
            "last": sql.SQL(", ").join(sql.Identifier("l", name) for name in names),
        }
        connection.execute("ANALYZE kurswerk_stated")
        given = {"source": self._source}
        row = connection.execute(sql.SQL(_ADD).format(**parts), given).fetchone() or (0, 0, 0)
        if row[0] >= _LEAST_TO_ANALYSE:
            # The plans of what follows depend on how much there is now.
            connection.execute(sql.SQL("ANALYZE {}").format(parts["table"]))
        if self._members is not None:
            connection.execute(sql.SQL(_LEFT).format(**parts, member=sql.Identifier(self._members)), given)
        return UpsertCount(*row)


@dataclass(frozen=True)
class KnownValue:
    """A stated value as it was known at a moment.

    Attributes
    ----------
    name, value
        Column and value, as stated: of one share of its day where it is per share.
    as_of_us, known_us
        Of which moment it is, and from which on it was known; microseconds UTC.
    source
        Who stated it.
    age_days
        Days since it became known.
    is_stale
        It is older than values of its kind count; models have none then.
    """

    name: str
    value: float
    as_of_us: int
    known_us: int
    source: str
    age_days: float
    is_stale: bool


def known_values(
    database: Database, market: MarketSchema, instrument: str, moment_us: int, names: Collection[str] | None = None
) -> list[KnownValue]:
    """Return the newest values of an instrument known at a moment, in the order of their tables.

    Parameters
    ----------
    names
        Only these; None is all.
    """
    found = []
    with database.connection() as connection:
        for table in market.as_of_tables:
            asked = [name for name in table.values if names is None or name in names]
            if asked and _exists(connection, table.name):
                found += _known(connection, table, asked, instrument, moment_us)
    return found


def _exists(connection: Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return bool(row and row[0])


def _known(
    connection: Connection, table: AsOfTable, names: list[str], instrument: str, moment_us: int
) -> list[KnownValue]:
    each = [
        sql.SQL(
            "(SELECT {place} AS place, e.{value}::double precision AS value, e.as_of, e.known_at, e.source"
            " FROM {table} e"
            " WHERE e.{key} = %(instrument)s AND e.known_at <= %(moment)s AND e.{value} IS NOT NULL"
            " ORDER BY e.known_at DESC, e.id DESC LIMIT 1)"
        ).format(
            place=sql.Literal(place),
            value=sql.Identifier(name),
            table=sql.Identifier(table.name),
            key=sql.Identifier(table.key),
        )
        for place, name in enumerate(names)
    ]
    query = sql.SQL(" UNION ALL ").join(each)
    rows = connection.execute(query, {"instrument": instrument, "moment": to_datetime(moment_us)}).fetchall()
    known = []
    for place, value, as_of, known_at, source in sorted(rows):
        age_us = moment_us - to_us(known_at)
        is_stale = age_us > table.max_age // timedelta(microseconds=1)
        known.append(KnownValue(names[place], value, to_us(as_of), to_us(known_at), source, age_us / DAY_US, is_stale))
    return known


def describe_instruments(database: Database, market: MarketSchema, companies: Mapping[str, str]) -> None:
    """Write names of companies, and the newest sector and industry, into the market's table of instruments.

    They are there for people; models read them as of each row.
    """
    table = next((one for one in market.as_of_tables if "sector" in one.values), None)
    if market.series is None or table is None:
        return
    names = {"key": sql.Identifier(market.key), "table": sql.Identifier(table.name)}
    parts = {
        "instruments": sql.Identifier(market.series.instruments),
        "sector": sql.SQL(_NEWEST).format(value=sql.Identifier("sector"), **names),
        "industry": sql.SQL(_NEWEST).format(value=sql.Identifier("industry"), **names),
        **names,
    }
    given = {
        "keys": list(companies),
        "names": list(companies.values()),
        "sectors": json.dumps(SECTORS),
        "industries": json.dumps(INDUSTRIES),
    }
    with database.connection() as connection:
        connection.execute(sql.SQL(_DESCRIBE).format(**parts), given)
