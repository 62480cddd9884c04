"""What is kept, how long, and how much of it."""

import asyncio
from contextlib import suppress

from kurswerk.api._answers import Answer, AnswerCache, Terms, etag_of
from kurswerk.api._freshness import Freshness
from kurswerk.core.errors import DatabaseUnavailableError


def an_answer(freshness, *tables, body=b"x", until_s=None):
    return Answer([], body, etag_of(body), "/t", Terms(tables, freshness.version(tables), until_s))


def a_cache(most_bytes=1 << 20):
    freshness = Freshness()
    freshness.heard = True
    return AnswerCache(freshness, most_bytes), freshness


def test_an_answer_holds_until_its_table_changes():
    cache, freshness = a_cache()
    answer = an_answer(freshness, "a", "b")
    cache.keep(("/", b""), answer)
    freshness.changed("c")
    assert cache.find(("/", b"")) is answer
    freshness.changed("b")
    assert cache.find(("/", b"")) is None
    freshness.changed("a")
    assert cache.find(("/", b"")) is None


def test_any_change_at_all_ends_everything():
    cache, freshness = a_cache()
    cache.keep(("/", b""), an_answer(freshness, "a"))
    freshness.changed()
    assert cache.find(("/", b"")) is None


def test_a_change_during_the_query_keeps_the_answer_out():
    cache, freshness = a_cache()
    stale = an_answer(freshness, "a")
    freshness.changed("a")
    cache.keep(("/", b""), stale)
    assert cache.find(("/", b"")) is None


def test_nothing_from_tables_is_given_while_nothing_is_heard():
    cache, freshness = a_cache()
    timed = an_answer(freshness, until_s=float("inf"))
    cache.keep(("/tables", b""), an_answer(freshness, "a"))
    cache.keep(("/timed", b""), timed)
    freshness.heard = False
    assert cache.find(("/tables", b"")) is None
    assert cache.find(("/timed", b"")) is timed


def test_an_answer_ends_with_its_time():
    cache, freshness = a_cache()
    cache.keep(("/", b""), an_answer(freshness, until_s=0.0))
    assert cache.find(("/", b"")) is None


def test_without_terms_nothing_is_kept():
    cache, freshness = a_cache()
    cache.keep(("/", b""), an_answer(freshness))
    assert cache.find(("/", b"")) is None


def test_memory_is_bounded_and_the_unused_goes_first():
    cache, freshness = a_cache(most_bytes=50_000)
    for number in range(4):
        cache.keep((f"/{number}", b""), an_answer(freshness, "a", body=b"x" * 9_000))
    cache.find(("/0", b""))
    cache.keep(("/new", b""), an_answer(freshness, "a", body=b"x" * 9_000))
    cache.keep(("/newer", b""), an_answer(freshness, "a", body=b"x" * 9_000))
    found = [name for name in ("/0", "/1", "/2", "/3", "/new", "/newer") if cache.find((name, b""))]
    assert found == ["/0", "/2", "/3", "/new", "/newer"]
    cache.keep(("/huge", b""), an_answer(freshness, "a", body=b"x" * 20_000))
    cache.keep(("/" + "x" * 3_000, b""), an_answer(freshness, "a"))
    assert cache.find(("/huge", b"")) is None
    assert cache.find(("/" + "x" * 3_000, b"")) is None


class Feed:
    """Tells two changes, then breaks in one way after another."""

    def __init__(self, freshness, errors):
        self.freshness, self.errors, self.heard = freshness, errors, []

    async def changes(self):
        assert not self.freshness.heard
        yield None
        self.heard.append(self.freshness.heard)
        yield "a"
        raise self.errors.pop()


def test_listening_goes_on_whatever_breaks_it(monkeypatch):
    monkeypatch.setattr("kurswerk.api._freshness._PAUSE_S", 0.0)
    freshness = Freshness()
    feed = Feed(freshness, [asyncio.CancelledError(), ZeroDivisionError(), DatabaseUnavailableError("gone")])
    with suppress(asyncio.CancelledError):
        asyncio.run(freshness.follow(feed))
    assert feed.heard == [True] * 3
    assert freshness.version(["a"]) == 6
    assert not freshness.heard
