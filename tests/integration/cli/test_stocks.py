"""Stocks go the whole way: files, splits, training, certificate, live predictions, replay, a split learnt late."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from feed_lanes import stored
from integration.api.api_service import Service
from kurswerk.bootstrap.stores import open_stores
from kurswerk.market import market_named
from kurswerk.market.calendar import calendar_of
from kurswerk.models import as_model_input
from kurswerk.registry import load_model, plan_of
from kurswerk.serving import replay
from kurswerk.storage.predictions import PostgresPredictionStore
from kurswerk.storage.server import Database
from live_predictor import predict_live

STOCKS = market_named("stocks")
SYMBOLS = ("005930.KS", "BRK.B")
DAYS = calendar_of("XNYS").sessions_between(np.datetime64("2020-01-02"), np.datetime64("2021-06-30"))
PAST, LATER = 340, 12
# Day of the list above, and new shares per old one; the second falls into the days that are predicted live.
SPLITS = {100: 2.0, PAST + 4: 3.0}
FACTS = ["earnings_yield", "eps_age_days", "sector"]
FEATURES = ["close_price", "volume", "price_change_5", "rsi_14", "ema_20", *FACTS]
SPEC = {
    "name": "up",
    "market": "stocks",
    "model_type": "xgboost",
    "params": {"n_estimators": 5, "max_depth": 3},
    "features": FEATURES,
    "use_engineered_features": False,
    "train_start": "2020-01-01",
    "train_end": "2021-06-30",
    "target_var": "total_return_price",
    "use_time_based_prediction": True,
    "horizon_sessions": 1,
    "min_percent_change": 0.5,
    "direction": "up",
}


def paid(days: Sequence[int]) -> np.ndarray:
    """Return open, high, low and close of each symbol on some days, as they were paid; shape (symbols, 4, days)."""
    steps = np.random.default_rng(7).normal(0.0, 0.01, (len(SYMBOLS), 4, len(DAYS)))
    close = 100.0 * np.exp(np.cumsum(steps[:, :1], axis=2))
    prices = close * (
        1.0 + np.concatenate([steps[:, 1:2], abs(steps[:, 2:3]) + 0.1, -abs(steps[:, 3:]) - 0.1, 0 * steps[:, :1]], 1)
    )
    factors = np.ones(len(DAYS))
    for day, factor in SPLITS.items():
        factors[day:] /= factor
    return np.round(prices * factors, 4)[:, :, list(days)]


def write_bars(path: Path, first: int, last: int) -> Path:
    days = range(first, last)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Symbol", "Date", "Open", "High", "Low", "Close", "Volume"])
        for symbol, bars in zip(SYMBOLS, paid(days), strict=True):
            for k, day in enumerate(days):
                writer.writerow([symbol, DAYS[day], *(repr(float(value)) for value in bars[:, k]), 1000 + day])
    return path


def write_splits(path: Path, days: Sequence[int]) -> Path:
    rows = [f"{symbol},{DAYS[day]},split,{SPLITS[day]}\n" for symbol in SYMBOLS for day in days]
    path.write_text("symbol,date,kind,factor\n" + "".join(rows), encoding="utf-8")
    return path


def write_facts(path: Path, days: Sequence[int]) -> Path:
    """Write what is stated of both symbols on some days at noon."""
    rows = [
        f"{symbol},{DAYS[day]}T12:00:00Z,{3.0 + day / 100 + k},{sector}\n"
        for day in days
        for k, (symbol, sector) in enumerate(zip(SYMBOLS, ("Information Technology", "Financials"), strict=True))
    ]
    path.write_text("symbol,as_of,eps,sector\n" + "".join(rows), encoding="utf-8")
    return path


def batch_scores(database: Database, model_id: int) -> dict[tuple[str, int, int], np.float32]:
    """Compute the predictions of the later days in batch, with no sight of what was stored live."""
    stores = open_stores(database)
    record = stores.models.get(model_id)
    panel = stores.markets["stocks"].load_panel(STOCKS.in_order(plan_of(record).inputs))
    scores = load_model(record, stores.models).predict_proba(as_model_input(plan_of(record).compute(panel)))
    later = panel.timestamps >= calendar_of("XNYS").closes(DAYS[PAST : PAST + 1])[0]
    return {
        (panel.instruments[code], int(moment), model_id): np.float32(score)
        for code, moment, score in zip(panel.codes[later], panel.timestamps[later], scores[later], strict=True)
    }


def test_stocks_are_ingested_trained_certified_predicted_and_replayed(run, tmp_path, database):
    past = write_bars(tmp_path / "past.csv", 0, PAST)
    summary = run("ingest", "stocks", past, "--source", "vendor", "--json").json
    assert (summary["inserted"], summary["quarantined"], summary["conflicts"]) == (2 * PAST, 0, [])
    splits = write_splits(tmp_path / "splits.csv", list(SPLITS)[:1])
    assert run("ingest", "actions", splits, "--json").json["added"] == 2
    # None for half a year, so that some days have none that counts.
    facts = write_facts(tmp_path / "facts.csv", [5, 40, 200, 300])
    stated = run("ingest", "fundamentals", facts, "--source", "vendor", "--json").json
    assert [stated[f"stock_{name}"]["inserted"] for name in ("fundamentals", "classifications")] == [8, 8]
    document = tmp_path / "spec.json"
    document.write_text(json.dumps(SPEC), encoding="utf-8")
    record = run("train", document, "--json").json
    assert (record["market"], record["status"], record["certified"]) == ("stocks", "READY", True)
    assert record["certificate"]["differing_bits"] == 0
    assert run("activate", "up").code == 0

    def days_pass() -> None:
        """The second split is known before its day, as splits are announced."""
        run("ingest", "actions", write_splits(tmp_path / "splits.csv", list(SPLITS)))
        run("ingest", "fundamentals", write_facts(tmp_path / "facts.csv", [PAST + 2, PAST + 7]), "--source", "vendor")
        for day in range(PAST, PAST + LATER):
            run("ingest", "stocks", write_bars(tmp_path / "day.csv", day, day + 1), "--source", "vendor")

    predict_live(database, tmp_path, days_pass, 2 * LATER)
    live = stored(database)
    assert live == batch_scores(database, record["id"])
    closes = open_stores(database).markets["stocks"].load_panel(["close_price"], mints=["BRK.B"]).values[0]
    assert np.abs(np.diff(np.log(closes))).max() < 0.1
    assert replayed(database) == [(True, 0)] * len(live)
    rest(database)
    a_late_split(run, tmp_path, database)
    a_late_fact(run, tmp_path, database)


def replayed(database: Database) -> list[tuple[bool, int]]:
    """Replay all predictions: whether bits agree, and how many rows were corrected since."""
    stores, log = open_stores(database), PostgresPredictionStore(database)
    with database.connection() as connection:
        numbers = [row[0] for row in connection.execute('SELECT id FROM predictions ORDER BY coin_id, "timestamp"')]
    found = [replay(number, log, stores.markets, stores.models) for number in numbers]
    return [(one.equal, len(one.corrected_rows)) for one in found]


def rest(database: Database) -> None:
    """Ask the REST API the same about keys with dots."""
    with Service(database).client() as client:
        there = client.get("/api/data-availability", params={"market": "stocks"}).json()
        assert (there["rows"], there["coins"]) == (2 * (PAST + LATER), 2)
        for symbol in SYMBOLS:
            found = client.get("/api/predictions", params={"coin_id": symbol}).json()["predictions"]
            assert {one["coin_id"] for one in found} == {symbol}
            assert len(client.get(f"/api/predictions/latest/{symbol}").json()) > 0


def a_late_split(run, tmp_path: Path, database: Database) -> None:
    """A split that nobody knew of when days were predicted: they keep their predictions, and replays name the bars."""
    path = tmp_path / "late.csv"
    path.write_text(f"symbol,date,kind,factor\nBRK.B,{DAYS[PAST + LATER - 3]},split,2\n", encoding="utf-8")
    before = stored(database)
    predict_live(database, tmp_path, lambda: run("ingest", "actions", path), len(before))
    # The lane has noted the correction by the time the next day is predicted.
    next_day = write_bars(tmp_path / "day.csv", PAST + LATER, PAST + LATER + 1)
    predict_live(database, tmp_path, lambda: run("ingest", "stocks", next_day, "--source", "vendor"), len(before) + 2)
    after = stored(database)
    assert {key: after[key] for key in before} == before
    found = replayed(database)
    each = LATER + 1
    assert found[:each] == [(True, 0)] * each
    assert found[each:] == [(True, 0)] * (LATER - 3) + [(False, 1), (False, 2), (False, 3), (True, 0)]


def a_late_fact(run, tmp_path: Path, database: Database) -> None:
    """Earnings that nobody had when days were predicted: replays name the bars that they belong to."""
    path = tmp_path / "fact.csv"
    path.write_text(f"symbol,as_of,eps\nBRK.B,{DAYS[PAST + LATER - 2]}T12:00:00Z,99\n", encoding="utf-8")
    before = stored(database)
    assert run("ingest", "fundamentals", path).code == 0
    assert stored(database) == before
    found = replayed(database)
    each = LATER + 1
    assert found[:each] == [(True, 0)] * each
    assert found[each:] == [(True, 0)] * (LATER - 3) + [(False, 1), (False, 2), (False, 3), (False, 3)]
