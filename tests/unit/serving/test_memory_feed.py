"""The feed in memory keeps the properties that lanes rely on, so that lanes can be tested without a server."""

import pytest

from contracts.feed_session import FeedSessionContract
from memory_world import MemoryWorld


class TestMemoryFeed(FeedSessionContract):
    """The properties, in memory."""

    @pytest.fixture
    def world(self) -> MemoryWorld:
        return MemoryWorld()
