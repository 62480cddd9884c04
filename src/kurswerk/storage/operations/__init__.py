"""Running the service: API keys, retention, notifications of changed tables, live replicas, metrics."""

from kurswerk.storage.operations._api_keys import SCOPES, ApiKey, PostgresKeyStore
from kurswerk.storage.operations._changes import PostgresChangeFeed
from kurswerk.storage.operations._replicas import ALIVE, SILENT
from kurswerk.storage.operations._retention import tidy
from kurswerk.storage.operations._service_metrics import ServiceFigures, service_figures

__all__ = [
    "ALIVE",
    "SCOPES",
    "SILENT",
    "ApiKey",
    "PostgresChangeFeed",
    "PostgresKeyStore",
    "ServiceFigures",
    "service_figures",
    "tidy",
]
