"""A second market goes the whole way: tables, file, training, certificate, live predictions, replay."""

import csv
from pathlib import Path

import numpy as np
import pytest

from feed_lanes import stored
from integration.api.api_service import Service
from kurswerk.bootstrap.stores import open_stores
from kurswerk.core.errors import ConflictError
from kurswerk.core.timestamps import MINUTE_US, format_timestamp
from kurswerk.market import market_named
from kurswerk.models import as_model_input
from kurswerk.registry import common_market, load_model, plan_of
from kurswerk.serving import replay
from kurswerk.storage.predictions import PostgresPredictionStore
from kurswerk.storage.server import Database
from live_predictor import predict_live
from memory_market import START_US, random_market
from served_models import register

CANDLES = market_named("candles")
MINUTES, LATER = 420, 20
PANEL = random_market(2, MINUTES + LATER)
FIELDS = {"open": "price_open", "high": "price_high", "low": "price_low", "close": "price_close", "v": "volume_sol"}
SPEC = {
    "market": "candles",
    "features": ["close", "volume", "price_change_5", "volume_ratio_10", "ema_20"],
    "target_var": "close",
    "use_engineered_features": False,
}
MODELS = {
    "tree": {"model_type": "xgboost", "params": {"n_estimators": 5, "max_depth": 3}},
    "logistic": {"model_type": "logistic_regression", "params": {}},
}


def write_csv(path: Path, first: int, last: int, extra: tuple[tuple[object, ...], ...] = ()) -> Path:
    """Write rows ``first`` … ``last - 1`` of each symbol under the names that exchanges use."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Ticker", "open_time", *FIELDS])
        for k in np.flatnonzero((minutes() >= first) & (minutes() < last)).tolist():
            symbol, moment = PANEL.instruments[PANEL.codes[k]], format_timestamp(int(PANEL.timestamps[k]))
            writer.writerow([symbol, moment, *(repr(float(PANEL.column(name)[k])) for name in FIELDS.values())])
        writer.writerows(extra)
    return path


def minutes() -> np.ndarray:
    return (PANEL.timestamps - START_US) // MINUTE_US


def expected(database: Database, ids: list[int]) -> dict[tuple[str, int, int], np.float32]:
    """Compute the predictions of the new rows in batch, from the panel that the files were written from."""
    stores, found = open_stores(database), {}
    panel = stores.markets["candles"].load_panel(list(CANDLES.columns))
    for name, theirs in FIELDS.items():
        assert np.array_equal(panel.column("volume" if name == "v" else name), PANEL.column(theirs))
    new = minutes() >= MINUTES
    for model_id in ids:
        record = stores.models.get(model_id)
        features = as_model_input(plan_of(record).compute(panel))
        scores = load_model(record, stores.models).predict_proba(features)
        for code, moment, value in zip(panel.codes[new], panel.timestamps[new], scores[new], strict=True):
            found[panel.instruments[code], int(moment), model_id] = np.float32(value)
    return found


def test_candles_are_ingested_trained_certified_predicted_and_replayed(run, spec, tmp_path, database):
    assert run("db", "upgrade", "--json").json["changed"] is False
    wrong = (
        ("X", "2024-01-01", 1, 2, 3, 1.5, 1),
        ("X", "2024-01-02", 1, 1, 1, 1, -1),
        ("", "2024-01-03", 1, 1, 1, 1, 1),
    )
    summary = run("ingest", "candles", write_csv(tmp_path / "past.csv", 0, MINUTES, wrong), "--json").json
    assert summary["inserted"] == 2 * MINUTES
    (file,) = summary["files"]
    assert file["quarantined"] == {"high is below low": 1, "volume is negative": 1, "key is missing": 1}
    ids = []
    for name, family in MODELS.items():
        record = run("train", spec(name=name, **SPEC, **family), "--json").json
        assert (record["market"], record["status"], record["certified"]) == ("candles", "READY", True)
        assert record["certificate"]["differing_bits"] == 0
        assert run("activate", name).code == 0
        ids.append(record["id"])
    assert [model["name"] for model in run("models", "--market", "coins", "--json").json["models"]] == []
    # A model of coins that cannot be loaded is none of this market's business, and the other way round.
    broken = register(database, "broken", data=b"no model")
    later = write_csv(tmp_path / "new.csv", MINUTES, MINUTES + LATER)
    predict_live(database, tmp_path, lambda: run("ingest", "candles", later), 2 * 2 * LATER)
    assert stored(database) == expected(database, ids)
    stores, log = open_stores(database), PostgresPredictionStore(database)
    with database.connection() as connection:
        numbers = [row[0] for row in connection.execute("SELECT id FROM predictions ORDER BY id")]
        assert connection.execute("SELECT count(*) FROM prediction_backlog").fetchone() == (0,)
    for number in numbers[:: len(numbers) // 20]:
        found = replay(number, log, stores.markets, stores.models)
        assert (found.equal, found.late_rows, found.corrected_rows) == (True, 0, ())
    with pytest.raises(ConflictError, match="different markets"):
        common_market([stores.models.get(ids[0]), stores.models.get(broken)])
    shown = run("predict", "COIN0", "--market", "candles", "--json").json["predictions"]
    rest(database, numbers[-1], shown)


def rest(database: Database, prediction_id: int, shown: list[dict]) -> None:
    """Ask the REST API the same; a call without a market is about coins."""
    with Service(database).client() as client:
        assert client.get("/api/data-availability").json()["rows"] == 0
        there = client.get("/api/data-availability", params={"market": "candles"}).json()
        assert (there["rows"], there["coins"]) == (2 * (MINUTES + LATER), 2)
        assert client.get("/api/data-availability", params={"market": "bonds"}).status_code == 422
        models = client.get("/api/models", params={"market": "candles"}).json()["models"]
        assert {model["name"] for model in models} == set(MODELS)
        assert {model["market"] for model in client.get("/api/models/active").json()["models"]} == {"candles", "coins"}
        found = client.post("/api/predict", params={"market": "candles"}, json={"coin_id": "COIN0"}).json()
        assert {one["model_name"]: one["probability"] for one in found["predictions"]} == {
            one["model_name"]: one["probability"] for one in shown
        }
        named = sorted(model["id"] for model in models)
        assert client.post("/api/predict", json={"coin_id": "COIN0", "model_ids": named}).json() == found
        mixed = client.post("/api/predict", json={"coin_id": "COIN0", "model_ids": [*named, 3]})
        assert (mixed.status_code, mixed.json()["error"]["details"][0]["code"]) == (409, "model.different_markets")
        assert client.get(f"/api/predictions/{prediction_id}/replay").json()["equal"] is True
