"""PostgreSQL: embedded or external, migrations, coin metrics, models and their results."""

from kurswerk.storage._coin_metrics import Availability, CoinMetricsStore
from kurswerk.storage._database import Database
from kurswerk.storage._embedded import EmbeddedPostgres, ServerStatus
from kurswerk.storage._market_context import MarketContextStore
from kurswerk.storage._models import PostgresModelStore
from kurswerk.storage._results import PostgresResultStore
from kurswerk.storage._schema import (
    SchemaStatus,
    TableStatus,
    current_revision,
    downgrade,
    schema_status,
    upgrade,
)

__all__ = [
    "Availability",
    "CoinMetricsStore",
    "Database",
    "EmbeddedPostgres",
    "MarketContextStore",
    "PostgresModelStore",
    "PostgresResultStore",
    "SchemaStatus",
    "ServerStatus",
    "TableStatus",
    "current_revision",
    "downgrade",
    "schema_status",
    "upgrade",
]
