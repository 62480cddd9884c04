"""The documented schema of a specification accepts what the server accepts, and nothing else, where it can state it.

The oracle is a JSON Schema validator that shares no code with pydantic.
"""

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from kurswerk.api.schemas._specification import specification_schemas
from kurswerk.api.schemas.models import EXAMPLE_SPEC, ModelCreate
from kurswerk.core.errors import KurswerkError
from kurswerk.market import MARKETS
from kurswerk.models import FAMILIES
from kurswerk.training import COST_PRESETS

REST = {name: EXAMPLE_SPEC[name] for name in ("name", "features", "train_start", "train_end", "target_var")}
THRESHOLD = {"operator": ">", "target_value": 1.5}
CHANGE = {"use_time_based_prediction": True, "future_minutes": 5, "min_percent_change": 2, "direction": "up"}
RETURN = {"target": "return", "future_minutes": 5}
NO_CHANGE = {"use_time_based_prediction": False, "min_percent_change": None, "direction": None}
SESSIONS = {"horizon_sessions": 5, "calendar": "XNYS"}
LEGACY = ("use_engineered_features", "feature_engineering_windows", "use_smote", "use_timeseries_split", "cv_splits")
HUGE = 10**400

odd = st.sampled_from([None, True, False, "5", "sqrt", "up", "at", [], {}, [5], ["x"], 0, -1, HUGE, 1e300, 0.5, 20.0])
numbers = st.one_of(st.integers(-3, 70_000), st.floats(-1, 3, allow_nan=False), st.integers(2**31 - 2, 2**31 + 1))
values = st.one_of(numbers, odd)


@pytest.fixture(scope="module")
def schemas():
    whole = ModelCreate.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**whole.pop("$defs"), **specification_schemas(whole)}


@pytest.fixture(scope="module")
def documented(schemas):
    root = {"$ref": "#/components/schemas/ModelCreate", "components": {"schemas": schemas}}
    return jsonschema_rs.Draft202012Validator(root).is_valid


def accepted(body):
    """Whether the server takes a body, without looking at any data."""
    try:
        ModelCreate.model_validate(body)
    except (ValidationError, KurswerkError):
        return False
    return True


@st.composite
def hyper_parameters(draw):
    family = draw(st.sampled_from(list(FAMILIES.values())))
    names = st.sampled_from([*family.hyper_parameters.model_fields, *LEGACY, "max_depht"])
    target = RETURN | NO_CHANGE if family.task == "regression" else {}
    return {"model_type": family.name, "params": draw(st.dictionaries(names, values, max_size=3)), **target}


@st.composite
def targets(draw):
    """Draw a target that is right, with up to two fields changed, or taken away, or those of the other kind added."""
    forecast = RETURN | {"model_type": "ridge"}
    kinds = [THRESHOLD, CHANGE, THRESHOLD | {"use_time_based_prediction": False}, forecast, forecast]
    target = dict(draw(st.sampled_from(kinds)))
    target |= draw(
        st.sampled_from([{}, {"horizon_mode": "within"}, {"horizon_mode": "within", "future_minutes": 10.5}])
    )
    target |= draw(st.sampled_from([{}, {}, {"future_minutes": None, **SESSIONS}, SESSIONS]))
    names = st.sampled_from(
        [*THRESHOLD, *CHANGE, *SESSIONS, *RETURN, "coverage", "model_type", "horizon_mode", "target_var", "market"]
    )
    for name in draw(st.lists(names, max_size=2)):
        if draw(st.booleans()):
            target.pop(name, None)
        else:
            target[name] = draw(
                values
                | st.sampled_from(
                    ["<", "down", "within", "coins", "price_open", "mint", "stars", "XETR", "XNY", "return", "ridge"]
                )
            )
    return target


@given(hyper_parameters())
@example({"model_type": "xgboost", "params": {"max_depth": 24}})
@example({"model_type": "xgboost", "params": {"max_depth": 25}})
@example({"model_type": "random_forest", "params": {"max_depth": None, "max_features": "log2"}})
@example({"model_type": "logistic_regression", "params": {"max_depth": 5}})
@example({"model_type": "xgboost", "params": None})
@example({"model_type": "xgbost"})
@example({"params": {}})
def test_hyper_parameters_are_documented_as_they_are_accepted(documented, part):
    body = REST | CHANGE | part
    assert documented(body) == accepted(body)


@given(targets())
@example(CHANGE | {"operator": ">"})
@example(CHANGE | {"operator": None, "target_value": None})
@example(THRESHOLD | {"direction": "up"})
@example(THRESHOLD | {"horizon_mode": "within"})
@example(THRESHOLD | {"target_value": HUGE})
@example(THRESHOLD | SESSIONS | {"horizon_mode": "within"})
@example(THRESHOLD | {"calendar": "XNYS"})
@example(CHANGE | SESSIONS)
@example(CHANGE | SESSIONS | {"future_minutes": None})
@example(CHANGE | {"future_minutes": None, "horizon_sessions": 5})
@example(CHANGE | {"future_minutes": None, "horizon_sessions": 2_601})
@example(RETURN | {"model_type": "ridge", "coverage": 0.8})
@example(RETURN | {"model_type": "ridge", "coverage": 1})
@example(RETURN | {"model_type": "ridge", "horizon_mode": "within"})
@example(RETURN)
@example(CHANGE | {"model_type": "ridge"})
@example(CHANGE | {"coverage": 0.9})
@example({})
def test_targets_are_documented_as_they_are_accepted(documented, target):
    body = REST | {"model_type": "xgboost"} | target
    assert documented(body) == accepted(body)


@given(st.sampled_from([*COST_PRESETS, "spot", None, {}, {"fee_bps": 10}, {"fee_bps": 10_000}, {"fee": 1}, 3]))
def test_costs_are_documented_as_they_are_accepted(documented, costs):
    body = REST | CHANGE | {"model_type": "xgboost", "costs": costs}
    assert documented(body) == accepted(body)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({"name": " "}, False),
        ({"name": "a\0"}, False),
        ({"feature_engineering_windows": [0]}, False),
        ({"feature_engineering_windows": [100_000]}, True),
        ({"feature_engineering_windows": [100_001]}, False),
        ({"mints": ["A"], "instruments": ["B"]}, False),
        ({"mints": ["A"], "instruments": None}, True),
        ({"colour": "red"}, False),
        ({"phases": [1]}, True),
        ({"phases": []}, False),
        ({"cv_splits": 1}, False),
    ],
)
def test_other_fields(documented, change, right):
    body = REST | CHANGE | {"model_type": "xgboost"} | change
    assert documented(body) == accepted(body) == right


def test_every_family_and_market_has_its_schema(schemas):
    by_type, _, by_market = schemas["ModelCreate"]["allOf"]
    assert list(by_type["discriminator"]["mapping"]) == list(FAMILIES)
    for name, reference in by_type["discriminator"]["mapping"].items():
        schema = schemas[reference.rpartition("/")[2]]
        assert schema["properties"]["model_type"]["const"] == name
        given = set(schema["properties"]["params"]["properties"])
        assert given == {*FAMILIES[name].hyper_parameters.model_fields, *LEGACY}
    markets = [schemas[choice["$ref"].rpartition("/")[2]]["title"] for choice in by_market["oneOf"]]
    assert markets == list(MARKETS)


def test_the_example_and_each_kind_of_target_are_right(documented):
    assert documented(EXAMPLE_SPEC)
    assert documented(REST | THRESHOLD | {"model_type": "random_forest"})
    assert not documented(REST | THRESHOLD | CHANGE | {"model_type": "random_forest"})
