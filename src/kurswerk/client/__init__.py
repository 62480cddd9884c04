"""A typed client for a Kurswerk service: order trainings, wait for them, read results and predictions.

`Client` for ordinary programs, `AsyncClient` with the same methods for asyncio.
"""

from kurswerk.client._async_client import AsyncClient
from kurswerk.client._client import Client
from kurswerk.client._progress import ProgressLine, silent
from kurswerk.client._records import (
    Availability,
    Comparison,
    Estimate,
    Health,
    Job,
    JobLine,
    Model,
    ModelPrediction,
    Order,
    Outcome,
    Page,
    Performance,
    Phase,
    Prediction,
    RowPredictions,
    TestResult,
)

__all__ = [
    "AsyncClient",
    "Availability",
    "Client",
    "Comparison",
    "Estimate",
    "Health",
    "Job",
    "JobLine",
    "Model",
    "ModelPrediction",
    "Order",
    "Outcome",
    "Page",
    "Performance",
    "Phase",
    "Prediction",
    "ProgressLine",
    "RowPredictions",
    "TestResult",
    "silent",
]
