"""Lanes of the prediction service on a real feed, and the predictions that are expected of them."""

import numpy as np

from kurswerk.features import FeaturePlan
from kurswerk.market import COINS as MARKET
from kurswerk.market import market_named
from kurswerk.models import as_model_input
from kurswerk.registry import load_model
from kurswerk.serving import ActiveModels, Lane, LaneOptions, ModelCache
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from served_models import COLUMNS

COINS = [f"{k:03d}pump" for k in range(12)]


def a_lane(database: Database, session: PostgresFeedSession, **options: object) -> Lane:
    lane = Lane(session, ActiveModels(ModelCache(PostgresModelStore(database))), LaneOptions(**options), MARKET)  # type: ignore[arg-type]
    lane.lease()
    return lane


def drain(lane: Lane) -> int:
    total = 0
    while rows := lane.step().rows:
        total += rows
    return total


def stored(database: Database) -> dict[tuple[str, int, int], float]:
    with database.connection() as connection:
        rows = connection.execute(
            'SELECT coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, model_id, score FROM predictions'
        ).fetchall()
    found = {(coin, us, model): np.float32(score) for coin, us, model, score in rows}
    assert len(found) == len(rows)
    return found


def expected(database: Database, model_ids: list[int]) -> dict[tuple[str, int, int], float]:
    """Compute the predictions of all rows in batch."""
    models = PostgresModelStore(database)
    panel = PostgresMarketStore(database, market_named()).load_panel(COLUMNS)
    found = {}
    for model_id in model_ids:
        record = models.get(model_id)
        scores = load_model(record, models).predict_proba(
            as_model_input(FeaturePlan(record.features, MARKET).compute(panel))
        )
        names = np.repeat(panel.instruments, np.diff(panel.offsets))
        for coin, us, score in zip(names, panel.timestamps.tolist(), scores, strict=True):
            found[str(coin), us, model_id] = np.float32(score)
    return found
