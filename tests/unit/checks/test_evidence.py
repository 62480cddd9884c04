import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kurswerk.checks import Effort, Evidence, Finding, PropertyCheck, certificate, differing_bits, examine_all
from kurswerk.core.errors import DataError

ANY_FLOATS = hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(width=64))


def evidence(trials=3):
    return Evidence(np.random.default_rng(0), Effort(trials=trials))


@given(ANY_FLOATS)
def test_nothing_differs_from_itself(values):
    assert not differing_bits(values, values.copy()).any()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_bits_are_counted_as_python_counts_them(left, right):
    a, b = np.array([left], np.uint64), np.array([right], np.uint64)
    assert differing_bits(a, b).tolist() == [(left ^ right).bit_count()]


@given(st.floats(allow_nan=False), st.integers(0, 63))
def test_one_bit_turned_is_one_bit_found(value, bit):
    left = np.array([value])
    right = (left.view(np.uint64) ^ np.uint64(1 << bit)).view(np.float64)
    expected = 1 if not np.isnan(right[0]) else differing_bits(left, np.array([np.nan]))[0]
    assert differing_bits(left, right).tolist() == [expected]


def test_every_nan_is_the_same_and_zero_has_a_sign():
    strange = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    assert differing_bits(np.array([np.nan, np.nan]), strange).tolist() == [0, 0]
    assert differing_bits(np.array([0.0]), np.array([-0.0])).tolist() == [1]
    assert np.isnan(strange).all()


@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.bool_, np.int64])
def test_other_types_are_compared_too(dtype):
    assert differing_bits(np.array([1], dtype), np.array([1], dtype)).tolist() == [0]
    assert differing_bits(np.array([1], dtype), np.array([0], dtype)).sum() > 0


def test_comparison_names_the_first_place():
    notes = evidence()
    notes.equal(np.zeros((2, 2)), np.array([[0.0, 0.0], [2.0, 4.0]]), lambda at: f"<{at}>", "doubled")
    notes.require(False, "a later violation")
    assert notes.problem is not None
    assert notes.problem.startswith("doubled: 2 of 4 values differ, first 2.0 instead of 0.0")
    assert "<(1, 0)>" in notes.problem
    assert notes.values_compared == 4
    assert notes.differing_bits == 1 + 2  # 2.0 is 0x4000…, 4.0 is 0x4010…


@pytest.mark.parametrize("other", [np.zeros(3), np.zeros(2, np.float32)])
def test_other_shape_or_type_is_a_violation(other):
    notes = evidence()
    notes.equal(np.zeros(2), other, str, "matrix")
    assert "was expected" in (notes.problem or "")


def test_trials_are_counted():
    notes = evidence(trials=3)
    assert list(notes.rounds()) == [0, 1, 2]
    assert list(notes.rounds(2)) == [0, 1, 2, 3, 4, 5]
    assert notes.trials == 9


def test_refusal_is_a_violation_and_other_errors_are_not_hidden():
    def refuse(subject, notes):
        raise DataError("too few rows")

    def crash(subject, notes):
        raise ZeroDivisionError

    assert PropertyCheck("a", "holds", refuse).examine(1, "s", 0).message == "could not be tried: too few rows"
    with pytest.raises(ZeroDivisionError):
        PropertyCheck("b", "holds", crash).examine(1, "s", 0)


def test_checks_draw_independently_of_each_other():
    def draw(name):
        return PropertyCheck(name, "", lambda subject, notes: subject.append(notes.rng.random()))

    both, alone = [], []
    list(examine_all([draw("a"), draw("b")], both, "s", 1))
    list(examine_all([draw("b")], alone, "s", 1))
    assert both[1:] == alone
    assert both[0] != both[1]


def test_certificate_sums_up_and_is_json():
    good, bad = Finding("a", "m", True, "", 10, 0, 2), Finding("b", "m", False, "leak", 5, 3, 1)
    document = json.loads(json.dumps(certificate([good, bad], model="m")))
    assert document["model"] == "m"
    assert not document["certified"]
    assert (document["values_compared"], document["differing_bits"]) == (15, 3)
    assert (document["leak_probes"], document["leaks_found"], document["trials"]) == (2, 1, 3)
    assert document["probes"][1]["message"] == "leak"
    assert certificate([good])["certified"]


@pytest.mark.parametrize(
    "findings", [[], [Finding("a", "m", True, "", 0)], [Finding("a", "m", True, "", 9, 1)]], ids=str
)
def test_nothing_compared_or_any_bit_is_no_certificate(findings):
    assert not certificate(findings)["certified"]
