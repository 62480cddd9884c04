"""Who may call the API: the keys in the database, and those that the settings name."""

from collections.abc import Sequence

from pydantic import SecretStr

from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.database import database_source
from kurswerk.core.errors import InvalidInputError
from kurswerk.observability import get_logger
from kurswerk.storage.operations import SCOPES, ApiKey, PostgresKeyStore
from kurswerk.storage.server import Database, upgrade

__all__ = ["SCOPES", "ApiKey", "configured_keys", "keep_configured_keys", "open_key_store"]

log = get_logger(__name__)


def open_key_store() -> PostgresKeyStore:
    """Return the API keys of the database that the settings name, migrated."""
    database = Database(database_source(current_settings()))
    upgrade(database)
    return PostgresKeyStore(database)


def keep_configured_keys(store: PostgresKeyStore, configured: SecretStr | None) -> None:
    """Make sure of the keys that ``KURSWERK_API_KEYS`` names; each takes the place of others of its name.

    Raises
    ------
    InvalidInputError
        As for `configured_keys`, or if a key is too short to be safe.
    UnknownNameError
        For an unknown scope.
    """
    for name, scope, key in configured_keys(configured.get_secret_value() if configured else ""):
        record = store.keep(name, [scope], key)
        if record.revoked_at is not None:
            log.warning("an API key of the settings has been revoked and stays so", name=name, prefix=record.prefix)


def configured_keys(text: str) -> Sequence[tuple[str, str, str]]:
    """Read keys as ``NAME:SCOPE:KEY``, parted by commas or lines.

    Raises
    ------
    InvalidInputError
        If an entry has another form; the message does not repeat it.

    Examples
    --------
    >>> configured_keys("n8n:train:kw_1, dashboard:read:kw_2")
    [('n8n', 'train', 'kw_1'), ('dashboard', 'read', 'kw_2')]
    """
    entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
    found = []
    for number, entry in enumerate(entries, 1):
        parts = [part.strip() for part in entry.split(":")]
        if len(parts) != 3 or not all(parts):
            raise InvalidInputError("api_key.wrong_form", number=number)
        found.append((parts[0], parts[1], parts[2]))
    return found
