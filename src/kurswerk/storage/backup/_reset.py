"""What a restored database must not remember of the moment at which it was backed up: who was at work.

Leases are locks of sessions and are in no backup. Rows that waited in a feed wait there again, and are predicted once,
because their predictions were stored in the transaction that took them out.
"""

from collections.abc import Mapping

from psycopg import sql

from kurswerk.storage.backup._manifest import StoredSequence
from kurswerk.storage.server import Connection

# Table → statement, if the table is there.
_STATEMENTS = {
    # Lanes report themselves anew.
    "serving_replicas": "DELETE FROM serving_replicas",
    # Jobs that were at work wait again, as if their worker had been stopped. Each counts one run more, so that a worker
    # that still works on one of before the restore changes nothing any more.
    "ml_jobs": (
        "UPDATE ml_jobs SET attempt = attempt + 1, interruptions = interruptions + 1, progress = 0,"
        " status = 'PENDING', heartbeat_at = NULL WHERE status IN ('RUNNING', 'PENDING')"
    ),
    "procrastinate_jobs": "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE status = 'doing'",
    "procrastinate_workers": "DELETE FROM procrastinate_workers",
    # A collector that outlives the restore begins anew, from where the backup has it, and notes the gap. Who judges
    # outcomes holds a lock of its transaction, which is in no backup.
    "collectors": "UPDATE collectors SET owner = gen_random_uuid(), is_connected = false",
    # Processes that outlive the restore load every model anew.
    "ml_models": "UPDATE ml_models SET serving_epoch = serving_epoch + 1 WHERE is_active",
}


def reset(connection: Connection) -> None:
    """Clear away who was at work when the backup was made."""
    for table, statement in _STATEMENTS.items():
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchone()
        if row and row[0]:
            connection.execute(statement.encode())


def set_sequences(
    connection: Connection, sequences: tuple[StoredSequence, ...], at_least: Mapping[tuple[str, str], int]
) -> None:
    """Let sequences go on after what they gave.

    Parameters
    ----------
    at_least
        Schema and name → what the replaced database had already given: an id that was seen is never given to anything
        else.
    """
    for one in sequences:
        given = at_least.get((one.schema_name, one.name), one.last_value)
        value = max(one.last_value, given)
        connection.execute(
            "SELECT setval(%s::regclass, %s, %s)",
            [
                sql.Identifier(one.schema_name, one.name).as_string(connection),
                value,
                one.is_called or value > one.last_value,
            ],
        )


def sequence_values(connection: Connection) -> dict[tuple[str, str], int]:
    """Return what the sequences of a database have given, by schema and name; without those that gave nothing."""
    rows = connection.execute(
        "SELECT schemaname::text, sequencename::text, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
    )
    return {(schema, name): value for schema, name, value in rows}
