"""Rows that wait for their moment, and moments that are sealed, in the transaction of a lane."""

from collections.abc import Mapping, Sequence

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.features import SealedMoment
from kurswerk.serving.moment_ports import PendingRows
from kurswerk.serving.ports import MissedRows
from kurswerk.storage.markets import MarketTable, exchanges_of
from kurswerk.storage.operations import sealed_moments

Int = NDArray[np.int64]

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_AT = "timestamptz 'epoch' + {} * interval '1 microsecond'"
# Oldest first; of those that are sealed already all are due.
_MOMENTS_AT_ONCE = 4
_ADD = f"""
INSERT INTO pending_rows (market, moment, joins, coin_id, "timestamp", partition, segment, features, "values")
SELECT %s, {_AT.format("reads")}, {_AT.format("joins")}, coin, {_AT.format("us")}, home, segment,
    string_to_array(features, ','), string_to_array("values", ',')::double precision[]
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::smallint[], %s::double precision[], %s::text[],
    %s::text[]) AS row(reads, joins, coin, us, home, segment, features, "values")
ON CONFLICT DO NOTHING"""  # noqa: S608 - constants  # nosec B608
_FORGET = f"""
UPDATE pending_rows p SET features = '{{}}', "values" = '{{}}' FROM unnest(%s::text[], %s::bigint[]) AS first(coin, us)
WHERE p.market = %s AND p.coin_id = first.coin AND p."timestamp" >= {_AT.format("first.us")}"""  # noqa: S608 - as above  # nosec B608
_FORGET_SINCE = f"""
UPDATE pending_rows SET features = '{{}}', "values" = '{{}}'
WHERE market = %s AND partition = ANY (%s) AND "timestamp" >= {_AT.format("%s")}"""  # noqa: S608 - as above  # nosec B608
_PENDING_MOMENTS = f"""
SELECT {_US.format("p.moment")}, EXISTS (SELECT FROM sealed_moments s WHERE s.market = p.market AND s.moment = p.moment)
FROM (SELECT DISTINCT market, moment FROM pending_rows WHERE market = %(market)s AND NOT is_taken) p
ORDER BY 2 DESC, 1 LIMIT %(limit)s"""  # noqa: S608 - as above  # nosec B608
_NEWEST = f"SELECT {_US.format('max(timestamp)')} FROM pending_rows WHERE market = %s"  # noqa: S608 - as above  # nosec B608
_WAITING = (
    f'SELECT EXISTS (SELECT FROM {{feed}} WHERE kind = 0 AND "timestamp" > {_AT.format("%s")}'  # noqa: S608 - as above  # nosec B608
    f' AND "timestamp" <= {_AT.format("%s")})'
)
_FIELDS = f"""coin_id, {_US.format('"timestamp"')}, partition, segment, {_US.format("moment")}, {_US.format("joins")},
    features, "values\""""
_TAKE = f"""
WITH taken AS (
    UPDATE pending_rows SET is_taken = true WHERE market = %s AND moment = {_AT.format("%s")} AND NOT is_taken
    RETURNING *
)
SELECT {_FIELDS} FROM taken"""  # noqa: S608 - as above  # nosec B608
_DONE = f"""
DELETE FROM pending_rows p USING sealed_moments s
WHERE p.market = %s AND p.is_taken AND p.moment = {_AT.format("%s")} AND s.market = p.market AND s.moment = p.joins"""  # noqa: S608 - as above  # nosec B608
_JOINING = f"""SELECT {_FIELDS} FROM pending_rows WHERE market = %s AND joins = {_AT.format("%s")}"""  # noqa: S608 - as above  # nosec B608
_JOINED = f"DELETE FROM pending_rows WHERE market = %s AND is_taken AND joins <= {_AT.format('%s')}"  # noqa: S608 - as above  # nosec B608
_SEAL = f"""
INSERT INTO sealed_moments (market, moment, members, timestamps) VALUES (%s, {_AT.format("%s")}, %s::text[],
    (SELECT coalesce(array_agg({_AT.format("us")} ORDER BY place), '{{}}')
     FROM unnest(%s::bigint[]) WITH ORDINALITY AS at(us, place)))
ON CONFLICT DO NOTHING"""  # noqa: S608 - as above  # nosec B608
_VALUES = f"""
INSERT INTO sealed_values (market, moment, definition, "values") VALUES (%s, {_AT.format("%s")}, %b, %s)
ON CONFLICT DO NOTHING"""  # noqa: S608 - as above  # nosec B608

_PUT_BACK = f"""
INSERT INTO prediction_backlog (model_id, coin_id, "timestamp", partition, first_prediction_id)
SELECT %s, coin, {_AT.format("us")}, (hashtext(coin) & 63)::smallint, first_id
FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS missed(coin, us, first_id) ON CONFLICT DO NOTHING"""  # noqa: S608 - as above  # nosec B608


class MomentTables:
    """The part of a feed transaction that is about moments."""

    _connection: psycopg.Connection
    _table: MarketTable
    _held: tuple[int, ...]

    @property
    def _name(self) -> str:
        return self._table.market.name

    def exchanges(self, instruments: Sequence[str]) -> Mapping[str, str]:
        """Return the exchange of each instrument that states one."""
        return exchanges_of(self._connection, self._table.market, instruments)

    def exchange_names(self) -> Sequence[str]:
        """Return the exchanges that instruments state."""
        attribute = self._table.market.exchanges
        if attribute is None:
            return []
        query = sql.SQL("SELECT DISTINCT {column}::text FROM {table} WHERE {column} IS NOT NULL").format(
            column=sql.Identifier(attribute.column), table=sql.Identifier(attribute.table)
        )
        return [row[0] for row in self._connection.execute(query).fetchall()]

    def add_pending(self, rows: PendingRows) -> None:
        """Store rows until their moment is sealed; one that is there already stays."""
        self._connection.execute(
            _ADD,
            [
                self._name, rows.reads.tolist(), rows.joins.tolist(), list(rows.instruments), rows.timestamps.tolist(),
                rows.partitions.tolist(), rows.segments.tolist(), [",".join(names) for names in rows.names],
                # Shortest texts that read back as the same doubles.
                [",".join(map(repr, map(float, values))) for values in rows.values],
            ],
        )  # fmt: skip

    def forget_pending_values(self, first_us: Mapping[str, int]) -> None:
        """Have the values of instruments' pending rows of a moment or later computed again."""
        self._connection.execute(_FORGET, [list(first_us), list(first_us.values()), self._name])

    def forget_pending_values_since(self, first_us: int) -> None:
        """Do so for all instruments of the leased partitions."""
        self._connection.execute(_FORGET_SINCE, [self._name, list(self._held), first_us])

    def pending_moments(self) -> Sequence[tuple[int, bool]]:
        """Return the moments that pending rows read, sealed ones first, then the oldest, and whether each is sealed."""
        return self._connection.execute(
            _PENDING_MOMENTS, {"market": self._name, "limit": _MOMENTS_AT_ONCE}
        ).fetchall()  # fmt: skip

    def newest_pending_us(self) -> int | None:
        """Return the time of the newest pending row."""
        row = self._connection.execute(_NEWEST, [self._name]).fetchone()
        return row[0] if row else None

    def now_us(self) -> int:
        """Return the time by the database's clock."""
        row = self._connection.execute(f"SELECT {_US.format('clock_timestamp()')}".encode()).fetchone()
        return int(row[0]) if row else 0

    def is_waiting(self, after_us: int, until_us: int) -> bool:
        """Return whether a new row of a period waits in the feed, in whoever's partition."""
        query = sql.SQL(_WAITING).format(feed=sql.Identifier(self._table.market.feed.feed))
        row = self._connection.execute(query, [after_us, until_us]).fetchone()
        return bool(row and row[0])

    def rows_between(self, after_us: int, until_us: int) -> tuple[Sequence[str], Int]:
        """Return instrument and time of the rows of a period; those that wait in the feed are left out."""
        table = self._table
        bounds = [table.as_stored(sql.SQL(_AT.format("{}")).format(sql.Literal(us))) for us in (after_us, until_us)]
        query = sql.SQL(
            "SELECT {key}::text, {us} FROM {table} WHERE {present} AND {time} > {after} AND {time} <= {until}"
        ).format(
            key=table.key,
            us=sql.SQL(_US).format(table.moment()),
            table=table.name,
            present=table.present(),
            time=table.timestamp,
            after=bounds[0],
            until=bounds[1],
        )
        rows = self._connection.execute(query).fetchall()
        return [row[0] for row in rows], np.array([row[1] for row in rows], dtype=np.int64)

    def take_pending(self, moment_us: int) -> PendingRows:
        """Take the rows that read a moment; those that join one that is not sealed are kept for its members' values."""
        rows = self._connection.execute(_TAKE, [self._name, moment_us]).fetchall()
        self._connection.execute(_DONE, [self._name, moment_us])
        return _pending(rows)

    def pending_members(self, moment_us: int) -> PendingRows:
        """Return the rows that join a moment."""
        return _pending(self._connection.execute(_JOINING, [self._name, moment_us]).fetchall())

    def put_back_missed(self, model_id: int, rows: MissedRows) -> None:
        """Note again that a model could not predict rows."""
        self._connection.execute(
            _PUT_BACK, [model_id, list(rows.instruments), rows.timestamps.tolist(), rows.first_ids.tolist()]
        )  # fmt: skip

    def discard_pending(self) -> int:
        """Remove all pending rows; return how many there were."""
        return self._connection.execute("DELETE FROM pending_rows WHERE market = %s", [self._name]).rowcount

    def sealed_moments(self, moments: Sequence[int], definitions: Mapping[str, str]) -> Mapping[int, SealedMoment]:
        """Return sealed moments with the values of features that each has."""
        return sealed_moments(self._connection, self._name, moments, definitions)

    def seal(self, sealed: SealedMoment, definitions: Mapping[str, str]) -> None:
        """Store a moment's members and values; what is stored of it stays."""
        self._connection.execute(
            _SEAL, [self._name, sealed.moment_us, list(sealed.members), sealed.timestamps.tolist()]
        )  # fmt: skip
        for name, values in sealed.values.items():
            key = bytes.fromhex(definitions[name])
            self._connection.execute(_VALUES, [self._name, sealed.moment_us, key, values.tolist()])
        self._connection.execute(_JOINED, [self._name, sealed.moment_us])


def _pending(rows: Sequence[tuple[object, ...]]) -> PendingRows:
    def column(place: int, kind: type) -> NDArray[np.generic]:
        return np.array([row[place] for row in rows], dtype=kind)

    return PendingRows(
        instruments=[str(row[0]) for row in rows],
        timestamps=column(1, np.int64),  # type: ignore[arg-type]  # as asked for
        partitions=column(2, np.int64),  # type: ignore[arg-type]  # as above
        segments=column(3, np.float64),  # type: ignore[arg-type]  # as above
        reads=column(4, np.int64),  # type: ignore[arg-type]  # as above
        joins=column(5, np.int64),  # type: ignore[arg-type]  # as above
        names=[row[6] for row in rows],  # type: ignore[misc]  # as above
        values=[row[7] for row in rows],  # type: ignore[misc]  # as above
    )
