"""Joins the API's ports to the adapters of one database."""

from collections.abc import Callable
from pathlib import Path

from kurswerk.api import ApiPorts
from kurswerk.api.ports import PredictionFeed
from kurswerk.bootstrap.job_kinds import job_files, job_kinds
from kurswerk.bootstrap.quality import MarketQuality
from kurswerk.bootstrap.stores import Stores
from kurswerk.channels import KINDS
from kurswerk.jobs import JobService
from kurswerk.observability import HealthReport
from kurswerk.storage.jobs import PostgresJobStore
from kurswerk.storage.operations import PostgresChangeFeed, PostgresKeyStore
from kurswerk.storage.predictions import PostgresAlertStore, PostgresPredictionFeed
from kurswerk.storage.registry import PostgresActivationStore, PostgresCatalog


def api_services(
    stores: Stores,
    data_dir: Path,
    *,
    stream: PredictionFeed | None = None,
    health: Callable[[], HealthReport],
    metrics_text: Callable[[], bytes],
    on_request: Callable[[str, str, int, float], None],
    memory_budget_bytes: int | None = None,
) -> ApiPorts:
    """Return what the API works with.

    Parameters
    ----------
    data_dir
        The folder of the files that jobs write.
    stream
        Reports stored predictions; None listens on a connection of its own.
    health, metrics_text, on_request
        As in `kurswerk.api.ApiPorts`.
    memory_budget_bytes
        What one job may take; None is unlimited.
    """
    database, files = stores.database, job_files(data_dir)
    kinds = job_kinds(stores.training(memory_budget_bytes), files)
    return ApiPorts(
        catalog=PostgresCatalog(database),
        jobs=JobService(kinds, PostgresJobStore(database, kinds)),
        job_files=files,
        models=stores.models,
        markets=stores.markets,
        instruments=stores.instruments,
        watchlists=stores.watchlists,
        predictions=stores.predictions,
        activations=PostgresActivationStore(database),
        outcomes=stores.outcome_log,
        quality=MarketQuality(stores.markets, data_dir / "quarantine").check,
        stream=stream or PostgresPredictionFeed(database),
        alerts=PostgresAlertStore(database, KINDS),
        channels=KINDS,
        keys=PostgresKeyStore(database),
        changes=PostgresChangeFeed(database),
        health=health,
        metrics_text=metrics_text,
        on_request=on_request,
    )
