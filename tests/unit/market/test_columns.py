"""Names of columns."""

from hypothesis import given
from hypothesis import strategies as st

from kurswerk.market import COINS, map_columns

OURS = {COINS.key, COINS.timestamp, *COINS.columns}
WORDS = st.sampled_from(
    [*OURS, *COINS.file_aliases(), "Close", "OPEN", "open time", "Open-Time", " mint ", "MINT", "remark", ""]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=20))
def test_each_of_ours_at_most_once_in_the_order_of_the_file(names):
    mapping = map_columns(names, COINS)
    assert len(set(mapping.values())) == len(mapping)
    assert set(mapping.values()) <= OURS
    assert list(mapping) == [name for name in dict.fromkeys(names) if name in mapping]


@given(st.lists(WORDS, max_size=20))
def test_our_own_spelling_always_wins(names):
    mapping = map_columns(names, COINS)
    for name in names:
        if name in OURS:
            assert mapping[name] == name


@given(st.lists(WORDS, max_size=12))
def test_nothing_that_could_be_mapped_is_left_out(names):
    reachable = {target for name in names for target in map_columns([name], COINS).values()}
    assert set(map_columns(names, COINS).values()) == reachable


def test_case_wins_over_alias():
    assert map_columns(["symbol", "MINT"], COINS) == {"MINT": "mint"}
    assert map_columns(["Mint", "mint"], COINS) == {"mint": "mint"}


def test_joined_columns_are_mapped_only_when_asked_for():
    assert map_columns(["sol_price_usd"], COINS) == {}
    assert map_columns(["sol_price_usd"], COINS, joined=True) == {"sol_price_usd": "sol_price_usd"}
