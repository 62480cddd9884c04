"""Partitions leased by advisory locks of a session: they fall back when it ends, however it ends."""

import psycopg

from kurswerk.storage.feed._locks import FeedLocks
from kurswerk.storage.server.migrations.feed_v3 import PARTITIONS

_LOOK = """
SELECT classid::bigint, objid::bigint, pid = pg_backend_pid() FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid IN (%s, %s) AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class Leases:
    """The partitions of a market that one session holds, a fair share of all.

    Every session that takes part holds a shared lock as a member; a session with more than ``ceil(64 / members)``
    partitions gives the surplus back, one with fewer takes free ones.
    """

    def __init__(self, connection: psycopg.Connection, locks: FeedLocks) -> None:
        self._connection, self._locks = connection, locks
        connection.execute("SELECT pg_advisory_lock_shared(%s, 0)", [self._locks.members])

    def balance(self) -> frozenset[int]:
        """Take or give back partitions and return those held."""
        members, own, taken = 0, set(), set()
        for kind, number, is_own in self._connection.execute(_LOOK, [self._locks.members, self._locks.partitions]):
            if kind == self._locks.members:
                members += 1
            elif is_own:
                own.add(number)
            else:
                taken.add(number)
        share = -(-PARTITIONS // max(1, members))
        for number in sorted(own)[share:]:
            self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", [self._locks.partitions, number])
            own.discard(number)
        free = [number for number in range(PARTITIONS) if number not in own and number not in taken]
        if free and len(own) < share:
            row = self._connection.execute(
                "SELECT array_agg(p) FILTER (WHERE pg_try_advisory_lock(%s, p)) FROM unnest(%s::int[]) p",
                [self._locks.partitions, free[: share - len(own)]],
            ).fetchone()
            own.update((row[0] if row else None) or ())
        return frozenset(own)

    def give_up(self) -> None:
        """Give every partition back and be a member no longer."""
        self._connection.execute("SELECT pg_advisory_unlock_all()")
