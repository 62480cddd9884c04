"""Horizons in sessions from training to outcome, over real daily bars of instruments of two exchanges."""

from bisect import bisect_left
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kurswerk.checks import Effort
from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import parse_timestamp
from kurswerk.evaluation import purged_walk_forward
from kurswerk.labels import UNKNOWN, compute_labels, deadlines
from kurswerk.market import Panel
from kurswerk.market.calendar import calendar_of
from kurswerk.oversight import judge
from kurswerk.training import (
    ModelSpec,
    Period,
    TrainingStores,
    certify,
    load_dataset,
    run_test,
    train,
)
from kurswerk.training import _certifying as certifying
from kurswerk.training import _folds as folds
from memory_market import MemoryMarket, MemoryRegistry

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "stocks_daily_505_2013_2018.parquet"
EXCHANGES = {"AAPL": "XNAS", "GE": "", "KO": "XETR", "XOM": "XETR"}
EFFORT = Effort(trials=2, panel_rows=300, fit_rows=500, fold_rows=2_000)
DOCUMENT = {
    "name": "week",
    "model_type": "xgboost",
    "market": "candles",
    "features": ["open", "rsi_14", "volume"],
    "train_start": "2013-03-01",
    "train_end": "2015-12-31",
    "target_var": "close",
    "use_time_based_prediction": True,
    "horizon_sessions": 5,
    "calendar": "XNYS",
    "min_percent_change": 1.0,
    "direction": "up",
    "use_smote": False,
    "cv_splits": 3,
    "params": {"n_estimators": 10, "max_depth": 3},
}
LATER = Period(parse_timestamp("2016-01-04"), parse_timestamp("2016-12-30"))


@pytest.fixture(scope="module")
def panel():
    """Bars at the close of each instrument's own exchange, on the days on which that trades."""
    if not REAL.exists():
        pytest.skip(f"{REAL} is absent")
    columns = ("open", "high", "low", "close", "volume")
    table = pq.read_table(REAL)
    keys, times, values = [], [], {name: [] for name in columns}
    for symbol, exchange in EXCHANGES.items():
        bars = table.filter(pc.equal(table["symbol"], symbol))
        calendar = calendar_of(exchange or "XNYS")
        days = bars["date"].to_numpy().astype("datetime64[D]")
        traded = np.isin(days, calendar.sessions.dates)
        keys += [symbol] * int(traded.sum())
        times.append(calendar.closes(days[traded]))
        for name in columns:
            values[name].append(bars[name].to_numpy()[traded])
    joined = {name: np.concatenate(parts).astype(np.float64) for name, parts in values.items()}
    return Panel.from_columns(keys, np.concatenate(times), joined).with_exchanges(EXCHANGES)


@pytest.fixture(scope="module")
def trained(panel):
    registry = MemoryRegistry()
    stores = TrainingStores({"candles": MemoryMarket(panel)}, registry, registry)
    train(ModelSpec.parse(DOCUMENT), stores)
    return stores


def broken(stores):
    document = certify("week", stores.markets, stores.models, effort=EFFORT)
    return {probe["check"] for probe in document["probes"] if not probe["passed"]}


def test_a_model_with_a_horizon_in_sessions_is_certified(trained):
    document = certify("week", trained.markets, trained.models, effort=EFFORT)
    assert document["certified"]
    assert document["differing_bits"] == 0


def test_a_label_that_looks_a_session_too_far_is_found(trained, monkeypatch):
    def a_session_less(panel, spec):
        return deadlines(panel, replace(spec, sessions=spec.sessions - 1))

    monkeypatch.setattr(certifying, "deadlines", a_session_less)
    assert broken(trained) == {"label_horizon"}


def test_folds_without_the_embargo_in_sessions_are_found(trained, monkeypatch):
    def without(times, ends, splits, embargo_us):
        return purged_walk_forward(times, ends, splits)

    monkeypatch.setattr(folds, "purged_walk_forward", without)
    assert broken(trained) == {"purge"}


def test_folds_stay_a_horizon_and_an_embargo_away_from_the_test_part(panel):
    spec = ModelSpec.parse(DOCUMENT)
    dataset = load_dataset(spec, MemoryMarket(panel))
    rows = dataset.rows
    found = folds.plan_folds(spec, dataset.timestamps, dataset.labels.end_us[rows], dataset.embargo_us[rows])
    closes = [calendar_of(exchange or "XNYS").sessions.closes_us.tolist() for exchange in panel.exchanges]
    for fold in found:
        for row in rows[fold.train].tolist():
            own = closes[dataset.panel.codes[row]]
            assert own[bisect_left(own, int(dataset.panel.timestamps[row])) + 10] < fold.test_start_us


def test_trades_of_a_test_leave_at_the_close_of_the_horizons_session(trained, panel):
    _, result = run_test("week", LATER, trained)
    labels = compute_labels(panel, ModelSpec.parse(DOCUMENT).label_spec())
    inside = (panel.timestamps >= LATER.start_us) & (labels.end_us <= LATER.end_us) & labels.known
    assert result.num_samples == int(inside.sum())
    exits = panel.timestamps[labels.exit_row[inside]]
    assert (exits <= labels.end_us[inside]).all()
    # The stocks put on the other exchange have no bars on American holidays.
    american = panel.codes[inside] < 2
    assert np.array_equal(exits[american], labels.end_us[inside][american])
    weeks = result.evaluation["bootstrap"]["bucket_minutes"] / 60 / 24
    assert weeks >= 7, "a time bucket is at least as wide as five sessions"


def test_outcomes_are_known_from_the_close_of_the_horizons_session_on(trained, panel):
    spec = ModelSpec.stored(trained.models.get("week").spec).label_spec()
    last = panel.timestamps[panel.rows_of("AAPL")][-8:]
    found = judge(panel, spec, ["AAPL"] * 8, last)
    assert (found.labels != UNKNOWN).tolist() == [True] * 3 + [False] * 5
    assert np.array_equal(found.end_us[:3], last[5:])


def test_a_specification_states_its_horizon_once():
    for change, words in (
        ({"future_minutes": 60}, "given twice, as 60.0 minutes and as 5 sessions"),
        ({"horizon_sessions": None, "future_minutes": 60}, "calendar is 'XNYS', but"),
        ({"horizon_sessions": None}, "needs future_minutes"),
        ({"horizon_sessions": 0}, "horizon_sessions"),
        ({"horizon_sessions": 2.5}, "horizon_sessions"),
    ):
        with pytest.raises(SpecError, match=words):
            ModelSpec.parse(DOCUMENT | change)


def test_a_specification_in_minutes_holds_no_field_of_sessions():
    minutes = {**DOCUMENT, "horizon_sessions": None, "calendar": None, "future_minutes": 60}
    document = ModelSpec.parse(minutes).as_json()
    assert not {"horizon_sessions", "calendar"} & set(document)
    spec = ModelSpec.parse(DOCUMENT)
    assert (spec.as_json()["horizon_sessions"], spec.as_json()["calendar"]) == (5, "XNYS")
    assert ModelSpec.stored(spec.as_json()) == spec


def test_a_market_that_never_closes_needs_no_calendar():
    spec = ModelSpec.parse({key: value for key, value in DOCUMENT.items() if key != "calendar"})
    assert spec.calendar is None
    assert spec.label_spec().calendar == "24/7"
    assert "calendar" not in spec.as_json()
