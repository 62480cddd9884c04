"""PostgreSQL: embedded or external, migrations, coin metrics, models and their results, API keys.

Names are imported when they are first used, because ``kurswerk db url`` shall not wait for Arrow and numba.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kurswerk.storage._activations import PostgresActivationStore
    from kurswerk.storage._alerts import PostgresAlertStore
    from kurswerk.storage._api_keys import SCOPES, ApiKey, PostgresKeyStore
    from kurswerk.storage._catalog import Listing, Page, PostgresCatalog
    from kurswerk.storage._changes import PostgresChangeFeed
    from kurswerk.storage._coin_coverage import coin_coverage
    from kurswerk.storage._coin_metrics import CoinMetricsStore
    from kurswerk.storage._database import Database
    from kurswerk.storage._embedded import EmbeddedPostgres, ServerStatus
    from kurswerk.storage._feed import PostgresFeedSession
    from kurswerk.storage._feed_source import install_feed, remove_feed
    from kurswerk.storage._json import jsonb
    from kurswerk.storage._market_context import MarketContextStore
    from kurswerk.storage._models import PostgresModelStore
    from kurswerk.storage._prediction_feed import PostgresPredictionFeed
    from kurswerk.storage._predictions import PostgresPredictionStore, PredictionFilter
    from kurswerk.storage._results import PostgresResultStore
    from kurswerk.storage._revisions import HEAD
    from kurswerk.storage._schema import (
        SchemaStatus,
        TableStatus,
        current_revision,
        downgrade,
        schema_status,
        upgrade,
    )
    from kurswerk.storage._service_figures import ServiceFigures, service_figures
    from kurswerk.storage._tidying import tidy

__all__ = [
    "HEAD",
    "SCOPES",
    "ApiKey",
    "CoinMetricsStore",
    "Database",
    "EmbeddedPostgres",
    "Listing",
    "MarketContextStore",
    "Page",
    "PostgresActivationStore",
    "PostgresAlertStore",
    "PostgresCatalog",
    "PostgresChangeFeed",
    "PostgresFeedSession",
    "PostgresKeyStore",
    "PostgresModelStore",
    "PostgresPredictionFeed",
    "PostgresPredictionStore",
    "PostgresResultStore",
    "PredictionFilter",
    "SchemaStatus",
    "ServerStatus",
    "ServiceFigures",
    "TableStatus",
    "coin_coverage",
    "current_revision",
    "downgrade",
    "install_feed",
    "jsonb",
    "remove_feed",
    "schema_status",
    "service_figures",
    "tidy",
    "upgrade",
]

_MODULES = {
    "_activations": ("PostgresActivationStore",),
    "_alerts": ("PostgresAlertStore",),
    "_api_keys": ("SCOPES", "ApiKey", "PostgresKeyStore"),
    "_catalog": ("Listing", "Page", "PostgresCatalog"),
    "_changes": ("PostgresChangeFeed",),
    "_coin_coverage": ("coin_coverage",),
    "_coin_metrics": ("CoinMetricsStore",),
    "_database": ("Database",),
    "_embedded": ("EmbeddedPostgres", "ServerStatus"),
    "_feed": ("PostgresFeedSession",),
    "_feed_source": ("install_feed", "remove_feed"),
    "_json": ("jsonb",),
    "_market_context": ("MarketContextStore",),
    "_models": ("PostgresModelStore",),
    "_prediction_feed": ("PostgresPredictionFeed",),
    "_predictions": ("PostgresPredictionStore", "PredictionFilter"),
    "_results": ("PostgresResultStore",),
    "_revisions": ("HEAD",),
    "_schema": ("SchemaStatus", "TableStatus", "current_revision", "downgrade", "schema_status", "upgrade"),
    "_service_figures": ("ServiceFigures", "service_figures"),
    "_tidying": ("tidy",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kurswerk.storage' has no attribute '{name}'")
    return getattr(importlib.import_module(f"kurswerk.storage.{_HOME[name]}"), name)
