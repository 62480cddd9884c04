"""The gate without a server: WebSockets, answers that break off, and what the log is told."""

import asyncio

import pytest

from heard_logs import logged_by
from kurswerk.api import ApiOptions, _gate
from kurswerk.api._admission import Admission
from kurswerk.api._freshness import Freshness
from kurswerk.api._gate import Gate
from kurswerk.api._limits import RateLimiter
from kurswerk.api.errors import path_of


class NoKeys:
    """Knows nobody."""

    def find(self, key):
        return None


async def answer(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/breaks":
        raise ZeroDivisionError
    await send({"type": "http.response.body", "body": b"whole"})


def ask(scope, **options):
    """Send one request through a gate and return all messages of the answer, and what the metrics were told."""
    sent, told = [], []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    async def go():
        freshness = Freshness()
        gate = Gate(
            answer,
            options=ApiOptions(**options),
            admission=Admission(NoKeys(), freshness),
            limiter=RateLimiter("100/minute", None),
            freshness=freshness,
            on_request=lambda *what: told.append(what[:3]),
        )
        await gate({"path": "/", "query_string": b"", "headers": [], "client": None, **scope}, receive, send)

    asyncio.run(go())
    return sent, told


def socket(**headers):
    return {
        "type": "websocket",
        "path": "/ws/predictions",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


def test_a_websocket_is_let_in():
    assert ask(socket(host="me:80", origin="http://me:80"))[0] == [{"type": "websocket.accept"}]
    assert ask(socket(host="me:80"))[0] == [{"type": "websocket.accept"}]


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        ({"host": "me", "origin": "http://evil"}, {}),
        ({"host": "evil"}, {"allowed_hosts": ("me",)}),
        ({"host": "me"}, {"require_keys": True}),
        ({"host": "me", "x-api-key": "kw_guess"}, {"require_keys": True}),
    ],
)
def test_a_websocket_is_refused_like_any_other_request(headers, options):
    (closed,), _ = ask(socket(**headers), **options)
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


def test_an_answer_that_breaks_off_is_told_and_not_mended():
    with logged_by(_gate) as logs, pytest.raises(ZeroDivisionError):
        ask({"type": "http", "method": "GET", "path": "/breaks"})
    assert logs[0]["event"] == "answer broken off"


def test_a_lifespan_passes():
    assert len(ask({"type": "lifespan"})[0]) == 2


def test_a_method_nobody_knows_is_counted_as_other():
    sent, told = ask({"type": "http", "method": "BREW"})
    assert told == [("OTHER", "unmatched", 200)]
    assert sent[1]["body"] == b"whole"


def test_paths_cannot_harm_a_log():
    assert path_of({"path": "/a\nb", "raw_path": b"/a%0Ab"}) == "/a%0Ab"
    assert path_of({"path": "/ä", "raw_path": None}) == "/\\xc3\\xa4"
