"""Stored predictions, their alerts, and notifications about both."""

from kurswerk.storage.predictions._alerts import PostgresAlertStore, add_deliveries, add_notice, rules_in_force
from kurswerk.storage.predictions._feed import PostgresPredictionFeed
from kurswerk.storage.predictions._partitions import Partition, create_partitions, prediction_partitions
from kurswerk.storage.predictions._retention import PredictionRetention, retain_predictions
from kurswerk.storage.predictions._shared_feed import FeedBatch, SharedPredictionFeed
from kurswerk.storage.predictions._store import PostgresPredictionStore
from kurswerk.storage.predictions._writer import PredictionWriter

__all__ = [
    "FeedBatch",
    "Partition",
    "PostgresAlertStore",
    "PostgresPredictionFeed",
    "PostgresPredictionStore",
    "PredictionRetention",
    "PredictionWriter",
    "SharedPredictionFeed",
    "add_deliveries",
    "add_notice",
    "create_partitions",
    "prediction_partitions",
    "retain_predictions",
    "rules_in_force",
]
