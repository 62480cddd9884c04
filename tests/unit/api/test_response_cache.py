"""What is cached, how long, and how much of it."""

import asyncio
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from kurswerk.api._response_cache import CachedResponse, ResponseCache, Validity, etag_of
from kurswerk.api._table_versions import TableVersions
from kurswerk.core.errors import DatabaseUnavailableError


def an_answer(versions, *tables, body=b"x", until_s=None):
    return CachedResponse([], body, etag_of(body), "/t", Validity(tables, versions.version(tables), until_s))


def a_cache(most_bytes=1 << 20):
    versions = TableVersions()
    versions.listening = True
    return ResponseCache(versions, most_bytes), versions


def test_an_answer_holds_until_its_table_changes():
    cache, versions = a_cache()
    answer = an_answer(versions, "a", "b")
    cache.store(("/", b""), answer)
    versions.increment("c")
    assert cache.get(("/", b"")) is answer
    versions.increment("b")
    assert cache.get(("/", b"")) is None
    versions.increment("a")
    assert cache.get(("/", b"")) is None


def test_any_change_at_all_ends_everything():
    cache, versions = a_cache()
    cache.store(("/", b""), an_answer(versions, "a"))
    versions.increment()
    assert cache.get(("/", b"")) is None


def test_a_change_during_the_query_keeps_the_answer_out():
    cache, versions = a_cache()
    stale = an_answer(versions, "a")
    versions.increment("a")
    cache.store(("/", b""), stale)
    assert cache.get(("/", b"")) is None


def test_nothing_from_tables_is_served_while_no_changes_are_notified():
    cache, versions = a_cache()
    timed = an_answer(versions, until_s=float("inf"))
    cache.store(("/tables", b""), an_answer(versions, "a"))
    cache.store(("/timed", b""), timed)
    versions.listening = False
    assert cache.get(("/tables", b"")) is None
    assert cache.get(("/timed", b"")) is timed


def test_an_answer_ends_with_its_time():
    cache, versions = a_cache()
    cache.store(("/", b""), an_answer(versions, until_s=0.0))
    assert cache.get(("/", b"")) is None


def test_without_terms_nothing_is_kept():
    cache, versions = a_cache()
    cache.store(("/", b""), an_answer(versions))
    assert cache.get(("/", b"")) is None


def test_memory_is_bounded_and_the_unused_goes_first():
    cache, versions = a_cache(most_bytes=50_000)
    for number in range(4):
        cache.store((f"/{number}", b""), an_answer(versions, "a", body=b"x" * 9_000))
    cache.get(("/0", b""))
    cache.store(("/new", b""), an_answer(versions, "a", body=b"x" * 9_000))
    cache.store(("/newer", b""), an_answer(versions, "a", body=b"x" * 9_000))
    found = [name for name in ("/0", "/1", "/2", "/3", "/new", "/newer") if cache.get((name, b""))]
    assert found == ["/0", "/2", "/3", "/new", "/newer"]
    cache.store(("/huge", b""), an_answer(versions, "a", body=b"x" * 20_000))
    cache.store(("/" + "x" * 3_000, b""), an_answer(versions, "a"))
    assert cache.get(("/huge", b"")) is None
    assert cache.get(("/" + "x" * 3_000, b"")) is None


class Feed:
    """Yields two changes, then breaks in one way after another."""

    def __init__(self, versions, errors):
        self.versions, self.errors, self.listening = versions, errors, []

    async def changes(self):
        assert not self.versions.listening
        yield None
        self.listening.append(self.versions.listening)
        yield "a"
        raise self.errors.pop()


def test_listening_continues_after_any_error(monkeypatch):
    monkeypatch.setattr("kurswerk.api._table_versions._RECONNECT_PAUSE_S", 0.0)
    versions = TableVersions()
    feed = Feed(versions, [asyncio.CancelledError(), ZeroDivisionError(), DatabaseUnavailableError("gone")])
    with suppress(asyncio.CancelledError):
        asyncio.run(versions.follow(feed))
    assert feed.listening == [True] * 3
    assert versions.version(["a"]) == 6
    assert not versions.listening


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12_000)), max_size=40))
def test_whatever_is_stored_memory_stays_below_its_bound_and_the_last_is_found(stored):
    """A quarter of the memory is the most for one response; what is larger neither enters nor evicts."""
    cache, versions = a_cache(most_bytes=40_000)
    latest = {}
    for number, size in stored:
        key = (f"/{number}", b"")
        response = an_answer(versions, "a", body=b"x" * size)
        cache.store(key, response)
        if size <= 9_000:
            latest[number] = response
            assert cache.get(key) is response
        else:
            assert cache.get(key) in (None, latest.get(number))
        found = [cache.get((f"/{n}", b"")) for n in range(10)]
        assert sum(len(one.body) + 1000 for one in found if one) <= 40_000
