"""Models as several pages look them up."""

from collections.abc import Mapping, Sequence

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.registry import ModelRecord


def model_names(app: DashboardApp) -> Mapping[int, str]:
    """Return id → name of all models."""
    return app.cache.get(
        "model-names", lambda: {one.id: one.name for one in app.services.models.find(limit=1000)}, max_age_s=3
    )


def ready_models(app: DashboardApp) -> Sequence[ModelRecord]:
    """Return the models that can be used."""
    return app.services.models.find(status="READY", limit=1000)
