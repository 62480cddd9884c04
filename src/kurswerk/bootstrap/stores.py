"""What is kept in one database: the one place that makes its stores, those of every registered market among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kurswerk.archive import PredictionArchive
from kurswerk.market import MARKETS
from kurswerk.storage.markets import PostgresInstruments, PostgresMarketStore
from kurswerk.storage.operations import PostgresWatchlists
from kurswerk.storage.outcomes import PostgresOutcomeLog, PostgresOutcomeStore
from kurswerk.storage.predictions import PostgresPredictionFeed, PostgresPredictionStore
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database
from kurswerk.training import TrainingStores


@dataclass(frozen=True)
class Stores:
    """The stores of one database.

    Attributes
    ----------
    markets
        Name of a registered market → its rows.
    instruments
        Name of a market that keeps series → its instruments.
    """

    database: Database
    markets: Mapping[str, PostgresMarketStore]
    instruments: Mapping[str, PostgresInstruments]
    models: PostgresModelStore
    results: PostgresResultStore
    activations: PostgresActivationStore
    predictions: PostgresPredictionStore
    prediction_feed: PostgresPredictionFeed
    outcomes: PostgresOutcomeStore
    outcome_log: PostgresOutcomeLog
    watchlists: PostgresWatchlists

    def training(self, memory_budget_bytes: int | None = None) -> TrainingStores:
        """Return what trainings, tests, comparisons and certificates work with.

        Parameters
        ----------
        memory_budget_bytes
            What one of them may take; None is unlimited.
        """
        return TrainingStores(self.markets, self.models, self.results, memory_budget_bytes)


def open_stores(database: Database, *, alert_threshold: float | None = None, archive_dir: Path | None = None) -> Stores:
    """Return the stores of a database.

    Parameters
    ----------
    alert_threshold
        What a model that is ordered begins with; None is the database's default.
    archive_dir
        Where predictions of dropped partitions are; without it these are not found.
    """
    return Stores(
        database=database,
        markets={name: PostgresMarketStore(database, market) for name, market in MARKETS.items()},
        instruments={name: PostgresInstruments(database, market) for name, market in MARKETS.items() if market.series},
        models=PostgresModelStore(database, alert_threshold=alert_threshold),
        results=PostgresResultStore(database),
        activations=PostgresActivationStore(database),
        predictions=PostgresPredictionStore(database, None if archive_dir is None else PredictionArchive(archive_dir)),
        prediction_feed=PostgresPredictionFeed(database),
        outcomes=PostgresOutcomeStore(database),
        outcome_log=PostgresOutcomeLog(database),
        watchlists=PostgresWatchlists(database),
    )
