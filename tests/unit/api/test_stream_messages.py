"""What the WebSocket sends of a prediction."""

import json
from datetime import UTC, datetime

from kurswerk.api.stream import message_of

MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
ROW = {
    "id": 1, "coin_id": "A", "timestamp": MOMENT, "model_id": 7, "model_name": "m", "prediction": 1,
    "probability": 0.75, "in_scope": True, "created_at": MOMENT,
}  # fmt: skip


def test_a_forecast_stands_in_the_message_of_a_forecast_model_alone():
    assert not {"forecast", "low", "high"} & json.loads(message_of(ROW | {"forecast": None})).keys()
    interval = {"forecast": 1.25, "low": -0.5, "high": 3.0}
    found = json.loads(message_of(ROW | interval))
    assert {name: found[name] for name in interval} == interval
    assert json.loads(message_of(ROW)) | interval == found
