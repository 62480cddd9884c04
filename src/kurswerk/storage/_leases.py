"""Partitions leased by advisory locks of a session: they fall back when it ends, however it ends."""

import psycopg

from kurswerk.storage.migrations.feed_v3 import PARTITIONS

# Two keys of 32 bits; the first says what is locked. Any constants: "KWm" and "KWp" in hexadecimal.
_MEMBERS, _PARTITIONS = 0x4B576D, 0x4B5770
_LOOK = """
SELECT classid::bigint, objid::bigint, pid = pg_backend_pid() FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid IN (%s, %s) AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class Leases:
    """The partitions that one session holds, a fair share of all.

    Every session that takes part holds a shared lock as a member; a session with more than ``ceil(64 / members)``
    partitions gives the surplus back, one with fewer takes free ones.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute("SELECT pg_advisory_lock_shared(%s, 0)", [_MEMBERS])

    def balance(self) -> frozenset[int]:
        """Take or give back partitions and return those held."""
        members, own, taken = 0, set(), set()
        for kind, number, is_own in self._connection.execute(_LOOK, [_MEMBERS, _PARTITIONS]):
            if kind == _MEMBERS:
                members += 1
            elif is_own:
                own.add(number)
            else:
                taken.add(number)
        share = -(-PARTITIONS // max(1, members))
        for number in sorted(own)[share:]:
            self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", [_PARTITIONS, number])
            own.discard(number)
        free = [number for number in range(PARTITIONS) if number not in own and number not in taken]
        if free and len(own) < share:
            row = self._connection.execute(
                "SELECT array_agg(p) FILTER (WHERE pg_try_advisory_lock(%s, p)) FROM unnest(%s::int[]) p",
                [_PARTITIONS, free[: share - len(own)]],
            ).fetchone()
            own.update((row[0] if row else None) or ())
        return frozenset(own)

    def give_up(self) -> None:
        """Give every partition back and be a member no longer."""
        self._connection.execute("SELECT pg_advisory_unlock_all()")
