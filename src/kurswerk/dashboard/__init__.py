"""The web interface: pages on the data, the models, the jobs and the predictions of one installation."""

from kurswerk.dashboard.ports import (
    Alert,
    ApiKey,
    ApiKeys,
    DashboardOptions,
    DashboardServices,
    DataIngestion,
    HealthReport,
    LivePredictions,
    MarketData,
    MinuteCount,
    Models,
    Prediction,
    PredictionBatch,
    Results,
    UploadedBars,
)
from kurswerk.dashboard.shell.mount import mount

__all__ = [
    "Alert",
    "ApiKey",
    "ApiKeys",
    "DashboardOptions",
    "DashboardServices",
    "DataIngestion",
    "HealthReport",
    "LivePredictions",
    "MarketData",
    "MinuteCount",
    "Models",
    "Prediction",
    "PredictionBatch",
    "Results",
    "UploadedBars",
    "mount",
]
