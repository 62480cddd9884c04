"""What there is of each coin, counted in a real PostgreSQL."""

from datetime import UTC, datetime

import pytest

from integration.storage.coins import FOREIGN, START_US, batch_of, run
from kurswerk.core.timestamps import to_datetime
from kurswerk.market import COINS
from kurswerk.storage.markets import PostgresMarketStore, coverage
from kurswerk.storage.server import Database, upgrade

# Phase 1 reports every 5 s: of the gaps of 5, 20 and 15 s only that of 20 s is longer than three intervals.
ROWS = [
    ("a", 0, {"price_close": 1.0, "phase_id_at_time": 1}),
    ("a", 5, {"price_close": 1.0, "phase_id_at_time": 1}),
    ("a", 25, {"price_close": 1.0, "phase_id_at_time": 1}),
    ("a", 40, {"price_close": 1.0, "phase_id_at_time": 2}),
    ("b", 60, {"price_close": 2.0, "phase_id_at_time": 1}),
]


@pytest.mark.parametrize("kind", ["ours", *FOREIGN])
def test_counts_rows_and_gaps(bare_database: Database, kind: str) -> None:
    if kind != "ours":
        run(bare_database, FOREIGN[kind])
    upgrade(bare_database)
    assert coverage(bare_database, COINS) == []
    PostgresMarketStore(bare_database, COINS).upsert([batch_of(ROWS)])
    b, a = coverage(bare_database, COINS)
    start = to_datetime(START_US)
    assert (a.mint, a.rows, b.mint, b.rows) == ("a", 4, "b", 1)
    assert a.first.astimezone(UTC) == start
    assert (a.last - a.first).total_seconds() == 40
    assert isinstance(a.last, datetime)
    if a.phase is not None:
        assert (a.gaps, a.phase) == (1, 2)
    assert b.gaps == 0
    assert len(coverage(bare_database, COINS, limit=1)) == 1
