"""Joins the adapters to the use cases; the only place that knows both."""

from collections.abc import Mapping
from dataclasses import dataclass

from kurswerk.bootstrap.database import database_source
from kurswerk.bootstrap.feature_cache import keep_features
from kurswerk.bootstrap.sessions import use_sessions_of
from kurswerk.bootstrap.settings import Settings, current_settings
from kurswerk.bootstrap.stores import Stores, open_stores
from kurswerk.storage.markets import MarketContextStore, PostgresInstruments, PostgresMarketStore
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database, upgrade
from kurswerk.training import TrainingStores

__all__ = ["Application", "current_settings", "open_application"]


@dataclass(frozen=True)
class Application:
    """A migrated database with everything that works on it."""

    settings: Settings
    stores: Stores
    context: MarketContextStore

    @property
    def database(self) -> Database:
        """The database itself."""
        return self.stores.database

    @property
    def markets(self) -> Mapping[str, PostgresMarketStore]:
        """The rows of each registered market, by its name."""
        return self.stores.markets

    @property
    def instruments(self) -> Mapping[str, PostgresInstruments]:
        """The instruments of each market that keeps series, by its name."""
        return self.stores.instruments

    @property
    def models(self) -> PostgresModelStore:
        """Models and their artifacts."""
        return self.stores.models

    @property
    def results(self) -> PostgresResultStore:
        """Tests and comparisons."""
        return self.stores.results

    @property
    def activations(self) -> PostgresActivationStore:
        """Which models predict every new row."""
        return self.stores.activations

    @property
    def training(self) -> TrainingStores:
        """What trainings, tests, comparisons and certificates work with."""
        return self.stores.training()


def open_application(settings: Settings | None = None) -> Application:
    """Start the embedded database if none is configured, migrate it, and join everything to it."""
    settings = settings or current_settings()
    use_sessions_of(settings.data_dir)
    keep_features(settings)
    database = Database(database_source(settings))
    upgrade(database)
    return Application(
        settings=settings,
        stores=open_stores(database, alert_threshold=settings.alerts.threshold, archive_dir=settings.archive_dir),
        context=MarketContextStore(database),
    )
