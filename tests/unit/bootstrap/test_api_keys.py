"""Keys that the settings name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.bootstrap.api_keys import configured_keys
from kurswerk.core.errors import InvalidInputError

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
spaces = st.sampled_from(["", " ", "\t"])


@given(st.lists(st.tuples(words, words, words)), st.data())
def test_keys_parted_by_commas_or_lines_are_read_as_they_were_written(entries, data):
    text = ""
    for entry in entries:
        parts = [data.draw(spaces) + part + data.draw(spaces) for part in entry]
        text += ":".join(parts) + data.draw(st.sampled_from([",", "\n", ",\n", "\n\n"]))
    assert configured_keys(text) == entries


@pytest.mark.parametrize("entry", ["kw_secret", "n8n:kw_secret", "n8n::kw_secret", "n8n:train:kw_secret:more"])
def test_an_entry_of_another_form_is_counted_and_not_repeated(entry):
    with pytest.raises(InvalidInputError, match="entry 2 of KURSWERK_API_KEYS") as caught:
        configured_keys(f"first:read:kw_1,{entry}")
    assert "secret" not in str(caught.value)
