"""Driver errors become ours, with the constraint's name and without the password."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kurswerk.core.errors import ConstraintError, DatabaseUnavailableError, InvalidInputError, StorageError

# Connection lost, login refused, no such database, too many connections, server going down or coming up.
_UNREACHABLE = ("08", "28", "3D", "53300", "57P")
_DRIVER_SUFFIX = re.compile(r"^(postgres(?:ql)?)\+\w+://")


def plain_url(url: str) -> str:
    """Return a URL that libpq understands; ``postgresql+psycopg://`` loses its driver.

    Raises
    ------
    InvalidInputError
        If it is no PostgreSQL URL; the text itself is not repeated, because it may hold a password.

    Examples
    --------
    >>> plain_url("postgresql+psycopg://me@host/db")
    'postgresql://me@host/db'
    """
    plain = _DRIVER_SUFFIX.sub(r"\1://", url.strip())
    try:
        parts = conninfo_to_dict(plain) if plain else {}
    except psycopg.Error:
        parts = {}
    if not parts:
        raise InvalidInputError("database.url_unreadable")
    return plain


def describe_url(url: str) -> str:
    """Return where a URL points, without its password.

    Examples
    --------
    >>> describe_url("postgresql://me:secret@host:5433/db")
    'database db on host:5433 as me'
    """
    parts = conninfo_to_dict(url)
    host = parts.get("host") or parts.get("hostaddr") or "the default host"
    port = f":{parts['port']}" if parts.get("port") else ""
    name = parts.get("dbname") or parts.get("user") or "(default)"
    user = f" as {parts['user']}" if parts.get("user") else ""
    return f"database {name} on {host}{port}{user}"


def _is_unreachable(error: Exception, sqlstate: str | None) -> bool:
    if sqlstate is None:  # the server never answered
        return isinstance(error, psycopg.OperationalError)
    return sqlstate.startswith(_UNREACHABLE)


def _without_password(text: str, url: str) -> str:
    password = conninfo_to_dict(url).get("password")
    return text.replace(str(password), "***") if password else text


def translated(error: Exception, url: str) -> StorageError:
    """Return our error for one of psycopg, SQLAlchemy or ADBC (which wrap or mimic psycopg's fields)."""
    original = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None)
    diag = getattr(original, "diag", None)
    text = getattr(diag, "message_primary", None) or str(original)
    detail = getattr(diag, "message_detail", None)
    text = _without_password(" ".join(text.split()) + (f" ({detail})" if detail else ""), url)
    if _is_unreachable(original, state):
        return DatabaseUnavailableError("database.unreachable", database=describe_url(url), reason=text)
    if state is not None and state.startswith("23"):
        constraint = getattr(diag, "constraint_name", None) or getattr(diag, "column_name", None) or ""
        return ConstraintError("database.row_refused", reason=text, constraint=constraint)
    return StorageError("database.statement_refused", reason=text)


@contextmanager
def translating(url: str) -> Iterator[None]:
    """Turn psycopg's errors inside the block into ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translated(error, url) from error
