"""A market, trained models, and a reader of the pages over both, all in memory."""

import pytest

from kurswerk.market import Panel
from memory_dashboard import Browser, Registry, services_over, trained_registry
from memory_market import random_market


@pytest.fixture(scope="session")
def panel() -> Panel:
    return random_market()


@pytest.fixture(scope="session")
def trained(panel: Panel) -> Registry:
    return trained_registry(panel)


@pytest.fixture
def registry(trained: Registry) -> Registry:
    """The trained models; what a test changes is gone after it."""
    found = Registry()
    found.records, found.artifacts = dict(trained.records), dict(trained.artifacts)
    found.tests, found.comparisons = list(trained.tests), list(trained.comparisons)
    return found


@pytest.fixture
def browser(panel: Panel, registry: Registry) -> Browser:
    return Browser(services_over(panel, registry))
