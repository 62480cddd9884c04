import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kurswerk.evaluation import Metrics
from kurswerk.storage.registry import _metrics_row as metrics_row
from kurswerk.storage.registry import _models as models
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


def test_metrics_there_and_back():
    metrics = Metrics(0.5, 0.4, 0.3, 0.2, None, -0.1, None, 0.9, 1, 2, 3, 4, -1.5)
    assert metrics_row.metrics_of(metrics_row.metrics_json(metrics)) == metrics


def test_numbers_that_no_column_holds():
    assert [metrics_row.number(value) for value in (None, float("inf"), 1)] == [None, None, 1.0]


def test_moments_and_plain_values_of_a_specification():
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert models._moment("2024-01-01T12:00:00") == noon
    assert models._moment(noon.replace(tzinfo=None)) == noon
    assert models._moment(noon) == noon
    assert models._plain({"a": [noon, (1, None)]}) == {"a": ["2024-01-01T12:00:00+00:00", [1, None]]}
