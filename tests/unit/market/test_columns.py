"""Names of columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import UnknownNameError
from kurswerk.market import ALIASES, COIN_COLUMNS, KEY, TIMESTAMP, map_columns
from kurswerk.market.columns import require_column

OURS = {KEY, TIMESTAMP, *COIN_COLUMNS}
WORDS = st.sampled_from([*OURS, *ALIASES, "Close", "OPEN", "open time", "Open-Time", " mint ", "MINT", "remark", ""])


@given(st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=20))
def test_each_of_ours_at_most_once_in_the_order_of_the_file(names):
    mapping = map_columns(names)
    assert len(set(mapping.values())) == len(mapping)
    assert set(mapping.values()) <= OURS
    assert list(mapping) == [name for name in dict.fromkeys(names) if name in mapping]


@given(st.lists(WORDS, max_size=20))
def test_our_own_spelling_always_wins(names):
    mapping = map_columns(names)
    for name in names:
        if name in OURS:
            assert mapping[name] == name


@given(st.lists(WORDS, max_size=12))
def test_nothing_that_could_be_mapped_is_left_out(names):
    reachable = {target for name in names for target in map_columns([name]).values()}
    assert set(map_columns(names).values()) == reachable


def test_case_wins_over_alias():
    assert map_columns(["symbol", "MINT"]) == {"MINT": "mint"}
    assert map_columns(["Mint", "mint"]) == {"mint": "mint"}


def test_require_column_names_the_nearest():
    assert require_column("price_close") == "price_close"
    with pytest.raises(UnknownNameError, match="did you mean 'price_close'"):
        require_column("price_clse")
