"""Running the service: API keys, retention, notifications of changed tables, live replicas, status, watchlists."""

from kurswerk.storage.operations._api_keys import SCOPES, ApiKey, PostgresKeyStore
from kurswerk.storage.operations._changes import PostgresChangeFeed
from kurswerk.storage.operations._moments import sealed_moments
from kurswerk.storage.operations._replicas import ALIVE, SILENT
from kurswerk.storage.operations._retention import Retention, clean_up
from kurswerk.storage.operations._retention_loop import clean_up_regularly
from kurswerk.storage.operations._service_status import ServiceStatus, service_status
from kurswerk.storage.operations._watchlists import PostgresWatchlists

__all__ = [
    "ALIVE",
    "SCOPES",
    "SILENT",
    "ApiKey",
    "PostgresChangeFeed",
    "PostgresKeyStore",
    "PostgresWatchlists",
    "Retention",
    "ServiceStatus",
    "clean_up",
    "clean_up_regularly",
    "sealed_moments",
    "service_status",
]
