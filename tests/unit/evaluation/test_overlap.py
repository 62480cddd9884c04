"""Overlap of test and training period."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kurswerk.core.errors import SpecError
from kurswerk.evaluation import overlap

moment = st.integers(0, 60)


@given(moment, moment, moment, moment)
def test_share_counts_the_shared_moments(train_start: int, train_end: int, test_start: int, test_end: int) -> None:
    assume(train_start < train_end)
    assume(test_start < test_end)
    shared = set(range(train_start, train_end)) & set(range(test_start, test_end))
    found = overlap(train_start, train_end, test_start, test_end)
    assert found.share == pytest.approx(len(shared) / (test_end - test_start))
    assert found.has_overlap == bool(shared)


def test_words() -> None:
    day = 86_400_000_000
    note = overlap(0, 10 * day, 5 * day, 15 * day).note
    assert note.startswith("50.0% of the test period lies in the training period (1970-01-01T00:00:00Z to ")
    assert "does not overlap" in overlap(0, day, day, 2 * day).note


def test_refused() -> None:
    with pytest.raises(SpecError, match="test period starts"):
        overlap(0, 10, 5, 5)
    with pytest.raises(SpecError, match="training period starts"):
        overlap(10, 0, 5, 6)
