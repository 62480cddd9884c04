"""``watchlists``: instruments that somebody follows together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kurswerk.core.errors import ConflictError, ConstraintError, InvalidInputError, NotFoundError
from kurswerk.market.watchlists import MOST_INSTRUMENTS, WatchedInstrument, Watchlist, watched, watchlist_name
from kurswerk.storage.server import Connection, Database

_LISTS = """
SELECT w.id, w.name, w.created_at, w.updated_at,
    coalesce(array_agg(i.market ORDER BY i.position) FILTER (WHERE i.market IS NOT NULL), '{}'),
    coalesce(array_agg(i.instrument ORDER BY i.position) FILTER (WHERE i.market IS NOT NULL), '{}')
FROM watchlists w LEFT JOIN watchlist_instruments i ON i.watchlist_id = w.id
WHERE (%(id)s::bigint IS NULL OR w.id = %(id)s) AND (%(name)s::text IS NULL OR w.name = %(name)s)
GROUP BY w.id ORDER BY w.name"""
_ADD = """
INSERT INTO watchlist_instruments (watchlist_id, market, instrument, position)
SELECT %(id)s, g.market, g.key, g.place + coalesce(
    (SELECT max(position) FROM watchlist_instruments WHERE watchlist_id = %(id)s), 0)
FROM unnest(%(markets)s::text[], %(keys)s::text[]) WITH ORDINALITY AS g(market, key, place)
ON CONFLICT DO NOTHING"""
_REMOVE = """
DELETE FROM watchlist_instruments i USING unnest(%(markets)s::text[], %(keys)s::text[]) AS g(market, key)
WHERE i.watchlist_id = %(id)s AND i.market = g.market AND i.instrument = g.key"""
_COUNT = "SELECT count(*) FROM watchlist_instruments WHERE watchlist_id = %s"
# Whoever changes a list waits for others who do.
_TOUCH = "UPDATE watchlists SET updated_at = now(), name = coalesce(%s, name) WHERE id = %s"


class PostgresWatchlists:
    """Watchlists in PostgreSQL; implements `kurswerk.market.watchlists.WatchlistStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Watchlist]:
        """Return all watchlists, by name."""
        with self._database.connection() as connection:
            return _found(connection)

    def get(self, watchlist: int | str) -> Watchlist:
        """Return one by its id or its name.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        with self._database.connection() as connection:
            return _one(connection, watchlist)

    def create(self, name: str, instruments: Sequence[WatchedInstrument] = ()) -> Watchlist:
        """Make a watchlist.

        Raises
        ------
        ConflictError
            If the name is taken.
        InvalidInputError, UnknownNameError
            If it is no name, or one of the instruments none.
        """
        kept, wanted = watchlist_name(name), watched(instruments)
        with _refusing_taken(kept), self._database.connection() as connection:
            row = connection.execute("INSERT INTO watchlists (name) VALUES (%s) RETURNING id", [kept]).fetchone()
            number = int(row[0]) if row else 0
            connection.execute(_ADD, _given(number, wanted))
            return _one(connection, number)

    def change(
        self, watchlist_id: int, *, name: str | None = None, instruments: Sequence[WatchedInstrument] | None = None
    ) -> Watchlist:
        """Give it another name, or other instruments in place of all it has.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        ConflictError, InvalidInputError, UnknownNameError
            As for `create`.
        """
        kept = None if name is None else watchlist_name(name)
        wanted = None if instruments is None else watched(instruments)
        with _refusing_taken(kept or ""), self._database.connection() as connection:
            _touch(connection, watchlist_id, kept)
            if wanted is not None:
                connection.execute("DELETE FROM watchlist_instruments WHERE watchlist_id = %s", [watchlist_id])
                connection.execute(_ADD, _given(watchlist_id, wanted))
            return _one(connection, watchlist_id)

    def add(self, watchlist_id: int, instruments: Sequence[WatchedInstrument]) -> Watchlist:
        """Add instruments at the end; those that are in it stay where they are. Errors as for `change`."""
        wanted = watched(instruments)
        with self._database.connection() as connection:
            _touch(connection, watchlist_id)
            connection.execute(_ADD, _given(watchlist_id, wanted))
            row = connection.execute(_COUNT, [watchlist_id]).fetchone()
            if row and row[0] > MOST_INSTRUMENTS:
                raise InvalidInputError("watchlist.too_many", count=row[0], most=MOST_INSTRUMENTS)
            return _one(connection, watchlist_id)

    def remove(self, watchlist_id: int, instruments: Sequence[WatchedInstrument]) -> Watchlist:
        """Take instruments out; those that are not in it are passed over.

        Raises
        ------
        NotFoundError
            If there is no watchlist with this id.
        """
        with self._database.connection() as connection:
            _touch(connection, watchlist_id)
            connection.execute(_REMOVE, _given(watchlist_id, instruments))
            return _one(connection, watchlist_id)

    def delete(self, watchlist_id: int) -> None:
        """Delete a watchlist; NotFoundError if there is none with this id."""
        with self._database.connection() as connection:
            if not connection.execute("DELETE FROM watchlists WHERE id = %s", [watchlist_id]).rowcount:
                raise NotFoundError("watchlist.not_found", watchlist=watchlist_id)


@contextmanager
def _refusing_taken(name: str) -> Iterator[None]:
    try:
        yield
    except ConstraintError as error:
        if error.constraint == "watchlists_name_key":
            raise ConflictError("watchlist.name_taken", name=name) from error
        raise


def _given(number: int, instruments: Sequence[WatchedInstrument]) -> dict[str, object]:
    return {
        "id": number,
        "markets": [one.market for one in instruments],
        "keys": [one.key for one in instruments],
    }


def _touch(connection: Connection, number: int, name: str | None = None) -> None:
    if not connection.execute(_TOUCH, [name, number]).rowcount:
        raise NotFoundError("watchlist.not_found", watchlist=number)


def _found(connection: Connection, number: int | None = None, name: str | None = None) -> list[Watchlist]:
    rows = connection.execute(_LISTS, {"id": number, "name": name}).fetchall()
    return [Watchlist(row[0], row[1], tuple(map(WatchedInstrument, row[4], row[5])), row[2], row[3]) for row in rows]


def _one(connection: Connection, watchlist: int | str) -> Watchlist:
    found = _found(connection, watchlist) if isinstance(watchlist, int) else _found(connection, None, watchlist)
    if not found:
        raise NotFoundError("watchlist.not_found", watchlist=watchlist)
    return found[0]
