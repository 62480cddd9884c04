"""Joins the API's ports to the adapters of one database."""

from collections.abc import Callable

from kurswerk.api import Services
from kurswerk.jobs import ProcrastinateJobStore
from kurswerk.observability import HealthReport
from kurswerk.storage import (
    CoinMetricsStore,
    Database,
    PostgresActivationStore,
    PostgresAlertStore,
    PostgresCatalog,
    PostgresChangeFeed,
    PostgresKeyStore,
    PostgresModelStore,
    PostgresPredictionFeed,
    PostgresPredictionStore,
    PostgresResultStore,
)
from kurswerk.training import OrderDesk


def api_services(
    database: Database,
    *,
    health: Callable[[], HealthReport],
    metrics_text: Callable[[], bytes],
    on_request: Callable[[str, str, int, float], None],
    memory_budget_bytes: int | None = None,
) -> Services:
    """Return what the API works with.

    Parameters
    ----------
    health, metrics_text, on_request
        As in `kurswerk.api.Services`.
    memory_budget_bytes
        What one job may take; None is unlimited.
    """
    desk = OrderDesk(
        market=CoinMetricsStore(database),
        models=PostgresModelStore(database),
        results=PostgresResultStore(database),
        jobs=ProcrastinateJobStore(database),
        memory_budget_bytes=memory_budget_bytes,
    )
    return Services(
        catalog=PostgresCatalog(database),
        desk=desk,
        predictions=PostgresPredictionStore(database),
        activations=PostgresActivationStore(database),
        stream=PostgresPredictionFeed(database),
        alerts=PostgresAlertStore(database),
        keys=PostgresKeyStore(database),
        changes=PostgresChangeFeed(database),
        health=health,
        metrics_text=metrics_text,
        on_request=on_request,
    )
