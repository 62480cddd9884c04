"""A role of the tests' server that has to show a password, and a file that holds the URL with it."""

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

NAME = "rotating"


class PasswordRole:
    """A superuser whose password changes, as a service's environment names it.

    Parameters
    ----------
    server
        URL of a superuser who needs none, on a server whose ``pg_hba.conf`` can be written from here.
    file
        Holds the URL that a service is given.
    """

    def __init__(self, server: str, file: Path) -> None:
        self._server, self.file = server, file
        self._password = secrets.token_hex(8)
        with self._connected() as connection:
            connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN").format(sql.Identifier(NAME)))
        self.change_in_server()

    def url(self) -> str:
        """Return the URL with the password that the role is about to have, or has."""
        parts = urlsplit(self._server)
        return urlunsplit(parts._replace(netloc=f"{NAME}:{self._password}@{parts.netloc.rpartition('@')[2]}"))

    def write_file(self) -> None:
        """Replace the file in one step, as orchestrators do."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(self.url() + "\n")
        fresh.replace(self.file)

    def choose(self) -> None:
        """Choose another password, which neither the file nor the server has yet."""
        self._password = secrets.token_hex(8)

    def change_in_server(self) -> None:
        """Have the server accept the password that was chosen, and no other."""
        with self._connected() as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(NAME), sql.Literal(self._password))
            )

    def end_sessions(self) -> int:
        """End all sessions of the role, so that each has to be opened again; return how many there were."""
        with self._connected() as connection:
            query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s"
            row = connection.execute(query, [NAME]).fetchone()
        return int(row[0]) if row else 0

    def drop(self) -> None:
        """Remove the role with what it owns in this database."""
        self.end_sessions()
        with self._connected() as connection, contextlib.suppress(psycopg.errors.DependentObjectsStillExist):
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(sql.Identifier(NAME)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(NAME)))

    def _connected(self) -> psycopg.Connection:
        return psycopg.connect(self._server, autocommit=True)


@contextmanager
def password_role(server: str, file: Path) -> Iterator[PasswordRole]:
    """Give a role that the server asks for its password, and put it into the file."""
    with psycopg.connect(server, autocommit=True) as connection:
        row = connection.execute("SHOW hba_file").fetchone()
        rules = Path(row[0] if row else "")
        before = rules.read_text()
        rules.write_text(f"local all {NAME} scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
    role = PasswordRole(server, file)
    role.write_file()
    try:
        yield role
    finally:
        role.drop()
        rules.write_text(before)
