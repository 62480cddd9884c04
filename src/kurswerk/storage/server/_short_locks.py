"""Statements that need strong locks, beside those who read and write all the time."""

import time

import psycopg

_PAUSE_S = 0.5


def execute_without_queueing(
    connection: psycopg.Connection, statements: tuple[str, ...], *, timeout_ms: int = 500, patience_s: float = 300.0
) -> None:
    """Execute statements, all or none, in the caller's transaction; nobody waits for their locks for long.

    Whoever asks for a lock has everybody after it wait, until those that it waits for have ended. Therefore it is
    given up after a moment, and tried again after a pause.

    Parameters
    ----------
    timeout_ms
        How long each lock is waited for.
    patience_s
        For how long it is tried.

    Raises
    ------
    psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected
        If others did not let go of what they hold in that time.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {timeout_ms}".encode())
                for statement in statements:
                    connection.execute(statement.encode())
                connection.execute("SET LOCAL lock_timeout = 0")
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return
