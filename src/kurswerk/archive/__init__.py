"""Records that the database no longer holds, kept as Parquet and still found."""

from kurswerk.archive._manifest import Manifest
from kurswerk.archive._predictions import PREDICTION_SCHEMA, ArchivedQuery, PredictionArchive

__all__ = ["PREDICTION_SCHEMA", "ArchivedQuery", "Manifest", "PredictionArchive"]
