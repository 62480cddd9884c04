"""A session of a feed."""

from collections.abc import Iterator

import pytest

from kurswerk.storage import Database, PostgresFeedSession


@pytest.fixture
def session(database: Database) -> Iterator[PostgresFeedSession]:
    session = PostgresFeedSession(database)
    yield session
    session.close()
