"""``api_keys``: who may call the API. A key itself is never stored."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg.rows import DictRow, dict_row

from kurswerk.core.errors import InvalidInputError, NotFoundError, UnknownNameError, name_hint
from kurswerk.storage.server import Database

SCOPES = ("read", "train", "admin")
_MARK = "kw_"  # shows what a leaked key belongs to; logs hide what begins with it
_RANDOM_BYTES = 32
_SHOWN = 11
_LONGEST_KEY = 200
# A key that somebody gives: nobody must find it by trying, and its characters are safe in headers and shells.
_LEAST_GIVEN = 32
_GIVEN_KEY = re.compile(rf"{_MARK}[A-Za-z0-9_-]{{{_LEAST_GIVEN},{_LONGEST_KEY - len(_MARK)}}}")
_LONGEST_NAME = 100
# A key that was replaced is revoked at a moment to come.
_USABLE = "(revoked_at IS NULL OR revoked_at > now())"


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; ``prefix`` is its beginning, by which its owner recognises it.

    Each scope includes the ones before it: ``read``, ``train`` (order and cancel jobs, change models), ``admin``
    (delete models, decide which ones predict).
    """

    id: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    def allows(self, scope: str) -> bool:
        """Whether a call that needs ``scope`` may be made."""
        return max(map(SCOPES.index, self.scopes), default=-1) >= SCOPES.index(scope)


class PostgresKeyStore:
    """API keys in PostgreSQL, by their SHA-256.

    A plain hash is enough: a key has 256 random bits, so that nobody finds it by trying, as one would a password.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, scopes: Sequence[str]) -> tuple[ApiKey, str]:
        """Make a key and return what is known of it, and the key, which cannot be read again.

        Raises
        ------
        InvalidInputError
            If the name is empty, longer than 100 characters, or there are no scopes.
        UnknownNameError
            For an unknown scope.
        """
        _check(name, scopes)
        key = _MARK + secrets.token_urlsafe(_RANDOM_BYTES)
        row = self._one(
            "INSERT INTO api_keys (name, key_hash, prefix, scopes) VALUES (%s, %s, %s, %s) RETURNING *",
            [name, _digest(key), key[:_SHOWN], [scope for scope in SCOPES if scope in scopes]],
        )
        if row is None:
            raise InvalidInputError("api_key.not_stored", name=name)
        return _key_of(row), key

    def rotate(self, key: int | str, grace_s: float) -> tuple[ApiKey, str, ApiKey]:
        """Make a key of the same name and scopes as another one, which is revoked after so many seconds.

        Returns
        -------
        tuple
            What is known of the new key, the new key, and what is known of the old one.

        Raises
        ------
        NotFoundError, InvalidInputError
            As for `revoke`.
        """
        with self._database.transaction():
            old = self._usable(key)
            made, secret = self.create(old.name, old.scopes)
            row = self._one(
                "UPDATE api_keys SET revoked_at = now() + %s * interval '1 second' WHERE id = %s RETURNING *",
                [grace_s, old.id],
            )
        return made, secret, _key_of(row) if row else old

    def keep(self, name: str, scopes: Sequence[str], key: str) -> ApiKey:
        """Make sure of a key that somebody else has made, and return what is known of it; revoke others of its name.

        One that has been revoked stays so.

        Raises
        ------
        InvalidInputError
            If the name or the key is none.
        UnknownNameError
            For an unknown scope.
        """
        _check(name, scopes)
        if not _GIVEN_KEY.fullmatch(key):
            raise InvalidInputError("api_key.unsafe", name=name, mark=_MARK, least=_LEAST_GIVEN)
        parameters = [name, _digest(key), key[:_SHOWN], [scope for scope in SCOPES if scope in scopes]]
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            # Written only where something differs: a change of this table empties every server's cache of keys.
            cursor.execute(
                "INSERT INTO api_keys AS old (name, key_hash, prefix, scopes) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (key_hash) DO UPDATE SET name = excluded.name, scopes = excluded.scopes"
                " WHERE (old.name, old.scopes) IS DISTINCT FROM (excluded.name, excluded.scopes)",
                parameters,
            )
            cursor.execute(
                "UPDATE api_keys SET revoked_at = now() WHERE name = %s AND key_hash <> %s AND revoked_at IS NULL",
                parameters[:2],
            )
            found = cursor.execute("SELECT * FROM api_keys WHERE key_hash = %s", [parameters[1]]).fetchone()
        if found is None:
            raise InvalidInputError("api_key.not_stored", name=name)
        return _key_of(found)

    def find(self, key: str) -> ApiKey | None:
        """Return what is known of a key, None if it is unknown or revoked; notes its use, to the minute."""
        if not key.startswith(_MARK) or len(key) > _LONGEST_KEY:
            return None
        digest = _digest(key)
        row = self._one(f"SELECT * FROM api_keys WHERE key_hash = %s AND {_USABLE}", [digest])  # noqa: S608 - a constant  # nosec B608
        if row is None or not hmac.compare_digest(row["key_hash"], digest):
            return None
        self._note_use(row["id"])
        return _key_of(row)

    def all(self) -> list[ApiKey]:
        """Return all keys, revoked ones too, by id."""
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [_key_of(row) for row in cursor.execute("SELECT * FROM api_keys ORDER BY id")]

    def any_usable(self) -> bool:
        """Whether there is a key that has not been revoked."""
        return self._one(f"SELECT 1 AS found FROM api_keys WHERE {_USABLE} LIMIT 1", []) is not None  # noqa: S608 - a constant  # nosec B608

    def revoke(self, key: int | str) -> ApiKey:
        """Revoke a key by id, name or prefix, and return it; all of several with one name are not touched.

        Raises
        ------
        NotFoundError
            If no usable key is called that.
        InvalidInputError
            If several are.
        """
        statement = "UPDATE api_keys SET revoked_at = least(revoked_at, now()) WHERE id = %s RETURNING *"
        found = self._usable(key)
        row = self._one(statement, [found.id])
        return _key_of(row) if row else found

    def _usable(self, key: int | str) -> ApiKey:
        """Return the one key that is called so and is not revoked yet."""
        now = datetime.now(UTC)
        usable = [record for record in self.all() if record.revoked_at is None or record.revoked_at > now]
        named = [record for record in usable if str(key) in {str(record.id), record.name, record.prefix}]
        if not named:
            hint = name_hint(str(key), [record.name for record in usable])
            raise NotFoundError("api_key.unknown", name=str(key), hint=hint)
        if len(named) > 1:
            raise InvalidInputError("api_key.ambiguous", count=len(named), name=key, ids=[str(r.id) for r in named])
        return named[0]

    def _note_use(self, key_id: int) -> None:
        statement = (
            "UPDATE api_keys SET last_used_at = now() WHERE id = %s"
            " AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')"
        )
        with self._database.connection() as connection:
            connection.execute(statement, [key_id])

    def _one(self, statement: str, parameters: Sequence[object]) -> DictRow | None:
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            # Callers pass literals: no statement is put together from what anybody sent.
            return cursor.execute(statement.encode(), parameters).fetchone()


def _check(name: str, scopes: Sequence[str]) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or "\0" in name:
        raise InvalidInputError("api_key.name_length", most=_LONGEST_NAME, length=len(name))
    for scope in scopes:
        if scope not in SCOPES:
            raise UnknownNameError("api_key.unknown_scope", name=scope, known=SCOPES)
    if not scopes:
        raise InvalidInputError("api_key.no_scope", scopes=SCOPES)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _key_of(row: DictRow) -> ApiKey:
    def utc(moment: datetime | None) -> datetime | None:
        return moment and moment.astimezone(UTC)

    return ApiKey(
        id=row["id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=tuple(row["scopes"]),
        created_at=row["created_at"].astimezone(UTC),
        last_used_at=utc(row["last_used_at"]),
        revoked_at=utc(row["revoked_at"]),
    )
