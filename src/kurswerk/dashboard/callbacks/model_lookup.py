"""Models as several pages look them up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.pages import instrument_path
from kurswerk.market import DEFAULT_MARKET
from kurswerk.registry import ModelRecord


@dataclass(frozen=True)
class ModelLabels:
    """What is shown of the models that predictions and alerts name by number.

    Attributes
    ----------
    names, markets
        Id → name, id → the market whose rows the model predicts.
    """

    names: Mapping[int, str]
    markets: Mapping[int, str]

    def name(self, model_id: int) -> str:
        """Return a model's name; its number if it is there no more."""
        return self.names.get(model_id, f"#{model_id}")

    def market(self, model_id: int) -> str:
        """Return whose rows a model predicts; coins' if it is there no more."""
        return self.markets.get(model_id, DEFAULT_MARKET)

    def instrument_path(self, model_id: int, key: str) -> str:
        """Return the address of an instrument that a model predicts."""
        return instrument_path(self.market(model_id), key)


def model_labels(app: DashboardApp) -> ModelLabels:
    """Return what is shown of all models, at most three seconds old."""

    def load() -> ModelLabels:
        found = app.services.models.find(limit=1000)
        markets = {one.id: str(one.spec.get("market") or DEFAULT_MARKET) for one in found}
        return ModelLabels({one.id: one.name for one in found}, markets)

    return app.cache.get("model-labels", load, max_age_s=3)


def model_names(app: DashboardApp) -> Mapping[int, str]:
    """Return id → name of all models."""
    return model_labels(app).names


def ready_models(app: DashboardApp) -> Sequence[ModelRecord]:
    """Return the models that can be used."""
    return app.services.models.find(status="READY", limit=1000)
