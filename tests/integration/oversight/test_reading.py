"""Outcomes as the API, the client, the command line and a scrape of metrics show them, against the stored rows."""

import json
from collections import Counter
from typing import Any

import pytest

from integration.api.api_service import Service, error_of
from kurswerk.bootstrap.health import read_database
from kurswerk.cli import main
from kurswerk.client import Client
from kurswerk.observability import Metrics
from kurswerk.oversight import mature
from kurswerk.storage.outcomes import PostgresOutcomeStore
from kurswerk.storage.server import Database
from outcome_days import SECOND_US, START_US, a_day, predict, register_targets, stored, write_prices

Judged = tuple[Database, int, list[dict[str, Any]]]


@pytest.fixture
def judged(database: Database) -> Judged:
    """A judged day of one model: database, model, and the stored outcomes with their predictions."""
    rows, (model,) = a_day(coins=8, minutes=60, seed=2), register_targets(database, ["up at"]).values()
    write_prices(database, rows)
    predict(database, rows, [model])
    mature(PostgresOutcomeStore(database), "coins")
    with database.connection() as connection:
        found = connection.execute(
            "SELECT p.id, o.label, o.reason, p.score, o.in_scope FROM predictions p"
            ' LEFT JOIN outcomes o USING (coin_id, "timestamp", model_id) ORDER BY p.id'
        ).fetchall()
    names = ("id", "label", "reason", "score", "in_scope")
    return database, model, [dict(zip(names, row, strict=True)) for row in found]


def kind(row: dict[str, Any]) -> str:
    if row["reason"] is not None:
        return "unknown"
    return "pending" if row["label"] is None else ("negative", "positive")[row["label"]]


def known_in_scope(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["label"] is not None and row["in_scope"]]


def test_predictions_show_and_are_filtered_by_their_outcomes(judged: Judged):
    database, model, rows = judged
    with Service(database).client() as client:
        for wanted in ("positive", "negative", "unknown", "pending"):
            query = {"model_id": model, "outcome": wanted, "limit": 1000}
            found = client.get("/api/predictions", params=query).json()["predictions"]
            ids = sorted((row["id"] for row in rows if kind(row) == wanted), reverse=True)
            assert [one["id"] for one in found] == ids[:1000]
            assert ids
            for one in found:
                outcome = one["outcome"] or {"label": None, "reason": None}
                assert kind(outcome) == wanted
        error_of(client.get("/api/predictions", params={"outcome": "maybe"}), 422, "invalid_fields")
        one = next(row["id"] for row in rows if kind(row) == "pending")
        assert client.get(f"/api/predictions/{one}").json()["outcome"] is None


def test_a_corrected_outcome_shows_what_it_was(judged: Judged):
    database, _, rows = judged
    row = next(row for row in rows if kind(row) == "positive")
    with database.connection() as connection:
        connection.execute("UPDATE coin_metrics SET price_close = 0.0001")
        connection.execute(
            "INSERT INTO coin_revisions (coin_id, first_prediction_id, kind, timestamps)"
            " SELECT coin_id, id, 'corrected', ARRAY[\"timestamp\"] FROM predictions WHERE id = %s",
            [row["id"]],
        )
    assert mature(PostgresOutcomeStore(database), "coins").corrected > 0
    with Service(database).client() as client:
        found = client.get(f"/api/predictions/{row['id']}").json()
    assert found["outcome"]["label"] == 0
    (earlier,) = found["corrections"]
    assert (earlier["label"], earlier["corrected_at"]) == (1, found["outcome"]["corrected_at"])
    assert earlier["judged_at"] == found["outcome"]["judged_at"] < earlier["corrected_at"]


def test_performance_is_measured_from_the_newest_outcomes(judged: Judged):
    database, model, rows = judged
    known = known_in_scope(rows)
    unknown = Counter(row["reason"] for row in rows if row["reason"] is not None and row["in_scope"])
    with Service(database).client() as client:
        found = client.get(f"/api/models/{model}/performance", params={"threshold": 0.25}).json()
        assert (found["known"], found["positive"]) == (len(known), sum(row["label"] for row in known))
        chosen = [row["label"] for row in known if row["score"] >= 0.25]
        assert (found["predicted_positive"], found["true_positive"]) == (len(chosen), sum(chosen))
        precision = found["metrics"]["precision"]
        assert precision["low"] < precision["value"] == sum(chosen) / len(chosen) < precision["high"]
        assert found["unknown"] == unknown
        assert sum(one["count"] for one in found["calibration"]) == len(known)
        newest = client.get(f"/api/models/{model}/performance", params={"limit": 10}).json()
        assert (newest["known"], newest["last_timestamp"]) == (10, found["last_timestamp"])
        since = client.get(f"/api/models/{model}/performance", params={"since": newest["first_timestamp"]}).json()
        assert 10 <= since["known"] < found["known"]
        assert client.get(f"/api/models/{model}/performance", params={"until": "2020-01-01"}).json()["known"] == 0
        error_of(client.get("/api/models/77/performance"), 404, "not_found")
        with Client(str(client.base_url)) as typed:
            assert typed.performance(model, threshold=0.25).true_positive == sum(chosen)
            (one,) = typed.predictions(model_id=model, outcome="positive", limit=1)
            assert one.outcome is not None
            assert one.outcome.label == 1


def test_a_scrape_has_each_models_outcomes(judged: Judged):
    database, model, rows = judged
    text = Metrics().text(read_database(database).state).decode()
    known = known_in_scope(rows)
    hits = [row["label"] for row in known if row["score"] >= 0.5]
    unknown = sum(row["reason"] is not None and row["in_scope"] for row in rows)
    for name, value in (
        (f'ml_outcomes{{model_id="{model}",outcome="true_positive"}}', sum(hits)),
        (f'ml_outcomes{{model_id="{model}",outcome="unknown"}}', unknown),
        (f'ml_live_precision{{model_id="{model}"}}', sum(hits) / len(hits)),
        (f'ml_live_base_rate{{model_id="{model}"}}', sum(row["label"] for row in known) / len(known)),
    ):
        assert f"{name} {value if isinstance(value, float) else float(value)}" in text


def test_the_command_judges_shows_all_models_and_measures_one(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("KURSWERK_DATABASE_URL", database.url)
    monkeypatch.setenv("KURSWERK_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KURSWERK_OUTCOMES_DELAY_SECONDS", "0")

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["outcomes", *words])
        assert not ended.value.code
        return capsys.readouterr().out

    (model,) = register_targets(database, ["up at"]).values()
    assert "no prediction has been judged yet" in run()
    end = START_US + 600 * SECOND_US
    write_prices(database, {("a", START_US): 1.0, ("a", end): 1.5})
    predict(database, [("a", START_US)], [model])
    found = json.loads(run("--judge", "--json"))
    assert (found["judged"], found["corrected"]) == (1, 0)
    (one,) = found["models"]
    assert (one["model_id"], one["known"], one["positive"], one["base_rate"]) == (model, 1, 1, 1.0)
    assert stored(database) == {(model, "a", START_US): 1}
    assert json.loads(run("up at", "--json"))["metrics"]["base_rate"]["value"] == 1.0
    assert "1 judged prediction of rows" in run(str(model))
    assert "up at" in run()
