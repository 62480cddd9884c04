"""Models with their artifacts, test results, comparisons and activations, and lists of all of them."""

from kurswerk.storage.registry._activations import PostgresActivationStore
from kurswerk.storage.registry._catalog import PostgresCatalog
from kurswerk.storage.registry._models import PostgresModelStore
from kurswerk.storage.registry._results import PostgresResultStore

__all__ = [
    "PostgresActivationStore",
    "PostgresCatalog",
    "PostgresModelStore",
    "PostgresResultStore",
]
