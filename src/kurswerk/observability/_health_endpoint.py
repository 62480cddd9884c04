"""Health and metrics over HTTP for a process without the API, in plain ASGI: a worker needs no web framework."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from kurswerk.observability._health import HealthReport

Event = MutableMapping[str, Any]
Answer = tuple[int, str, bytes]
_HEALTH: Final = frozenset({"/health", "/api/health"})
_METRICS: Final = frozenset({"/metrics", "/api/metrics"})
_JSON: Final = "application/json"
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_CHALLENGE: Final = (b"www-authenticate", b"Bearer")


class HealthEndpoint:
    """Answers ``/health``, ``/ready`` and ``/metrics`` as the API does, and nothing else.

    Parameters
    ----------
    health
        Checks everything that serving depends on; called in a thread.
    metrics_text
        Writes the metrics in Prometheus' text format; called in a thread.
    token
        Bearer token that metrics need; None needs none.
    """

    def __init__(
        self, health: Callable[[], HealthReport], metrics_text: Callable[[], bytes], token: str | None = None
    ) -> None:
        self._health, self._metrics_text, self._token = health, metrics_text, token

    async def __call__(
        self, scope: Event, _receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
    ) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        status, kind, body = await self._answer(scope["method"], scope["path"], dict(scope["headers"]))
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-store"), *([_CHALLENGE] if status == 401 else [])]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, method: str, path: str, headers: Mapping[bytes, bytes]) -> Answer:
        if path not in {*_HEALTH, *_METRICS, "/ready"}:
            return 404, _JSON, b'{"error": {"code": "not_found", "message": "here are /health, /ready and /metrics"}}'
        if method not in {"GET", "HEAD"}:
            return 405, _JSON, b'{"error": {"code": "method_not_allowed", "message": "only GET and HEAD"}}'
        if path in _METRICS:
            if self._token is not None and not has_token(headers, self._token):
                return 401, _JSON, b'{"error": {"code": "unauthorized", "message": "metrics need a bearer token"}}'
            return 200, _PROMETHEUS, await asyncio.to_thread(self._metrics_text)
        report = await asyncio.to_thread(self._health)
        document = {"ready": report.able_to_serve} if path == "/ready" else report.as_json()
        return 200 if report.able_to_serve else 503, _JSON, json.dumps(document).encode()


def has_token(headers: Mapping[bytes, bytes], token: str) -> bool:
    """Whether a call shows a bearer token (RFC 6750).

    Examples
    --------
    >>> has_token({b"authorization": b"Bearer secret"}, "secret"), has_token({}, "secret")
    (True, False)
    """
    kind, _, shown = headers.get(b"authorization", b"").partition(b" ")
    return kind.lower() == b"bearer" and hmac.compare_digest(shown.strip(), token.encode())
