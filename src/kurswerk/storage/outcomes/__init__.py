"""Outcomes of predictions: judged, corrected, read."""

from kurswerk.storage.outcomes._log import PostgresOutcomeLog
from kurswerk.storage.outcomes._store import PostgresOutcomeStore

__all__ = ["PostgresOutcomeLog", "PostgresOutcomeStore"]
