"""Scripts and styles: compressed once, kept by the browser for a year."""

import gzip
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_YEAR: Final = b"public, max-age=31536000, immutable"
_LEAST_BYTES: Final = 500


class StaticCache:
    """Answers for files whose address changes with their content; wraps the application that makes them.

    Parameters
    ----------
    app
        Asked once for each file.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[tuple[str, bytes], tuple[list[tuple[bytes, bytes]], bytes, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        key = (scope["path"], scope.get("query_string", b""))
        if key not in self._kept:
            status, headers, body = await self._ask(scope, receive)
            if status != 200:
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
            kind = [(name, value) for name, value in headers if name == b"content-type"]
            packed = gzip.compress(body, 6) if len(body) > _LEAST_BYTES else b""
            self._kept[key] = (kind, body, packed)
        kind, body, packed = self._kept[key]
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        chosen = packed if packed and b"gzip" in accepted else body
        headers = [*kind, (b"cache-control", _YEAR), (b"vary", b"accept-encoding"), _length(chosen)]
        if chosen is packed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else chosen})

    async def _ask(self, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        answer: dict[str, object] = {}
        chunks: list[bytes] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.update(message)
            else:
                chunks.append(message.get("body", b""))

        plain = {**scope, "method": "GET", "headers": [h for h in scope["headers"] if not h[0].startswith(b"if-")]}
        await self._app(plain, receive, collect)
        status, headers = answer["status"], answer["headers"]
        if not isinstance(status, int) or not isinstance(headers, list):
            raise TypeError("the application answered without a status and headers")
        return status, headers, b"".join(chunks)


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()
