"""`import kurswerk`: frames of every kind in and out, and the same model as through the database's use cases."""

import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import kurswerk as kw
from kurswerk.core.errors import (
    ArtifactCorruptError,
    ArtifactForeignError,
    ConflictError,
    DataError,
    DataFileError,
    NotFoundError,
    SpecError,
    UnknownNameError,
)
from kurswerk.core.messages import Message
from kurswerk.features import FeaturePlan
from kurswerk.library._memory import MemoryModels, PanelMarket
from kurswerk.market import MARKETS
from kurswerk.registry import NewModel
from kurswerk.training import TrainingStores, train
from memory_market import MemoryMarket, MemoryRegistry, a_spec, random_market

MINUTE = 60_000_000
START = 1_704_067_200_000_000
SPEC = {
    "model_type": "xgboost",
    "features": ["price_change_5", "volume_ratio_10"],
    "future_minutes": 5,
    "min_percent_change": 0.1,
    "direction": "up",
    "use_smote": False,
    "cv_splits": 3,
    "params": {"n_estimators": 10, "max_depth": 3},
}


def candles(kind="pandas"):
    """The market of `random_market` as candles."""
    panel = random_market(coins=3)
    columns = {name.removeprefix("price_").removesuffix("_sol"): panel.column(name) for name in panel.columns}
    table = pa.table(
        {
            "Symbol": np.asarray(panel.instruments)[panel.codes].tolist(),
            "Date": pa.array(panel.timestamps).view(pa.timestamp("us", "UTC")),
            **columns,
        }
    )
    return table.to_pandas() if kind == "pandas" else table


@pytest.fixture(scope="module")
def bars():
    return kw.read(candles())


@pytest.fixture(scope="module")
def model(bars):
    return kw.train({**SPEC, "train_end": "2024-01-01T06:40:00Z", "name": "small"}, bars)


def test_what_the_library_offers():
    assert kw.__all__ == ["Bars", "Model", "Store", "__version__", "load", "open_store", "read", "train"]
    assert set(kw.__all__) <= set(dir(kw))
    with pytest.raises(AttributeError, match="it offers Bars"):
        _ = kw.trian


def test_the_import_alone_loads_nothing_numerical():
    heavy = {"numpy", "numba", "pydantic", "pyarrow", "kurswerk.core"}
    code = f"import sys, kurswerk; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_frame_comes_back_as_its_own_kind(bars):
    assert isinstance(bars.frame(), pd.DataFrame)
    assert list(bars.frame().columns) == ["symbol", "time", "open", "high", "low", "close", "volume"]
    assert isinstance(bars.features(["price_change_5"]), pd.DataFrame)
    table = kw.read(candles("pyarrow"))
    assert isinstance(table.frame(), pa.Table)
    assert table.panel.fingerprint() == bars.panel.fingerprint()
    assert kw.read(bars) is bars
    assert pa.table(bars).equals(table.frame())  # through Arrow's C stream


@pytest.mark.parametrize("library", ["polars", "duckdb"])
def test_frames_of_other_libraries_are_read_and_returned(library, bars):
    module = pytest.importorskip(library)
    frame = module.from_arrow(candles("pyarrow"))
    found = kw.read(frame)
    assert found.panel.fingerprint() == bars.panel.fingerprint()
    assert type(found.frame()) is type(frame)


def test_the_index_of_a_pandas_frame_counts_as_columns():
    index = pd.date_range("2024-01-01", periods=4, freq="h", name="Date")
    frame = pd.DataFrame({"Close": [1.0, 2.0, 3.0, np.nan]}, index=index)
    found = kw.read(frame, instrument="AAPL")
    assert found.instruments == ("AAPL",)
    assert found.panel.timestamps.tolist() == [int(moment.value // 1000) for moment in index]
    np.testing.assert_array_equal(found.panel.column("close"), [1, 2, 3, np.nan])


def test_rows_that_break_a_rule_are_refused_or_dropped_with_their_reason():
    frame = pa.table({"symbol": ["A"] * 3, "time": [60, 120, 180], "high": [2.0, 1.0, 2.0], "low": [1.0, 2.0, -1.0]})
    with pytest.raises(DataError, match="2 rows cannot be used, the first is row 2: high is below low"):
        kw.read(frame)
    kept = kw.read(frame, invalid="drop")
    assert kept.refused == ((2, "high is below low"), (3, "low is negative"))
    assert len(kept) == 1
    assert repr(kept) == "<1 rows of 1 instruments of market 'candles'>"


ONE = pa.table({"symbol": ["A"], "time": [1], "close": [1.0]})


@pytest.mark.parametrize(
    ("frame", "options", "error", "words"),
    [
        ([1, 2], {}, DataFileError, "type list is no data frame"),
        (ONE.select(["close"]), {}, DataFileError, "time"),
        (ONE, {"invalid": "skip"}, SpecError, "skip"),
        (ONE, {"market": "coin"}, UnknownNameError, "coin"),
        (ONE.slice(1), {}, DataError, "no rows"),
        (pa.concat_tables([ONE, ONE]), {}, DataError, "A"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused_by_name(frame, options, error, words):
    with pytest.raises(error, match=words):
        kw.read(frame, **options)


def test_dates_of_stocks_mean_the_close_of_their_session():
    frame = pd.DataFrame(
        {"symbol": "AAPL", "date": pd.to_datetime(["2024-07-02", "2024-07-03"]).date}
        | {name: [10.0, 11.0] for name in ("open", "high", "low", "close")}
    )
    found = kw.read(frame, "stocks", exchange="XNYS")
    closes = [str(np.datetime64(int(moment), "us"))[:16] for moment in found.panel.timestamps]
    assert closes == ["2024-07-02T20:00", "2024-07-03T17:00"]  # the day before Independence Day ends at 13:00
    assert found.panel.exchanges == ("XNYS",)


def test_features_are_those_of_the_plan_and_labels_those_of_the_specification(bars):
    names = ["rsi_14", "price_change_5"]
    found = bars.features(names)
    expected = FeaturePlan(names, MARKETS["candles"]).compute(bars.panel)
    np.testing.assert_array_equal(found[names].to_numpy(), expected)
    assert {"rsi_14", "close"} <= set(bars.feature_names())

    labels = bars.labels(min_percent_change=1, direction="up", future_minutes=5)
    close = bars.panel.column("close")
    for name in bars.instruments:
        rows = np.arange(len(bars))[bars.panel.rows_of(name)]
        reached = close[rows[5:]] / close[rows[:-5]] - 1 >= 0.01
        assert labels["label"].to_numpy()[rows[:-5]].astype(bool).tolist() == reached.tolist()
        assert labels["label"].isna().to_numpy()[rows[-5:]].all()
    best = bars.labels(quantile=0.4, relative_to="market", direction="up", future_minutes=5)
    # Of three instruments at most one lies in the upper two fifths.
    assert best.groupby("time")["label"].sum().max() == 1
    below = bars.labels(operator="<", target_value=1.0, future_minutes=5)
    assert below["label"].notna().sum() == labels["label"].notna().sum()
    with pytest.raises(SpecError, match="direction"):
        bars.labels(min_percent_change=1, future_minutes=5)


def test_a_column_that_a_feature_needs_and_the_rows_lack_is_named():
    prices = kw.read(pa.table({"symbol": ["A"], "time": [60], "close": [1.0]}))
    with pytest.raises(DataError, match="volume"):
        prices.features(["volume_ratio_5"])
    assert "volume_ratio_5" not in prices.feature_names()


def test_a_period_includes_both_ends(bars):
    part = bars.between("2024-01-01T00:10:00", "2024-01-01T00:12:00Z")
    assert sorted(set(part.panel.timestamps.tolist())) == [START + k * MINUTE for k in (10, 11, 12)]
    whole = bars.between(end=pd.Timestamp("2024-01-02").date())
    assert len(whole) == len(bars)


def test_training_gives_the_artifact_that_the_use_case_gives():
    panel = random_market(coins=3)
    registry = MemoryRegistry()
    spec = a_spec()
    record = train(spec, TrainingStores({"coins": MemoryMarket(panel)}, registry, registry))
    coins = kw.Bars(panel, MARKETS["coins"])
    model = kw.train(spec.as_json(), coins)
    assert model.record.artifact_sha256 == record.artifact_sha256
    assert model.record.metrics == record.metrics
    assert model.certificate["certified"] is True


def test_a_model_predicts_tests_and_certifies(model, bars):
    found = model.predict(bars)
    assert list(found.columns) == ["symbol", "time", "probability", "prediction"]
    assert len(found) == len(bars)
    assert ((found["probability"] >= 0.5) == found["prediction"]).all()
    again = model.predict(candles("pyarrow"))
    assert isinstance(again, pa.Table)
    np.testing.assert_array_equal(again["probability"].to_numpy(), found["probability"].to_numpy())

    result = model.test(bars)
    assert result.has_overlap is False
    assert result.num_samples == 3 * (600 - 401 - 5)
    free, dear = (model.test(bars, costs=costs).metrics.simulated_profit_pct for costs in ("none", {"fee_bps": 50}))
    assert free > dear
    early = model.test(bars, "2024-01-01T00:10", "2024-01-01T01:00")
    assert early.has_overlap is True

    assert model.certificate["certified"] is True
    assert model.certify(bars)["certified"] is True
    assert model.features == ("price_change_5", "volume_ratio_10")
    assert set(model.importance) == set(model.features)
    assert model.metrics["accuracy"] == model.record.metrics.accuracy
    assert "baselines" in model.evaluation
    assert model.spec["market"] == "candles"
    assert repr(model) == "<model 'small': xgboost of 2 features>"


def test_a_model_of_returns_gives_a_forecast_with_its_interval(bars):
    changed = {"target": "return", "model_type": "ridge", "params": {}, "train_end": "2024-01-01T06:40:00Z"}
    spec = {name: value for name, value in SPEC.items() if name not in {"min_percent_change", "direction"}}
    model = kw.train(spec | changed, bars)
    found = model.predict(bars).dropna()
    assert list(found.columns) == ["symbol", "time", "probability", "forecast", "low", "high", "prediction"]
    assert (found["low"] <= found["forecast"]).all()
    assert (found["forecast"] <= found["high"]).all()
    assert model.certificate["certified"] is True


def test_a_model_is_refused_rows_of_another_market(model):
    with pytest.raises(SpecError, match="'candles'"):
        model.predict(kw.Bars(random_market(coins=1), MARKETS["coins"]))
    with pytest.raises(SpecError, match="'coins'"):
        kw.train({**SPEC, "market": "coins"}, kw.read(candles()))


def test_a_saved_model_predicts_with_the_same_bits(model, bars, tmp_path):
    path = model.save(tmp_path / "model.zip")
    loaded = kw.load(path)
    assert loaded.record == model.record
    np.testing.assert_array_equal(
        loaded.predict(bars)["probability"].to_numpy(), model.predict(bars)["probability"].to_numpy()
    )


def test_a_file_that_is_no_model_or_was_changed_is_refused(model, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(ArtifactForeignError, match="no model that Kurswerk saved"):
        kw.load(path)
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for changed, error in (
        ({"model.json": parts["model.json"].replace(b"kurswerk-model-1", b"other-format-001")}, ArtifactForeignError),
        ({"model.onnx": parts["model.onnx"][:-1] + b"x"}, ArtifactCorruptError),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**parts, **changed}.items():
                archive.writestr(name, content)
        with pytest.raises(error):
            kw.load(path)


def test_models_in_memory_keep_the_rules_of_the_registry():
    models, spec = MemoryModels(), NewModel(a_spec().as_json())
    number = models.create(spec)
    with pytest.raises(ConflictError, match="small"):
        models.create(spec)
    models.fail(number, Message("count.rows", count=1))
    assert [record.id for record in models.find(status="FAILED", market="coins")] == [number]
    models.reopen(number)
    assert models.find(status="FAILED") == []
    models.update(number, {"name": "other"})
    other = models.create(spec)
    with pytest.raises(ConflictError):
        models.update(other, {"name": "other"})
    models.set_certificate(other, {"certified": True})
    assert models.get(other).certificate == {"certified": True}
    models.delete(number)
    with pytest.raises(NotFoundError):
        models.get("other")


def test_a_panel_as_a_store_answers_as_a_table_does():
    panel = random_market(coins=2)
    market = PanelMarket(panel, MARKETS["coins"])
    assert market.instruments() == ("COIN0", "COIN1")
    assert market.availability().rows == market.estimated_rows(end_us=int(panel.timestamps.max()))
    assert market.has_rows(start_us=START, end_us=START, mints=["COIN1"])
    assert not market.has_rows(start_us=0, end_us=START - 1)
    part = market.load_panel(["price_close"], start_us=START + MINUTE, end_us=START + 2 * MINUTE, mints=["COIN1"])
    assert (part.columns, part.instruments, len(part)) == (("price_close",), ("COIN1",), 2)
    empty = PanelMarket(panel.where(np.zeros(len(panel), dtype=bool)), MARKETS["coins"])
    assert (empty.availability().first_us, empty.availability().rows) == (None, 0)
