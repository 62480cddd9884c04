"""``ml_job_log``: a job's log, line by line, written in the transaction that changes the job's row."""

from typing import Any, Final, Literal

from psycopg import Connection

from kurswerk.core.messages import Message
from kurswerk.storage.server import stored_message

# Of one run. Progress stops a little earlier, so that how the run ended is never lost.
MOST_LINES: Final = 1000
_MOST_LINES_OF_PROGRESS: Final = MOST_LINES - 10

Level = Literal["info", "warning", "error"]

# The lines of a run follow one another: there is room as long as the line that many places back is of another run.
_WRITE = """
INSERT INTO ml_job_log (job_id, attempt, level, message, detail)
SELECT %(job_id)s, %(attempt)s, %(level)s, %(text)s, %(detail)s
WHERE (SELECT attempt FROM ml_job_log WHERE job_id = %(job_id)s ORDER BY id DESC OFFSET %(most)s - 1 LIMIT 1)
    IS DISTINCT FROM %(attempt)s"""


def write_line(
    connection: Connection[Any], job_id: int, attempt: int, message: Message, *, level: Level = "info"
) -> None:
    """Add a line to a job's log, unless its run has used up its lines.

    Call it after the statement that changes the job's row, in the same transaction: the row's lock puts the lines of a
    job in order.
    """
    _write(connection, job_id, attempt, message, level, MOST_LINES)


def write_progress(connection: Connection[Any], job_id: int, attempt: int, message: Message) -> None:
    """Add a line of progress; the last lines of a run are kept for how it ends."""
    _write(connection, job_id, attempt, message, "info", _MOST_LINES_OF_PROGRESS)


def _write(connection: Connection[Any], job_id: int, attempt: int, message: Message, level: Level, most: int) -> None:
    values = {"job_id": job_id, "attempt": attempt, "level": level, "most": most, **stored_message(message)}
    connection.execute(_WRITE, values)
