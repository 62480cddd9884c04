"""Query results are kept, shared, refreshed and dropped."""

from threading import Event

from kurswerk.dashboard.callbacks.cache import QueryCache
from waiting import until


def test_the_least_recently_used_and_the_stale_are_loaded_anew():
    cache = QueryCache(max_size=2)
    assert [cache.get(key, lambda key=key: key) for key in "abc"] == ["a", "b", "c"]
    assert cache.get("a", lambda: "new") == "new"
    assert cache.get("c", lambda: "new") == "c"
    assert cache.get("c", lambda: "later", max_age_s=0) == "later"
    cache.clear()
    assert cache.get("c", lambda: "again") == "again"


def test_a_stale_result_is_returned_while_one_caller_refreshes_it():
    cache, begun, go = QueryCache(), Event(), Event()

    def load() -> str:
        begun.set()
        assert go.wait(10)
        return "new"

    cache.get("a", lambda: "old")
    assert cache.get("a", load, max_age_s=0, stale_s=60) == "old"
    assert begun.wait(10)
    assert cache.get("a", lambda: "nobody asks twice", max_age_s=0, stale_s=60) == "old"
    go.set()
    until(lambda: cache.get("a", lambda: "not needed") == "new")
    assert cache.get("a", lambda: "asked", max_age_s=0, stale_s=0) == "asked"


def test_a_result_whose_load_began_before_clearing_is_not_kept():
    cache = QueryCache()

    def load() -> str:
        cache.clear()
        return "of before"

    assert cache.get("a", load) == "of before"
    assert cache.get("a", lambda: "of now") == "of now"


def test_a_failed_refresh_is_logged_and_tried_again(caplog):
    cache = QueryCache()
    cache.get("a", lambda: "old")
    assert cache.get("a", lambda: 1 // 0, max_age_s=0, stale_s=60) == "old"
    until(lambda: "could not be refreshed" in caplog.text)
    assert cache.get("a", lambda: "asked", max_age_s=0) == "asked"
