"""Descriptions of old models: whatever a specification has comes back from the columns that held it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.training import ModelSpec, json_value, translate_specification

START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = ["volume_sol", "price_open", "buy_pressure_ratio", "price_change_5", "volume_ratio_10"]


@st.composite
def specifications(draw: st.DrawFn) -> ModelSpec:
    document = {
        "name": draw(st.sampled_from(["Finale", "a b", "ä"])),
        "model_type": draw(st.sampled_from(["random_forest", "xgboost"])),
        "features": draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)),
        "train_start": START,
        "train_end": START + timedelta(hours=draw(st.integers(1, 500))),
        "target_var": "price_close",
        "phases": draw(st.none() | st.lists(st.integers(1, 3), min_size=1, unique=True)),
        "use_engineered_features": draw(st.booleans()),
        "feature_engineering_windows": draw(st.sampled_from([[5, 10, 15], [3]])),
        "use_smote": draw(st.booleans()),
        "use_timeseries_split": draw(st.booleans()),
        "cv_splits": draw(st.integers(2, 10)),
        "params": draw(st.dictionaries(st.just("max_depth"), st.integers(2, 9))),
    }
    if draw(st.booleans()):
        document |= {"use_time_based_prediction": True, "direction": draw(st.sampled_from(["up", "down"]))}
        document |= {
            "future_minutes": float(draw(st.integers(1, 60))),
            "min_percent_change": float(draw(st.integers(1, 90))),
        }
    else:
        document |= {"operator": draw(st.sampled_from([">", "<="])), "target_value": float(draw(st.integers(-5, 5)))}
        document |= {"future_minutes": draw(st.none() | st.just(10.0))}
    return ModelSpec.parse(document)


def old_row(spec: ModelSpec, *, inside: bool, as_text: bool) -> dict:
    """What an older service stored, with its later fields in ``params`` or in columns, and JSON perhaps as text."""

    def stored(value):
        return json.dumps(json.dumps(value)) if as_text and value is not None else value

    later = {
        name: getattr(spec, name)
        for name in (
            "use_engineered_features",
            "feature_engineering_windows",
            "use_smote",
            "use_timeseries_split",
            "cv_splits",
        )
    }
    change = {
        "future_minutes": spec.future_minutes,
        "min_percent_change": spec.min_percent_change,
        "direction": spec.direction,
    }
    params = dict(spec.params) | later
    row = {
        "name": spec.name,
        "model_type": spec.model_type,
        "features": stored(list(spec.features)),
        "phases": stored(spec.phases and list(spec.phases)),
        "train_start": spec.train_start,
        "train_end": spec.train_end.replace(tzinfo=None),
        "target_variable": spec.target_var,
        "target_operator": spec.operator,
        "target_value": spec.target_value,
    }
    if inside:
        params |= {"_time_based": {"enabled": spec.use_time_based_prediction, **change}}
    else:
        row |= {
            "future_minutes": spec.future_minutes,
            "price_change_percent": spec.min_percent_change,
            "target_direction": spec.direction,
        }
    return {**row, "params": stored(params)}


@given(specifications(), st.booleans(), st.booleans())
def test_a_specification_comes_back_from_the_columns_that_held_it(spec, inside, as_text):
    done = translate_specification(old_row(spec, inside=inside, as_text=as_text))
    assert done.remarks == ()
    assert done.spec == spec.as_json()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "lstm"}, "lstm"),
        ({"features": ["aura"]}, "features"),
        ({"target_variable": None}, "target_var"),
        ({"target_operator": None, "target_value": None}, "target_value"),
        ({"target_operator": "LIKE"}, "operator"),
    ],
)
def test_what_cannot_be_translated_is_named(change, named):
    row = {
        "name": "a", "model_type": "xgboost", "features": ["volume_sol"], "train_start": START,
        "train_end": START + timedelta(days=1), "target_variable": "price_close", "target_operator": ">",
        "target_value": 1,
    }  # fmt: skip
    assert translate_specification(row).spec
    done = translate_specification({**row, **change})
    assert done.spec is None
    assert named in str(done.remarks[-1])


@pytest.mark.parametrize("value", ["plain", '"text"', None, 5])
def test_text_that_is_no_json_stays_text(value):
    assert json_value(value) == (value if value != '"text"' else "text")
