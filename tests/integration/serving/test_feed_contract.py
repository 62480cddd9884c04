"""The feed in PostgreSQL keeps the properties that lanes rely on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import feed_lanes
from contracts.feed_session import FeedSessionContract
from kurswerk.market import COINS
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from served_models import WINDOWED, register, write_rows


class PostgresWorld:
    """A database with the market's tables."""

    def __init__(self, database: Database) -> None:
        self.database, self.models = database, PostgresModelStore(database)

    def write(self, rows: Mapping[tuple[str, int], Sequence[float]]) -> None:
        write_rows(self.database, {key: list(values) for key, values in rows.items()})

    def register(self, name: str, features: Sequence[str] = WINDOWED, **options: Any) -> int:
        return register(self.database, name, features, **options)

    def open_session(self) -> PostgresFeedSession:
        return PostgresFeedSession(self.database, COINS)

    def drop_column(self, name: str) -> None:
        with self.database.connection() as connection:
            connection.execute(f"ALTER TABLE coin_metrics DROP COLUMN {name}".encode())

    def add_column(self, name: str) -> None:
        with self.database.connection() as connection:
            connection.execute(f"ALTER TABLE coin_metrics ADD COLUMN {name} double precision".encode())

    def add_rate(self, us: int, price: float) -> None:
        with self.database.connection() as connection:
            connection.execute(
                "INSERT INTO exchange_rates (created_at, sol_price_usd)"
                " VALUES (timestamptz 'epoch' + %s * interval '1 microsecond', %s)",
                [us, price],
            )

    def predictions(self) -> dict[tuple[str, int, int], np.float32]:
        return feed_lanes.stored(self.database)

    def expected(self, model_ids: Sequence[int]) -> dict[tuple[str, int, int], np.float32]:
        return feed_lanes.expected(self.database, list(model_ids))


class TestPostgresFeed(FeedSessionContract):
    """The properties, in PostgreSQL."""

    @pytest.fixture
    def world(self, database: Database) -> PostgresWorld:
        return PostgresWorld(database)
