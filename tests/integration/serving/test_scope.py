"""Rows that a model was not made for: predicted and stored, but neither alerted nor counted."""

import pytest

from feed_lanes import COINS, a_lane, drain, expected, stored
from kurswerk.channels import KINDS
from kurswerk.serving import PredictionFilter
from kurswerk.storage.predictions import PostgresAlertStore, PostgresPredictionStore
from served_models import RECURSIVE, START_US, STEP_US, coin_rows, register, write_rows

PHASES = {"phases": [2]}
RULE = {"name": "all", "channel": "database", "least_agreeing": 1, "min_probability": 0.0}


def set_phases(database, first_us: int) -> None:
    """Let rows from a moment on be of phase 2, those before of phase 1."""
    with database.connection() as connection:
        connection.execute(
            "UPDATE coin_metrics SET phase_id_at_time = CASE WHEN"
            " \"timestamp\" >= timestamptz 'epoch' + %s * interval '1 microsecond' THEN 2 ELSE 1 END",
            [first_us],
        )


def in_scope(database) -> dict[tuple[str, int, int], bool]:
    with database.connection() as connection:
        rows = connection.execute(
            'SELECT coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, model_id, in_scope FROM predictions'
        ).fetchall()
    return {tuple(row[:3]): row[3] for row in rows}


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (PHASES, lambda coin, us: us >= START_US + 3 * STEP_US),
        ({"mints": COINS[:2]}, lambda coin, us: coin in COINS[:2]),
        ({"phases": [2], "mints": COINS[:2]}, lambda coin, us: coin in COINS[:2] and us >= START_US + 3 * STEP_US),
        ({"phases": [7]}, lambda coin, us: False),
    ],
    ids=["phases", "mints", "both", "none"],
)
def test_every_row_is_stored_and_those_in_scope_alone_raise_and_count(database, session, scope, inside):
    limited = register(database, "limited", threshold=0.0, scope=scope)
    free = register(database, "free", RECURSIVE, threshold=0.0)
    store = PostgresAlertStore(database, KINDS)
    store.create_rule({**RULE, "model_ids": [limited]})
    write_rows(database, coin_rows(COINS, 0, 6))
    set_phases(database, START_US + 3 * STEP_US)
    drain(a_lane(database, session))
    found = in_scope(database)
    assert stored(database) == expected(database, [limited, free])
    assert found == {key: key[2] == free or inside(*key[:2]) for key in found}
    wanted = {key[:2] for key in found if key[2] == limited and found[key]}
    predictions = PostgresPredictionStore(database)
    assert len(predictions.alerts(PredictionFilter(model_id=limited), 1000)) == len(wanted)
    assert len(predictions.alerts(PredictionFilter(model_id=free), 1000)) == 6 * len(COINS)
    assert {(row["coin_id"], int(row["timestamp"].timestamp() * 1e6)) for row in store.deliveries(1000)} == wanted
    assert predictions.stats()["total_predictions"] == sum(found.values())
    for kept in (True, False):
        rows = predictions.find(PredictionFilter(model_id=limited, in_scope=kept), 1000)
        assert len(rows) == sum(found[key] is kept for key in found if key[2] == limited)
        assert all(row["in_scope"] is kept for row in rows)


def test_backfilled_predictions_have_the_scope_of_live_ones(database, session):
    model = register(database, "m", RECURSIVE, threshold=0.0, scope=PHASES)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 6))
    set_phases(database, START_US + 3 * STEP_US)
    lane.step()  # the model is loaded now
    lane.active.fail(lane.active.models[0], ValueError("for a while"))
    drain(lane)
    lane.active.models[0].retry_at = 0.0
    lane.step()
    while lane.backfill(limit=7):
        pass
    found = in_scope(database)
    assert stored(database) == expected(database, [model])
    assert found == {key: key[1] >= START_US + 3 * STEP_US for key in found}
    alerts = PostgresPredictionStore(database).alerts(PredictionFilter(), 1000)
    assert len(alerts) == sum(found.values()) == 3 * len(COINS)
