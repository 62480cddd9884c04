"""A typed client for a Kurswerk service: order trainings, wait for them, read results and predictions.

`Client` for ordinary programs, `AsyncClient` with the same methods for asyncio.
"""

from kurswerk.client._async_client import AsyncClient
from kurswerk.client._client import Client
from kurswerk.client._progress import ProgressLine, silent
from kurswerk.client._records import (
    Availability,
    Comparison,
    Health,
    Job,
    JobLine,
    Model,
    ModelPrediction,
    Order,
    Page,
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
    "Health",
    "Job",
    "JobLine",
    "Model",
    "ModelPrediction",
    "Order",
    "Page",
    "Phase",
    "Prediction",
    "ProgressLine",
    "RowPredictions",
    "TestResult",
    "silent",
]
