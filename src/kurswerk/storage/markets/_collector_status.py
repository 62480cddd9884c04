"""How collectors are, and the gaps that they noted."""

from collections.abc import Sequence

from kurswerk.core.timestamps import to_us
from kurswerk.ingest.collector import CollectorReport, CollectorStatus, Gap, GapReason
from kurswerk.storage.server import Database


def collector_reports(database: Database) -> list[CollectorReport]:
    """Return how each collector that ever ran here is, by name."""
    with database.connection() as connection:
        found = connection.execute(
            "SELECT name, is_connected, last_message_at, silent_after_seconds, coins, reason, is_stopped,"
            " extract(epoch FROM clock_timestamp() - seen_at)::float8,"
            " extract(epoch FROM clock_timestamp() - last_message_at)::float8 FROM collectors ORDER BY name"
        ).fetchall()
    return [
        CollectorReport(
            name,
            CollectorStatus(is_connected, last and to_us(last), silent_after_s, coins, reason, is_stopped),
            since_seen,
            since_message,
        )
        for name, is_connected, last, silent_after_s, coins, reason, is_stopped, since_seen, since_message in found
    ]


def collector_gaps(database: Database, *, limit: int = 20) -> Sequence[Gap]:
    """Return the latest gaps of all collectors, the newest first."""
    with database.connection() as connection:
        found = connection.execute(
            "SELECT id::text, reason, mint, started_at, ended_at, windows FROM collector_gaps"
            " ORDER BY started_at DESC, id LIMIT %s",
            [limit],
        ).fetchall()
    return [
        Gap(GapReason(reason), to_us(start), end and to_us(end), mint, windows, number)
        for number, reason, mint, start, end, windows in found
    ]
