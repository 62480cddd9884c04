import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kurswerk.evaluation import Metrics
from kurswerk.storage.registry import _models as models
from kurswerk.storage.registry import _rows as rows
from kurswerk.storage.server import _json as as_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=JSON)
def test_everything_becomes_json_that_the_standard_allows(value: object):
    wrapped = as_json.jsonb(value)
    if value is None:
        assert wrapped is None
        return
    assert wrapped is not None
    text = wrapped.dumps(wrapped.obj)
    assert "NaN" not in text or "NaN" in str(value)
    assert "\\u0000" not in text or "\\u0000" in json.dumps(value).replace("\\\\u0000", "")
    json.loads(text, parse_constant=refuse)


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_nul_becomes_the_sign_for_what_cannot_be_shown():
    wrapped = as_json.jsonb({"a": ["x\0y"]})
    assert wrapped is not None
    assert wrapped.obj == {"a": ["x�y"]}


SHARE = st.floats(0, 1)
COUNT = st.integers(0, 2**31)
METRICS = st.builds(
    Metrics, SHARE, SHARE, SHARE, SHARE, SHARE | st.none(), st.floats(-1, 1), SHARE | st.none(), SHARE | st.none(),
    COUNT, COUNT, COUNT, COUNT, st.none() | st.floats(-100, 100),
)  # fmt: skip


@given(metrics=METRICS)
def test_metrics_there_and_back(metrics: Metrics):
    assert rows.metrics_of_json(rows.metrics_json(metrics)) == metrics
    counts = {"confusion_matrix": metrics.confusion_matrix}
    in_model = rows.metrics_row(metrics, rows.MODEL_METRICS) | counts
    assert in_model["training_f1"] == metrics.f1
    assert rows.metrics_of_row(in_model, rows.MODEL_METRICS) == metrics
    in_test = rows.metrics_row(metrics, rows.TEST_METRICS) | counts | metrics.confusion_matrix
    assert in_test["f1_score"] == metrics.f1
    assert rows.metrics_of_row(in_test, rows.TEST_METRICS) == metrics


def test_a_row_without_counts_has_no_metrics():
    assert rows.metrics_of_row({"confusion_matrix": None}, rows.MODEL_METRICS) is None


def test_numbers_that_no_column_holds():
    assert [rows.number(value) for value in (None, float("inf"), 1)] == [None, None, 1.0]


def test_moments_and_plain_values_of_a_specification():
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert models._moment("2024-01-01T12:00:00") == noon
    assert models._moment(noon.replace(tzinfo=None)) == noon
    assert models._moment(noon) == noon
    assert models._plain({"a": [noon, (1, None)]}) == {"a": ["2024-01-01T12:00:00+00:00", [1, None]]}
