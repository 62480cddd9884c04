"""A specification: what it accepts, what it refuses, and how it says so."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataFileError, KurswerkError, SpecError, UnknownNameError
from kurswerk.market import COIN_COLUMNS
from kurswerk.training import ModelSpec
from memory_market import a_spec


def test_defaults_are_those_of_the_contract():
    spec = ModelSpec.parse(
        {
            "name": "m",
            "model_type": "random_forest",
            "features": ["price_close"],
            "train_start": "2024-01-01",
            "train_end": "2024-02-01",
            "target_var": "market_cap_close",
            "operator": ">",
            "target_value": 50000,
        }
    )
    assert spec.feature_engineering_windows == (5, 10, 15)
    assert (spec.use_smote, spec.use_timeseries_split, spec.cv_splits) == (True, True, 5)
    assert spec.horizon_mode == "at"
    assert spec.train_start == datetime(2024, 1, 1, tzinfo=UTC)
    assert spec.full_params["n_estimators"] == 100
    assert spec.full_params["max_depth"] == 10
    assert spec.full_params["random_state"] == 42
    assert spec.raw_features == ("price_close",)


def test_older_clients_may_send_five_fields_inside_params():
    spec = a_spec(params={"use_smote": False, "cv_splits": 7, "use_engineered_features": True, "max_depth": 3})
    assert spec.cv_splits == 3, "a field given in both places counts where the contract has it"
    document = a_spec().as_json()
    del document["cv_splits"], document["use_smote"]
    spec = ModelSpec.parse(document | {"params": {"use_smote": True, "cv_splits": 7, "max_depth": 3}})
    assert (spec.cv_splits, spec.use_smote, spec.params) == (7, True, {"max_depth": 3})


@given(
    minutes=st.integers(1, 1000),
    percent=st.floats(0.01, 1000, allow_nan=False),
    direction=st.sampled_from(["up", "down"]),
    mode=st.sampled_from(["at", "within"]),
    windows=st.lists(st.integers(2, 500), min_size=1, max_size=4),
    features=st.lists(st.sampled_from(sorted(set(COIN_COLUMNS) - {"price_close"})), min_size=1, max_size=5),
)
def test_what_it_writes_it_reads_back_equal(minutes, percent, direction, mode, windows, features):
    spec = a_spec(
        future_minutes=minutes,
        min_percent_change=percent,
        direction=direction,
        horizon_mode=mode,
        feature_engineering_windows=windows,
        features=features,
    )
    assert ModelSpec.parse(json.loads(json.dumps(spec.as_json()))) == spec


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"features": ["price_clse"]}, UnknownNameError, "did you mean 'price_close'"),
        ({"model_type": "xgbost"}, UnknownNameError, "did you mean 'xgboost'"),
        ({"target_var": "price_clos"}, UnknownNameError, "did you mean 'price_close'"),
        ({"use_smot": True}, UnknownNameError, "did you mean 'use_smote'"),
        ({"params": {"max_dept": 3}}, UnknownNameError, "did you mean 'max_depth'"),
        ({"params": {"max_depth": -1}}, SpecError, "-1"),
        ({"train_end": "2023-01-01"}, SpecError, "must lie before"),
        ({"train_end": "yesterday"}, SpecError, "'yesterday' is no ISO 8601 time"),
        ({"name": ""}, SpecError, "name"),
        ({"name": "   "}, SpecError, "visible"),
        ({"name": "x" * 256}, SpecError, "255"),
        ({"features": []}, SpecError, "features"),
        ({"future_minutes": 0}, SpecError, "future_minutes"),
        ({"future_minutes": None}, SpecError, "needs future_minutes"),
        ({"min_percent_change": float("nan")}, SpecError, "min_percent_change"),
        ({"direction": "sideways"}, SpecError, "sideways"),
        ({"use_time_based_prediction": False}, SpecError, "operator and target_value"),
        ({"feature_engineering_windows": [10**9]}, SpecError, "1000000000"),
        ({"cv_splits": 1}, SpecError, "cv_splits"),
        ({"features": ["price_close"], "use_engineered_features": False}, SpecError, "only the watched variable"),
        ({"phases": []}, SpecError, "phases"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_the_remedy(change, error, words):
    with pytest.raises(error, match=words):
        a_spec(**change)


def test_a_name_that_looks_like_sql_is_a_name():
    assert a_spec(name="x'; DROP TABLE ml_models; --").name == "x'; DROP TABLE ml_models; --"


def test_the_embargo_is_the_horizon_and_at_least_a_minute():
    assert a_spec(future_minutes=60).embargo_us == 3_600_000_000
    assert a_spec(future_minutes=0.5).embargo_us == 60_000_000


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '"text"', "[" * 100_000, "{}"])
def test_a_file_that_holds_no_specification_is_refused(tmp_path, content):
    path = tmp_path / "spec.json"
    path.write_text(content)
    with pytest.raises(KurswerkError):
        ModelSpec.read(path)


def test_a_missing_or_huge_file_is_refused(tmp_path):
    with pytest.raises(DataFileError, match="cannot read"):
        ModelSpec.read(tmp_path / "absent.json")
    big = tmp_path / "big.json"
    big.write_text(" " * (1 << 21))
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        ModelSpec.read(big)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(a_spec().as_json()))
    assert ModelSpec.read(path) == a_spec()
