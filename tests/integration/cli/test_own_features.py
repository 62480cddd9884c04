"""A feature of the user's own goes the whole way: trained, certified and served live with the bits of the batch."""

import json

import numpy as np
import pandas as pd
import pytest

import kurswerk as kw
from feed_lanes import stored
from kurswerk.bootstrap.environment import load_features
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.features import _names, feature_names
from kurswerk.market import MARKETS
from live_predictor import predict_live
from memory_market import START_US, a_spec, random_market

MINUTES, LATER = 420, 20
FILE = '''
from kurswerk.features.expressions import close, feature, highest


@feature(unit="percent", low=-100, high=0, source="test")
def drawdown(window: int = 20):
    """Distance of the close from its highest in `window` rows."""
    top = highest(close, window)
    return 100 * (close - top) / top
'''


def forget_own_features():
    _names.OWN_KINDS.clear()
    _names.forget_resolved()


@pytest.fixture
def _own_features_are_forgotten():
    yield
    forget_own_features()


@pytest.mark.usefixtures("_own_features_are_forgotten")
def test_a_feature_of_a_file_is_trained_served_live_and_read_from_python(run, tmp_path, monkeypatch, database):
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.setenv("KURSWERK_FEATURE_FILES", str(tmp_path / "mine.py"))
    panel = random_market(2, MINUTES + LATER)
    rows = pd.DataFrame(
        {"symbol": np.asarray(panel.instruments)[panel.codes], "time": pd.to_datetime(panel.timestamps, unit="us")}
        | {name: panel.column(f"price_{name}") for name in ("open", "high", "low", "close")}
    )
    old = rows["time"] < pd.to_datetime(START_US + MINUTES * MINUTE_US, unit="us")
    rows[old].to_parquet(tmp_path / "old.parquet")
    rows[~old].to_parquet(tmp_path / "new.parquet")
    assert run("ingest", "candles", tmp_path / "old.parquet").code == 0

    store = kw.open_store(frames="pandas")
    forget_own_features()  # each command below loads the file, as a process of its own does once
    spec = a_spec().as_json() | {"market": "candles", "target_var": "close", "use_engineered_features": False}
    spec.pop("mints", None)
    model = store.train(spec | {"features": ["price_change_5"], "name": "plain"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.json").write_text(json.dumps(spec | {"features": ["drawdown_9", "close"]}))
    record = run("train", tmp_path / "spec.json", "--json").json
    assert (record["certified"], record["features"]) == (True, ["drawdown_9"])
    assert run("activate", "small").code == 0
    predict_live(database, tmp_path, lambda: run("ingest", "candles", tmp_path / "new.parquet"), 2 * LATER)

    bars = store.read("candles")
    assert len(bars) == 2 * (MINUTES + LATER)
    found = store.model("small").predict(bars).set_index(["symbol", "time"])["probability"]
    live = stored(database)
    assert len(live) == 2 * LATER
    for (symbol, moment, _), score in live.items():
        assert score == found[symbol, pd.Timestamp(moment, unit="us", tz="UTC")]

    assert store.models()["name"].tolist() == ["small", "plain"]
    assert store.model(model.record.id).name == "plain"
    part = store.read(
        "candles", instruments=["COIN1"], start="2024-01-01T00:05", end="2024-01-01T00:06", columns=["close"]
    )
    assert (part.instruments, len(part), part.panel.columns) == (("COIN1",), 2, ("close",))
    result = store.test("plain", "2024-01-01T06:41", "2024-01-01T07:00", costs="none")
    assert (result.model_id, result.has_overlap) == (model.record.id, False)
    assert repr(store) == f"<store at {database}>"


def test_frames_of_an_unknown_library_are_refused():
    with pytest.raises(SpecError, match="'numpy'"):
        kw.open_store(frames="numpy")


@pytest.mark.usefixtures("_own_features_are_forgotten")
def test_a_process_that_runs_jobs_knows_the_features_of_the_file(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    load_features(Settings(data_dir=tmp_path, feature_files=(tmp_path / "mine.py",)))
    assert "drawdown_20" in feature_names(MARKETS["candles"])
    load_features(Settings(data_dir=tmp_path))
