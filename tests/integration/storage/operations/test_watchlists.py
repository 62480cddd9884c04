"""Watchlists: what is on them, in which order, and what is refused."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import ConflictError, InvalidInputError, NotFoundError, UnknownNameError
from kurswerk.market.watchlists import MOST_INSTRUMENTS, WatchedInstrument
from kurswerk.storage.operations import PostgresWatchlists
from kurswerk.storage.server import Database, downgrade, upgrade

A, B, C, D = (WatchedInstrument("stocks", key) for key in ("BRK.B", "005930.KS", "A/B \"C'", "ß"))
SAME_NAME = WatchedInstrument("candles", "BRK.B")


@pytest.fixture
def store(database: Database) -> PostgresWatchlists:
    return PostgresWatchlists(database)


def test_a_list_keeps_its_order_and_each_instrument_once(store: PostgresWatchlists):
    made = store.create(" my stocks ", [B, A, B])
    assert (made.name, made.instruments) == ("my stocks", (B, A))
    assert store.add(made.id, [C, A, SAME_NAME]).instruments == (B, A, C, SAME_NAME)
    assert store.remove(made.id, [A, D]).instruments == (B, C, SAME_NAME)
    assert store.add(made.id, [A]).instruments == (B, C, SAME_NAME, A)
    changed = store.change(made.id, name="other", instruments=[D])
    assert (changed.name, changed.instruments) == ("other", (D,))
    assert changed.updated_at > made.updated_at
    assert store.change(made.id).instruments == (D,)
    assert store.get("other") == store.get(made.id)
    second = store.create("another")
    assert [one.name for one in store.all()] == ["another", "other"]
    store.delete(made.id)
    assert store.all() == [second]
    with pytest.raises(NotFoundError):
        store.get(made.id)


def test_what_is_no_list_is_refused(store: PostgresWatchlists):
    made = store.create("mine", [A])
    for attempt in (
        lambda: store.create("mine"),
        lambda: store.change(store.create("yours").id, name="mine"),
    ):
        with pytest.raises(ConflictError, match="mine"):
            attempt()
    for name in ("", "  ", "12", "x" * 101, "a\nb"):
        with pytest.raises(InvalidInputError):
            store.create(name)
    with pytest.raises(UnknownNameError):
        store.add(made.id, [WatchedInstrument("bonds", "A")])
    with pytest.raises(InvalidInputError):
        store.add(made.id, [WatchedInstrument("stocks", "")])
    many = [WatchedInstrument("stocks", str(number)) for number in range(MOST_INSTRUMENTS)]
    with pytest.raises(InvalidInputError):
        store.add(made.id, many)
    assert store.get(made.id).instruments == (A,)
    assert len(store.change(made.id, instruments=many).instruments) == MOST_INSTRUMENTS
    for number in (made.id + 1000, 2**53):
        with pytest.raises(NotFoundError):
            store.add(number, [A])
        with pytest.raises(NotFoundError):
            store.delete(number)


STEPS = st.tuples(st.sampled_from(["add", "remove"]), st.lists(st.sampled_from([A, B, C, D, SAME_NAME]), max_size=4))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=6))
def test_any_changes_leave_what_a_list_in_memory_would_hold(store: PostgresWatchlists, steps: list):
    number, expected = store.create(f"list {len(store.all())}").id, []
    for step, instruments in steps:
        if step == "add":
            expected += [one for one in dict.fromkeys(instruments) if one not in expected]
            found = store.add(number, instruments)
        else:
            expected = [one for one in expected if one not in instruments]
            found = store.remove(number, instruments)
        assert list(found.instruments) == expected


def test_the_tables_go_and_come_with_their_revision(store: PostgresWatchlists, database: Database):
    store.create("mine", [A])
    downgrade(database, "0020")
    upgrade(database)
    assert store.all() == []
