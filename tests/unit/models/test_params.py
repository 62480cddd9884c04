import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.models import MODEL_TYPES, create, model_params


def test_defaults_are_those_of_the_contracts():
    forest, boosting = model_params("random_forest"), model_params("xgboost", {})
    assert (forest["n_estimators"], forest["max_depth"], forest["min_samples_split"]) == (100, 10, 2)
    assert (boosting["n_estimators"], boosting["max_depth"], boosting["learning_rate"]) == (100, 6, 0.1)
    assert forest["random_state"] == boosting["random_state"] == 42


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_complete_parameters_complete_to_themselves(model_type):
    complete = model_params(model_type)
    assert model_params(model_type, complete) == complete
    assert list(model_params(model_type, dict(reversed(complete.items())))) == list(complete)


@given(st.sampled_from(MODEL_TYPES), st.data())
def test_any_value_is_taken_or_refused_with_the_value_named(model_type, data):
    name = data.draw(st.sampled_from(list(model_params(model_type))))
    junk = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([1])
    value = data.draw(junk)
    refusal = ""
    try:
        taken = model_params(model_type, {name: value})[name]
    except SpecError as error:
        refusal = str(error)
    assert f"is {value!r}; allowed: " in refusal if refusal else taken == value


@pytest.mark.parametrize(
    ("model_type", "params", "message"),
    [
        ("xgboost", {"learning_rate": 0}, "(0, 1]"),
        ("xgboost", {"max_depth": 6.5}, "an integer in [1, 24]"),
        ("xgboost", {"gamma": math.nan}, "a number in [0, 1e+12]"),
        ("xgboost", {"max_depth": True}, "an integer"),
        ("random_forest", {"n_estimators": 0}, "[1, 5000]"),
        ("random_forest", {"max_depth": 0}, "or null"),
        ("random_forest", {"max_features": "all"}, "one of sqrt, log2"),
        ("random_forest", {"max_features": 1.5}, "a number in (0, 1]"),
        ("random_forest", {"bootstrap": 1}, "true or false"),
        ("random_forest", {"random_state": -1}, "[0, "),
    ],
)
def test_a_value_out_of_range_names_the_range(model_type, params, message):
    with pytest.raises(SpecError) as caught:
        model_params(model_type, params)
    assert message in str(caught.value)


def test_whole_numbers_may_come_as_floats_and_null_where_it_means_unlimited():
    taken = model_params("random_forest", {"n_estimators": 20.0, "max_depth": None, "max_features": None})
    assert taken["n_estimators"] == 20
    assert isinstance(taken["n_estimators"], int)
    assert taken["max_depth"] is None
    assert taken["max_features"] is None
    assert model_params("random_forest", {"max_features": "log2"})["max_features"] == "log2"


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'learning_rate'"):
        model_params("xgboost", {"learnig_rate": 0.1})
    with pytest.raises(UnknownNameError, match="did you mean 'xgboost'"):
        create("xgbost", {})
