"""Instruments of a market beside their bars: found by name or symbol, their series, and their corporate actions."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from kurswerk.core.errors import DataError, NotFoundError
from kurswerk.core.timestamps import to_us
from kurswerk.market import INTERVALS, MarketSchema
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.instruments import Instrument, InstrumentFacts, InstrumentFilter, Series
from kurswerk.market.series import SourceConflict
from kurswerk.storage.markets._series import source_conflicts
from kurswerk.storage.markets._stated_values import KnownValue, known_values
from kurswerk.storage.server import Database

_INSTRUMENT = "{key}, name, sector, industry, exchange, currency, first_day, last_day, is_active"
# Each word must begin the symbol or a word of the name. Those whose symbol it is come first, then those whose symbol
# begins with it, then the rest; among equals the shortest name, which is seldom a share class or a fund of it.
_FIND = """
SELECT {instrument}, count(*) OVER () FROM {instruments}
WHERE (%(words)s::text[] IS NULL OR (
        SELECT bool_and(starts_with(lower({key}), word) OR (word ~ '\\w' AND strpos(
            ' ' || regexp_replace(lower(coalesce(name, '')), '\\W+', ' ', 'g'),
            ' ' || btrim(regexp_replace(word, '\\W+', ' ', 'g'))) > 0))
        FROM unnest(%(words)s::text[]) AS word))
    AND (%(symbols)s::text[] IS NULL OR {key} = ANY (%(symbols)s))
    AND (%(sector)s::text IS NULL OR sector = %(sector)s)
    AND (%(exchange)s::text IS NULL OR exchange = %(exchange)s)
    AND (%(is_active)s::boolean IS NULL OR is_active = %(is_active)s)
ORDER BY lower({key}) IS DISTINCT FROM %(first)s, starts_with(lower({key}), coalesce(%(first)s, '')) IS NOT TRUE,
    CASE WHEN %(first)s::text IS NULL THEN 0 ELSE length(coalesce(name, '')) END, {key}
LIMIT %(limit)s OFFSET %(offset)s"""
_SERIES = """
SELECT s.{key}, s."interval", s.source, s.price_basis, s.adjusted_as_of, s.is_preferred,
    coalesce(b.bars, 0), b.first, b.last
FROM {series} s LEFT JOIN (
    SELECT {key}, "interval", source, count(*) AS bars, min({time}) AS first, max({time}) AS last FROM {table}
    WHERE %(symbols)s::text[] IS NULL OR {key} = ANY (%(symbols)s) GROUP BY {key}, "interval", source
) b USING ({key}, "interval", source)
WHERE (%(symbols)s::text[] IS NULL OR s.{key} = ANY (%(symbols)s))
ORDER BY s.{key}, array_position(%(intervals)s, s."interval"), NOT s.is_preferred, s.source"""
_SPLIT_FACTOR = """
SELECT f.price_factor FROM {series} s JOIN {factors} f USING ({key}, "interval", source)
WHERE s.is_preferred AND s.{key} = %(symbol)s AND s."interval" = %(interval)s AND f.price_factor IS NOT NULL
    AND f.from_time <= (SELECT max(b.{time}) FROM {table} b
        WHERE b.{key} = s.{key} AND b."interval" = s."interval" AND b.source = s.source)
ORDER BY f.from_time DESC LIMIT 1"""
# Of several rows of one action the one that became known last is in force.
_ACTIONS = """
SELECT DISTINCT ON ("date", kind) {key}, "date", kind, factor, amount, known_at FROM {actions}
WHERE {key} = %s ORDER BY "date", kind, known_at DESC"""
_DESCRIBE = """
WITH given AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS g(symbol, name, sector, industry, exchange, currency)
), written AS (
    INSERT INTO {instruments} AS i ({key}, name, sector, industry, exchange, currency)
    SELECT symbol, name, sector, industry, exchange, currency FROM given ORDER BY symbol
    ON CONFLICT ({key}) DO UPDATE SET
        name = coalesce(excluded.name, i.name), sector = coalesce(excluded.sector, i.sector),
        industry = coalesce(excluded.industry, i.industry), exchange = coalesce(excluded.exchange, i.exchange),
        currency = coalesce(excluded.currency, i.currency)
    WHERE (i.name, i.sector, i.industry, i.exchange, i.currency) IS DISTINCT FROM (
        coalesce(excluded.name, i.name), coalesce(excluded.sector, i.sector), coalesce(excluded.industry, i.industry),
        coalesce(excluded.exchange, i.exchange), coalesce(excluded.currency, i.currency))
    RETURNING i.xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"""


class PostgresInstruments:
    """The instruments of a market that keeps several series of each, such as stocks.

    Parameters
    ----------
    database, market
        Where they are, and whose.

    Raises
    ------
    DataError
        If the market keeps no instruments beside its rows.
    """

    def __init__(self, database: Database, market: MarketSchema) -> None:
        if market.series is None:
            raise DataError("series.market_without", market=market.name)
        tables = market.series
        names: dict[str, sql.Composable] = {
            "key": sql.Identifier(market.key),
            "time": sql.Identifier(market.timestamp),
            "table": sql.Identifier(market.table),
            "instruments": sql.Identifier(tables.instruments),
            "series": sql.Identifier(tables.series),
            "actions": sql.Identifier(tables.actions),
            "factors": sql.Identifier(tables.factors),
        }
        self._database, self._market = database, market
        self._names = names | {"instrument": sql.SQL(_INSTRUMENT).format(**names)}

    def find(self, wanted: InstrumentFilter, limit: int = 100, offset: int = 0) -> tuple[list[Instrument], int]:
        """Return instruments, and how many there are on all pages together.

        With words the best matches come first: the symbol itself, symbols that begin so, names; else by symbol.
        """
        words = (wanted.text or "").replace("\0", " ").lower().split() or None
        given = {
            "words": words,
            "first": None if words is None else words[0],
            "symbols": None if wanted.symbols is None else list(wanted.symbols),
            "sector": wanted.sector,
            "exchange": wanted.exchange,
            "is_active": wanted.is_active,
            "limit": limit,
            "offset": offset,
        }
        rows = self._rows(_FIND, given)
        if not rows and offset:
            first = self._rows(_FIND, given | {"limit": 1, "offset": 0})
            return [], first[0][-1] if first else 0
        return [_instrument(row[:-1]) for row in rows], rows[0][-1] if rows else 0

    def get(self, symbol: str) -> Instrument:
        """Return one instrument.

        Raises
        ------
        NotFoundError
            If nothing is known of it.
        """
        rows = self._rows("SELECT {instrument} FROM {instruments} WHERE {key} = %s", [symbol])
        if not rows:
            raise NotFoundError("stock.not_found", symbol=symbol)
        return _instrument(rows[0])

    def names(self) -> dict[str, str]:
        """Return symbol → name of all instruments that have one."""
        return dict(self._rows("SELECT {key}, name FROM {instruments} WHERE name IS NOT NULL", None))

    def sectors(self) -> list[str]:
        """Return the sectors that instruments are in, ascending."""
        query = "SELECT DISTINCT sector FROM {instruments} WHERE sector IS NOT NULL ORDER BY 1"
        return [row[0] for row in self._rows(query, None)]

    def series(self, symbols: Sequence[str] | None = None) -> list[Series]:
        """Return the series of instruments, None is all; by symbol and length, the preferred one of each first."""
        given = {"symbols": None if symbols is None else list(symbols), "intervals": list(INTERVALS)}
        return [Series(*row) for row in self._rows(_SERIES, given)]

    def conflicts(self, symbols: Sequence[str] | None = None) -> list[SourceConflict]:
        """Return where other sources of the market's bars differ from the preferred one, of all or some symbols."""
        return source_conflicts(self._database, self._market, symbols)

    def known_values(self, symbol: str, moment_us: int) -> list[KnownValue]:
        """Return the newest fundamentals, sector and memberships of an instrument known at a moment."""
        return known_values(self._database, self._market, symbol, moment_us)

    def split_factor(self, symbol: str) -> float:
        """Return what the newest bar's prices are multiplied by for the splits up to it; 1 where there are none.

        Prices as the market's rows have them, divided by it, are those of a share as it is today.
        """
        rows = self._rows(_SPLIT_FACTOR, {"symbol": symbol, "interval": self._market.interval})
        return float(rows[0][0]) if rows else 1.0

    def actions(self, symbol: str) -> list[CorporateAction]:
        """Return the corporate actions of an instrument as they are known now, oldest first."""
        rows = self._rows(_ACTIONS, [symbol])
        return [
            CorporateAction(key, day, kind, factor, amount, to_us(known_at))
            for key, day, kind, factor, amount, known_at in rows
        ]

    def describe(self, facts: Sequence[InstrumentFacts]) -> tuple[int, int]:
        """Store who instruments are; what is not stated stays as it is. Return how many are new, and how many changed.

        Parameters
        ----------
        facts
            Each symbol once.
        """
        columns = [
            [getattr(one, field) for one in facts]
            for field in ("symbol", "name", "sector", "industry", "exchange", "currency")
        ]
        ((new, changed),) = self._rows(_DESCRIBE, columns)
        return new, changed

    def _rows(self, query: str, given: Any) -> list[Any]:
        with self._database.connection() as connection:
            return connection.execute(sql.SQL(query).format(**self._names), given).fetchall()


def _instrument(row: Sequence[Any]) -> Instrument:
    return Instrument(InstrumentFacts(*row[:6]), *row[6:])
