"""Model versions, their artifacts and certificates."""

from kurswerk.evaluation import Metrics
from kurswerk.registry._artifacts import common_market, load_model, market_of, plan_of
from kurswerk.registry._records import (
    MODEL_STATUSES,
    Comparison,
    ModelRecord,
    NewModel,
    TestResult,
    TrainedVersion,
)
from kurswerk.registry.ports import Listing, ModelStore, PageRequest, ResultStore

__all__ = [
    "MODEL_STATUSES",
    "Comparison",
    "Listing",
    "Metrics",
    "ModelRecord",
    "ModelStore",
    "NewModel",
    "PageRequest",
    "ResultStore",
    "TestResult",
    "TrainedVersion",
    "common_market",
    "load_model",
    "market_of",
    "plan_of",
]
