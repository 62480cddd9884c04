"""A specification: what it accepts, what it refuses, and with which message."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataFileError, KurswerkError, SpecError, UnknownNameError
from kurswerk.market import COINS
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


TIMED = {"future_minutes": 5, "min_percent_change": 1.0, "direction": "up"}
THRESHOLD = {
    "use_time_based_prediction": False,
    "min_percent_change": None,
    "direction": None,
    "operator": ">",
    "target_value": 5.0,
}


@pytest.mark.parametrize(
    ("target", "beside", "refused"),
    [
        ({}, {"operator": ">"}, "a time-based target does not use operator;"),
        ({}, {"target_value": 5}, "a time-based target does not use target_value;"),
        ({}, {"operator": ">", "target_value": 5}, "a time-based target does not use operator, target_value;"),
        (THRESHOLD, {"direction": "up"}, "only a time-based target uses direction;"),
        (THRESHOLD, {"min_percent_change": 2}, "only a time-based target uses min_percent_change;"),
        (THRESHOLD, TIMED, "only a time-based target uses min_percent_change, direction;"),
    ],
)
def test_fields_of_the_other_kind_of_target_are_refused_by_name(target, beside, refused: str):
    with pytest.raises(SpecError, match=refused):
        a_spec(**(target | beside))
    # A model that was stored when they were ignored means what it meant then.
    document = a_spec(**target).as_json() | beside
    assert ModelSpec.stored(document) == ModelSpec.parse(a_spec(**target).as_json() | {"future_minutes": 5})


def test_a_threshold_may_be_reached_within_a_horizon():
    assert a_spec(**THRESHOLD, future_minutes=5, horizon_mode="within").label_spec().minutes == 5


@given(
    minutes=st.integers(1, 1000),
    percent=st.floats(0.01, 1000, allow_nan=False),
    direction=st.sampled_from(["up", "down"]),
    mode=st.sampled_from(["at", "within"]),
    windows=st.lists(st.integers(2, 500), min_size=1, max_size=4),
    features=st.lists(st.sampled_from(sorted(set(COINS.columns) - {"price_close"})), min_size=1, max_size=5),
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


def test_coins_are_the_market_of_a_specification_without_one():
    spec = a_spec()
    assert spec.market_schema is COINS
    assert a_spec(market="coins") == spec
    assert {"market", "instruments"}.isdisjoint(spec.as_json())
    with pytest.raises(UnknownNameError, match="did you mean 'coins'"):
        a_spec(market="coin")


def test_mints_and_instruments_are_two_names_of_one_field():
    by_old_name = a_spec(mints=["A", "B"])
    by_new_name = a_spec(instruments=["A", "B"])
    assert by_old_name == by_new_name == a_spec(mints=["A", "B"], instruments=["A", "B"])
    assert by_new_name.mints == by_new_name.instruments == ("A", "B")
    assert by_new_name.as_json() == by_old_name.as_json() == {**by_old_name.as_json(), "mints": ["A", "B"]}
    assert ModelSpec.parse(by_new_name.as_json()) == by_new_name


@pytest.mark.parametrize("instruments", [["A"], ["B", "A"], []])
def test_mints_beside_other_instruments_are_refused_by_name(instruments):
    with pytest.raises(SpecError, match="mints and instruments"):
        a_spec(mints=["A", "B"], instruments=instruments)


def test_an_interval_stands_for_its_market():
    changes = {"market": "stocks", "features": ["close_price", "volume"], "target_var": "total_return_price"}
    spec = a_spec(**changes, interval="1h", use_engineered_features=False)
    assert (spec.market, spec.market_schema.interval, "interval" in spec.as_json()) == ("stocks_1h", "1h", False)
    assert ModelSpec.parse(spec.as_json()) == spec
    assert a_spec(**changes, interval="1d").market == "stocks"
    with pytest.raises(UnknownNameError, match="no bars of the interval '2h'"):
        a_spec(**changes, interval="2h")
    with pytest.raises(UnknownNameError, match="the market coins has no bars"):
        a_spec(interval="1h")
