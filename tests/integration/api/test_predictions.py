"""Predictions, alerts and activation over HTTP, with a lane that predicts."""

import httpx
import pytest

from feed_lanes import COINS, a_lane, drain
from integration.api.api_service import Service, error_of
from kurswerk.alerts import Notification
from kurswerk.client import Client
from kurswerk.market import market_named
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.predictions._alerts import add_deliveries
from served_models import RECURSIVE, WINDOWED, coin_rows, register, write_rows


@pytest.fixture
def predicted(service: Service) -> list[int]:
    """Two models that have predicted five rows of every coin, each an alert of the first."""
    ids = [register(service.database, "w", WINDOWED, threshold=0.0), register(service.database, "r", RECURSIVE)]
    session = PostgresFeedSession(service.database, market_named())
    lane = a_lane(service.database, session, store_features="alerts")
    write_rows(service.database, coin_rows(COINS, 0, 5))
    drain(lane)
    session.close()
    return ids


def test_predictions_are_listed_and_filtered(client: httpx.Client, predicted: list[int]):
    found = client.get("/api/predictions", params={"limit": 1000}).json()
    assert len(found["predictions"]) == 2 * 5 * len(COINS)
    assert [row["id"] for row in found["predictions"]] == sorted(
        (row["id"] for row in found["predictions"]), reverse=True
    )
    first = found["predictions"][-1]
    assert set(first) == {
        "id", "coin_id", "timestamp", "model_id", "model_name", "prediction", "probability", "features", "in_scope",
        "created_at", "outcome", "forecast", "low", "high",
    }  # fmt: skip
    one = client.get("/api/predictions", params={"coin_id": COINS[0], "model_id": predicted[1], "limit": 2}).json()
    assert [row["timestamp"][-9:-1] for row in one["predictions"]] == ["00:00:20", "00:00:15"]
    sure = client.get("/api/predictions", params={"min_probability": 0.6}).json()["predictions"]
    assert sure
    assert all(row["probability"] >= 0.6 for row in sure)
    assert client.get("/api/predictions", params={"since": "2999-01-01T00:00:00Z"}).json()["predictions"] == []
    assert client.get("/api/predictions", params={"since": "0001-02-01T00:00:00Z"}).json()["predictions"]
    error_of(client.get("/api/predictions", params={"since": "9999-12-31T23:59:59-23:59"}), 422, "invalid_fields")
    error_of(client.get("/api/predictions", params={"min_probability": 2}), 422, "invalid_fields")
    assert client.get(f"/api/predictions/{first['id']}").json() == first | {"corrections": []}
    error_of(client.get("/api/predictions/999999999"), 404, "not_found")


def test_the_latest_of_a_coin(client: httpx.Client, predicted: list[int]):
    found = client.get(f"/api/predictions/latest/{COINS[1]}").json()
    assert [row["model_id"] for row in found["predictions"]] == predicted
    assert found["timestamp"] == "2024-01-01T00:00:20Z"
    error_of(client.get("/api/predictions/latest/nobody"), 404, "not_found")


def test_a_prediction_is_replayed(client: httpx.Client, service: Service, predicted: list[int]):
    chosen = {"coin_id": COINS[0], "model_id": predicted[1]}
    row = client.get("/api/predictions", params=chosen).json()["predictions"][0]
    found = client.get(f"/api/predictions/{row['id']}/replay").json()
    assert found["equal"]
    assert found["score"] == found["stored_score"]
    with service.database.connection() as connection:
        connection.execute("UPDATE coin_metrics SET price_close = 77 WHERE mint = %s", [COINS[0]])
    changed = client.get(f"/api/predictions/{row['id']}/replay").json()
    assert not changed["equal"]
    assert len(changed["corrected_rows"]) == 5
    with service.database.connection() as connection:
        connection.execute("DELETE FROM coin_metrics WHERE mint = %s", [COINS[0]])
    error_of(client.get(f"/api/predictions/{row['id']}/replay"), 404, "not_found")
    with service.database.connection() as connection:
        connection.execute("UPDATE predictions SET score = NULL WHERE id = %s", [row["id"]])
    error_of(client.get(f"/api/predictions/{row['id']}/replay"), 409, "conflict")


def test_predicting_on_demand_gives_what_was_stored(client: httpx.Client, predicted: list[int]):
    stored = client.get(f"/api/predictions/latest/{COINS[2]}").json()
    found = client.post("/api/predict", json={"coin_id": COINS[2]}).json()
    assert found["timestamp"] == stored["timestamp"]
    assert [round(row["probability"], 4) for row in found["predictions"]] == [
        row["probability"] for row in stored["predictions"]
    ]
    assert found["predictions"][0]["alert_triggered"]
    past = client.post(
        "/api/predict", json={"coin_id": COINS[2], "model_ids": predicted[:1], "timestamp": "2024-01-01T00:00:12Z"}
    ).json()
    assert past["timestamp"] == "2024-01-01T00:00:10Z"
    assert len(past["predictions"]) == 1
    error_of(client.post("/api/predict", json={"coin_id": "nobody"}), 404, "not_found")
    error_of(client.post("/api/predict", json={"coin_id": COINS[2], "model_ids": [999]}), 404, "not_found")


def test_scope_is_the_same_stored_on_demand_and_in_the_client(client: httpx.Client, service: Service):
    """Phases and mints decide, whoever asks; a row out of scope triggers no alert, whatever its probability."""
    register(service.database, "phase", threshold=0.0, scope={"phases": [2]})
    register(service.database, "mint", threshold=0.0, scope={"mints": COINS[:1]})
    register(service.database, "free", RECURSIVE, threshold=0.0)
    session = PostgresFeedSession(service.database, market_named())
    write_rows(service.database, coin_rows(COINS, 0, 2))
    with service.database.connection() as connection:
        connection.execute("UPDATE coin_metrics SET phase_id_at_time = CASE mint WHEN %s THEN 2 ELSE 1 END", [COINS[1]])
    drain(a_lane(service.database, session))
    session.close()
    reader = Client(str(client.base_url))
    wanted = {"phase": COINS[1:2], "mint": COINS[:1], "free": COINS}
    for coin in COINS:
        expected = {name: coin in coins for name, coins in wanted.items()}
        stored = reader.latest_predictions(coin)
        assert {row.model_name: row.in_scope for row in stored} == expected
        found = reader.predict(coin)
        assert {one.model_name: one.in_scope for one in found.predictions} == expected
        assert {one.model_name: one.alert_triggered for one in found.predictions} == expected
        for kept in (True, False):
            names = {row.model_name for row in reader.predictions(coin_id=coin, in_scope=kept)}
            assert names == {name for name, inside in expected.items() if inside is kept}
    reader.close()


def test_predicting_without_an_active_model(client: httpx.Client):
    assert (
        "no model is active"
        in error_of(client.post("/api/predict", json={"coin_id": "x"}), 404, "not_found")["message"]
    )


def test_alerts_and_stats(client: httpx.Client, predicted: list[int]):
    alerts = client.get("/api/alerts", params={"limit": 1000, "model_id": predicted[0]}).json()["alerts"]
    assert len(alerts) == 5 * len(COINS)
    assert alerts[0]["threshold"] == 0.0
    # All alerts are of rows in scope, so there is nothing to choose.
    error_of(client.get("/api/alerts", params={"in_scope": False}), 422, "unknown_name")
    one = client.get(f"/api/predictions/{alerts[0]['prediction_id']}").json()
    assert set(one["features"]) == set(WINDOWED)
    stats = client.get("/api/stats").json()
    assert stats["total_predictions"] == stats["predictions_last_hour"] == 2 * 5 * len(COINS)
    assert stats["total_alerts"] >= len(alerts)
    assert stats["active_models"] == 2
    assert stats["avg_prediction_time_ms"] is None


def test_models_are_switched_on_and_off(client: httpx.Client, service: Service):
    good = register(service.database, "good", active=False)
    bad = register(service.database, "bad", active=False, certified=False)
    assert client.get("/api/models/active").json() == {"models": []}
    answer = client.post(f"/api/models/{good}/activate").json()
    assert answer == {"success": True, "message": f"model {good} predicts every new row from now on", "model_id": good}
    assert "already" in client.post(f"/api/models/{good}/activate").json()["message"]
    error = error_of(client.post(f"/api/models/{bad}/activate"), 409, "not_certified")
    assert error["details"][0]["code"] == "model.certificate_failed"
    assert error["details"][1:] == [{"field": "certificate.future_rows", "message": "looks ahead"}]
    error_of(client.post(f"/api/models/{bad}/activate", json={"force": True}), 422, "invalid_spec")
    assert client.post(f"/api/models/{bad}/activate", json={"force": True, "reason": "trial"}).json()["success"]
    active = client.get("/api/models/active").json()["models"]
    assert [(row["id"], row["loaded"]) for row in active] == [(good, False), (bad, False)]
    assert client.post(f"/api/models/{bad}/reload").json()["success"]
    assert "no more" in client.post(f"/api/models/{bad}/deactivate").json()["message"]
    assert "was not active" in client.post(f"/api/models/{bad}/deactivate").json()["message"]
    for action in ("activate", "deactivate", "reload"):
        error_of(client.post(f"/api/models/999/{action}"), 404, "not_found")


def test_alert_rules_over_http(client: httpx.Client):
    rule = {"name": "two", "least_agreeing": 2, "channel": "webhook", "target": "http://127.0.0.1:1/x", "secret": "s"}
    made = client.post("/api/alerts/rules", json=rule)
    assert made.status_code == 201
    assert made.json()["signed"]
    assert "secret" not in made.json()
    error_of(client.post("/api/alerts/rules", json=rule), 409, "conflict")
    for wrong in ({"target": "ftp://x"}, {"quiet_start": "22:00:00"}, {"channel": "pigeon"}, {"least_agreeing": 0}):
        error_of(client.post("/api/alerts/rules", json=rule | wrong), 422, "invalid_fields")
    assert [row["name"] for row in client.get("/api/alerts/rules").json()["rules"]] == ["two"]
    quiet = rule | {"name": "quiet", "quiet_start": "22:00:00+02:00", "quiet_end": "06:00:00"}
    assert client.post("/api/alerts/rules", json=quiet).json()["quiet_start"] == "20:00:00Z"
    assert client.get("/api/alerts/deliveries").json()["deliveries"] == []
    number = made.json()["id"]
    replaced = client.post(f"/api/alerts/rules/{number}/secret", json={"secret": "new", "grace_seconds": 60})
    assert replaced.json()["signed"]
    assert "new" not in replaced.text
    error_of(client.post(f"/api/alerts/rules/{number}/secret", json={"secret": ""}), 422, "invalid_fields")
    assert client.delete(f"/api/alerts/rules/{number}").status_code == 204
    error_of(client.post(f"/api/alerts/rules/{number}/secret", json={"secret": "new"}), 404, "not_found")
    error_of(client.delete(f"/api/alerts/rules/{number}"), 404, "not_found")


def test_a_rule_that_could_never_speak_is_refused(service: Service, client: httpx.Client):
    first, second = register(service.database, "a"), register(service.database, "b", seed=2)
    rule = {"name": "r", "model_ids": [first, second, first], "least_agreeing": 2, "channel": "log"}
    error_of(client.post("/api/alerts/rules", json=rule | {"least_agreeing": 3}), 422, "invalid_fields")
    error_of(client.post("/api/alerts/rules", json=rule | {"model_ids": [first, 999]}), 422, "invalid_spec")
    assert client.post("/api/alerts/rules", json=rule).json()["model_ids"] == [first, second]


def test_rules_are_switched_and_messages_found_and_sent_again(service: Service, client: httpx.Client):
    made = client.post("/api/alerts/rules", json={"name": "r", "channel": "log"}).json()
    rule = f"/api/alerts/rules/{made['id']}"
    with service.database.connection() as connection:
        add_deliveries(connection, [Notification(made["id"], coin, 1_700_000_000_000_000, (1,), 0.9) for coin in "AB"])
    a, b = sorted(client.get("/api/alerts/deliveries").json()["deliveries"], key=lambda row: row["coin_id"])
    assert (a["coin_id"], a["status"], b["coin_id"]) == ("A", "PENDING", "B")
    error_of(
        client.post("/api/alerts/rules", json={"name": "n", "channel": "log", "quiet_start": 0, "quiet_end": 1}),
        422,
        "invalid_fields",
    )
    service.ports.alerts.sent(a["id"])
    error_of(client.post(f"/api/alerts/deliveries/{b['id']}/retry"), 409, "conflict")
    assert client.patch(rule, json={"is_active": False}).json()["is_active"] is False
    for chosen, found in (
        ({"status": "FAILED"}, [b]), ({"status": "SENT"}, [a]), ({"coin_id": "B"}, [b]), ({"rule_id": 77}, []),
        ({"rule_id": made["id"], "coin_id": "A", "status": "SENT"}, [a]),
    ):  # fmt: skip
        listed = client.get("/api/alerts/deliveries", params=chosen).json()["deliveries"]
        assert [row["id"] for row in listed] == [row["id"] for row in found]
    error_of(client.post(f"/api/alerts/deliveries/{b['id']}/retry"), 409, "conflict")
    assert client.patch(rule, json={"is_active": True}).json() == made
    again = client.post(f"/api/alerts/deliveries/{b['id']}/retry").json()
    assert (again["status"], again["attempts"]) == ("PENDING", 0)
    assert [one.id for one in service.ports.alerts.claim(5)] == [b["id"]]
    error_of(client.post("/api/alerts/deliveries/999/retry"), 404, "not_found")
    error_of(client.patch("/api/alerts/rules/999", json={"is_active": True}), 404, "not_found")
    error_of(client.patch(rule, json={"name": "x"}), 422, "invalid_fields")
