"""A session of a feed."""

from collections.abc import Iterator

import pytest

from kurswerk.market import COINS
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.server import Database


@pytest.fixture
def session(database: Database) -> Iterator[PostgresFeedSession]:
    session = PostgresFeedSession(database, COINS)
    yield session
    session.close()
