"""``kurswerk serve``, ``worker`` and ``keys`` in this process."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
import structlog

from kurswerk.cli import serve as serve_module
from waiting import until


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def once_ready(monkeypatch) -> Callable[[Callable[[dict], None]], list]:
    """Call a function with what ``serve --json`` prints, in a thread of its own; then stop the service."""
    outcomes: list[object] = []

    def arrange(visit: Callable[[dict], None]) -> list:
        def in_thread(document: dict) -> None:
            try:
                outcomes.append(visit(document))
            except httpx.HTTPError as error:  # for the test, whose thread is serving
                outcomes.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        def printed(document: dict) -> None:
            threading.Thread(target=in_thread, args=[document]).start()

        monkeypatch.setattr(serve_module, "print_json", printed)
        return outcomes

    return arrange


def test_serve_answers_until_it_is_stopped(run, once_ready):
    def visit(document: dict) -> tuple[int, ...]:
        url = document["addresses"]["api"]
        paths = ("/api/models", "/metrics", "/api/nothing")
        until(lambda: httpx.get(url + "/health", timeout=120).status_code == 200)
        return tuple(httpx.get(url + path, timeout=120).status_code for path in paths)

    outcomes = once_ready(visit)
    done = run("serve", "--only", "api", "--port", 0, "--json")
    assert (done.code, outcomes) == (0, [(200, 200, 404)]), done.err


def test_worker_shows_what_it_does(run, once_ready):
    outcomes = once_ready(lambda document: document["addresses"])
    assert run("worker", "--concurrency", 2, "--json").code == 0
    assert outcomes[0]["worker"].startswith("2 jobs at once, ")


def test_a_person_reads_where_it_is(run, monkeypatch):
    async def announce_only(parts, on_ready) -> None:
        on_ready()
        for part in parts:
            part._listener.close()

    monkeypatch.setattr(serve_module, "run_parts", announce_only)
    head, *lines = run("serve", "--only", "api", "--port", 0).out.splitlines()
    assert head.startswith("Kurswerk ")
    assert [line.split()[0] for line in lines] == ["api", "docs", "metrics"]


def test_keys_are_made_listed_and_revoked(run):
    assert "no keys" in run("keys", "list").out
    key = run("keys", "create", "n8n", "--scope", "train").out.strip()
    assert key.startswith("kw_")
    made = run("keys", "create", "dashboard", "--json").json
    assert (made["name"], made["scopes"]) == ("dashboard", ["read"])
    assert made["key"].startswith(made["prefix"])
    assert "n8n" in run("keys", "list").out
    listed = run("keys", "list", "--json").json["keys"]
    assert [record["name"] for record in listed] == ["n8n", "dashboard"]
    assert key not in str(listed)
    assert "is revoked" in run("keys", "revoke", "n8n").out
    assert run("keys", "revoke", "dashboard", "--json").json["revoked_at"]
    again = run("keys", "revoke", "n8n")
    assert again.code == 1


def test_a_key_is_replaced_with_the_one_before_beside_it(run):
    made = run("keys", "create", "n8n", "--scope", "train", "--json").json
    rotated = run("keys", "rotate", "n8n", "--grace-hours", "1", "--json").json
    assert (rotated["name"], rotated["scopes"], rotated["key"][:3]) == ("n8n", ["train"], "kw_")
    assert rotated["replaces"]["id"] == made["id"]
    assert rotated["replaces"]["revoked_at"] > rotated["created_at"]
    again = run("keys", "rotate", rotated["id"])
    assert again.out.startswith("kw_")
    assert f"takes the place of key {rotated['id']}" in again.err


def test_a_part_or_scope_that_does_not_exist_is_named(run):
    wrong = run("serve", "--only", "apo")
    assert (wrong.code, wrong.err.splitlines()[-1]) == (
        1,
        "kurswerk: unknown part of the service 'apo'; did you mean 'api'?",
    )
    assert run("keys", "create", "x", "--scope", "write").code == 2
