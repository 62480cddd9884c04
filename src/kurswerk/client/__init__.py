"""A typed client for a Kurswerk service: order trainings, wait for them, read what came out.

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
    Order,
    Page,
    Phase,
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
    "Order",
    "Page",
    "Phase",
    "ProgressLine",
    "TestResult",
    "silent",
]
