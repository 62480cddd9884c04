"""Numbers as they are written for a reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.dashboard.words.formats import Formats


def read_back(text: str, language: str) -> float:
    """Read a number as a person would who knows the marks of a language."""
    thousands, decimal = {"en": (",", "."), "de": (".", ",")}[language]
    return float(text.replace(thousands, "").replace(decimal, ".").replace("−", "-"))


@given(
    st.sampled_from(["en", "de"]),
    st.floats(1e-300, 0.01, exclude_max=True) | st.floats(-0.01, -1e-300, exclude_min=True),
    st.integers(2, 4),
)
def test_a_small_number_keeps_two_digits_in_the_readers_marks(language: str, value: float, digits: int):
    text = Formats(language).number(value, digits)
    assert "e" not in text
    if abs(value) < 10.0**-digits:
        assert read_back(text, language) == float(f"{value:.1e}")
        assert ("E" in text) == (abs(float(f"{value:.1e}")) < 1e-9)


@pytest.mark.parametrize(
    ("value", "english", "german"),
    [(1e-5, "0.00001", "0,00001"), (-0.000034, "−0.000034", "−0,000034"), (2e-9, "0.000000002", "0,000000002")],
)
def test_small_numbers_are_written_out(value: float, english: str, german: str):
    assert (Formats("en").number(value, 3), Formats("de").number(value, 3)) == (english, german)
