"""Stored predictions, their alerts, and notifications about both."""

from kurswerk.storage.predictions._alerts import PostgresAlertStore, add_deliveries, rules_in_force
from kurswerk.storage.predictions._feed import PostgresPredictionFeed
from kurswerk.storage.predictions._store import PostgresPredictionStore
from kurswerk.storage.predictions._writer import PredictionWriter

__all__ = [
    "PostgresAlertStore",
    "PostgresPredictionFeed",
    "PostgresPredictionStore",
    "PredictionWriter",
    "add_deliveries",
    "rules_in_force",
]
