"""The middleware without a server: WebSockets, interrupted responses, and what is logged."""

import asyncio

import pytest

from captured_logs import logged_by
from kurswerk.api import ApiOptions, _middleware
from kurswerk.api._authentication import Authenticator
from kurswerk.api._limits import RateLimiter
from kurswerk.api._middleware import RequestMiddleware
from kurswerk.api._table_versions import TableVersions
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
    """Send one request through the middleware; return all messages of the response, and what the metrics got."""
    sent, reported = [], []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    async def go():
        versions = TableVersions()
        middleware = RequestMiddleware(
            answer,
            options=ApiOptions(**options),
            authenticator=Authenticator(NoKeys(), versions),
            limiter=RateLimiter("100/minute", None),
            versions=versions,
            on_request=lambda *what: reported.append(what[:3]),
        )
        await middleware({"path": "/", "query_string": b"", "headers": [], "client": None, **scope}, receive, send)

    asyncio.run(go())
    return sent, reported


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


def test_an_answer_that_breaks_off_is_logged_and_raised():
    with logged_by(_middleware) as logs, pytest.raises(ZeroDivisionError):
        ask({"type": "http", "method": "GET", "path": "/breaks"})
    assert logs[0]["event"] == "response interrupted"


def test_a_lifespan_passes():
    assert len(ask({"type": "lifespan"})[0]) == 2


def test_a_method_nobody_knows_is_counted_as_other():
    sent, reported = ask({"type": "http", "method": "BREW"})
    assert reported == [("OTHER", "unmatched", 200)]
    assert sent[1]["body"] == b"whole"


def test_paths_cannot_harm_a_log():
    assert path_of({"path": "/a\nb", "raw_path": b"/a%0Ab"}) == "/a%0Ab"
    assert path_of({"path": "/ä", "raw_path": None}) == "/\\xc3\\xa4"
