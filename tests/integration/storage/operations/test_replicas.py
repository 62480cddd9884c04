"""Which lanes count as alive."""

import pytest
from psycopg import sql

from kurswerk.storage.operations._replicas import ALIVE
from kurswerk.storage.operations._service_status import service_status
from kurswerk.storage.predictions import PostgresPredictionStore
from kurswerk.storage.server import Database, upgrade


@pytest.mark.parametrize(
    ("reported", "alive"),
    [("0", 1), ("-11 seconds", 0), ("1 hour", 0)],  # the last: died, and the clock was set back
)
def test_a_lane_is_alive_that_reported_a_moment_ago(database: Database, reported: str, alive: int):
    upgrade(database)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO serving_replicas (id, state, seen_at)"
            """ VALUES ('lane', '{"coins": 7, "lag_rows": 3}', now() + %s::interval)""",
            [reported],
        )
    stats = PostgresPredictionStore(database).stats()
    assert (stats["replicas"], stats["coins_tracked"], stats["lag_rows"]) == (alive, 7 * alive, 3 * alive)
    assert service_status(database).predictors == alive


@pytest.mark.parametrize(("ago", "alive"), [("9.999", True), ("10.001", False), ("-9.999", True), ("-10.001", False)])
def test_a_moment_ago_is_less_than_ten_seconds(database: Database, ago: str, alive: bool):
    query = sql.SQL("SELECT {} FROM (SELECT now() - {}::interval AS seen_at) AS lane").format(ALIVE, f"{ago} seconds")
    with database.connection() as connection:
        assert connection.execute(query).fetchone() == (alive,)
