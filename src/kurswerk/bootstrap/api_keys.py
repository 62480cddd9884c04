"""Who may call the API."""

from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.database import database_url
from kurswerk.storage.operations import SCOPES, ApiKey, PostgresKeyStore
from kurswerk.storage.server import Database, upgrade

__all__ = ["SCOPES", "ApiKey", "open_key_store"]


def open_key_store() -> PostgresKeyStore:
    """Return the API keys of the database that the settings name, migrated."""
    database = Database(database_url(current_settings()))
    upgrade(database)
    return PostgresKeyStore(database)
