"""The server and what is in it: embedded PostgreSQL, connections, migrations, errors.

Importing it must stay cheap, because every command waits for it: no Arrow, numba, Alembic or SQLAlchemy.
"""

from kurswerk.storage.server._binaries import installed_programs
from kurswerk.storage.server._database import Connection, Database, UrlSource
from kurswerk.storage.server._embedded import EmbeddedPostgres, ServerStatus
from kurswerk.storage.server._errors import translated, translating
from kurswerk.storage.server._feed_trigger import FeedNames, trigger_creation, trigger_removal
from kurswerk.storage.server._joined_trigger import (
    JoinedSource,
    joined_sources,
    joined_trigger_creation,
    joined_trigger_name,
    joined_trigger_removal,
)
from kurswerk.storage.server._json import jsonb
from kurswerk.storage.server._market_tables import make_on_demand
from kurswerk.storage.server._messages import message_of, stored_message, stored_text
from kurswerk.storage.server._revisions import HEAD, MIGRATION_LOCK, RETENTION_LOCK
from kurswerk.storage.server._schema import (
    SchemaStatus,
    TableStatus,
    create_tables,
    current_revision,
    downgrade,
    schema_status,
    upgrade,
)
from kurswerk.storage.server._short_locks import execute_without_queueing

__all__ = [
    "HEAD",
    "MIGRATION_LOCK",
    "RETENTION_LOCK",
    "Connection",
    "Database",
    "EmbeddedPostgres",
    "FeedNames",
    "JoinedSource",
    "SchemaStatus",
    "ServerStatus",
    "TableStatus",
    "UrlSource",
    "create_tables",
    "current_revision",
    "downgrade",
    "execute_without_queueing",
    "installed_programs",
    "joined_sources",
    "joined_trigger_creation",
    "joined_trigger_name",
    "joined_trigger_removal",
    "jsonb",
    "make_on_demand",
    "message_of",
    "schema_status",
    "stored_message",
    "stored_text",
    "translated",
    "translating",
    "trigger_creation",
    "trigger_removal",
    "upgrade",
]
