"""The statements that make a database's tables, written by PostgreSQL's own ``pg_dump``."""

import os
import re
import shutil
import subprocess  # runs pg_dump only  # nosec B404
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kurswerk.core.errors import StorageError
from kurswerk.storage.server import Database, installed_programs

# psql's own commands, and a parameter that servers before 17 do not know.
_NOT_STATEMENTS = re.compile(rb"^(\\(un)?restrict .*|SET transaction_timeout = .*)\n", re.MULTILINE)
_OPTIONS = (
    "--schema-only", "--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions",
    "--no-security-labels", "--no-tablespaces",
)  # fmt: skip


def schema_statements(database: Database, snapshot: str, server_version: str, section: str) -> bytes:
    """Return the statements of one section, ``pre-data`` (tables) or ``post-data`` (keys, indexes, triggers).

    Parameters
    ----------
    snapshot
        The moment to look at.
    server_version
        The server's, such as ``"18.4"``; ``pg_dump`` reads servers of its own major version and older ones.

    Raises
    ------
    StorageError
        If there is no ``pg_dump`` that is new enough, or it fails.
    """
    program = _pg_dump(int(re.split(r"\D", server_version, maxsplit=1)[0]))
    parts = conninfo_to_dict(database.url)
    password = parts.pop("password", None)
    environment = {**os.environ, "LC_ALL": "C", **({"PGPASSWORD": str(password)} if password else {})}
    arguments = [*_OPTIONS, f"--section={section}", f"--snapshot={snapshot}", "--dbname", make_conninfo(**parts)]  # type: ignore[arg-type]  # values as they were read
    done = subprocess.run([program, *arguments], capture_output=True, env=environment, check=False)  # noqa: S603 - a fixed program  # nosec B603
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())[-600:]
        raise StorageError("backup.schema_failed", reason=reason)
    return _NOT_STATEMENTS.sub(b"", done.stdout)


def _pg_dump(major: int) -> Path:
    """Return a ``pg_dump`` for servers of a major version: the wheel's, else the operator's own."""
    programs = installed_programs()
    newest = max(programs)
    if major <= newest:
        return programs[newest] / "pg_dump"
    own = shutil.which("pg_dump")
    if own:
        answer = subprocess.run([own, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - as named by PATH  # nosec B603
        found = re.search(r"(\d+)", answer.stdout)
        if found and int(found.group(1)) >= major:
            return Path(own)
    raise StorageError("backup.no_pg_dump", version=major, installed=newest)
