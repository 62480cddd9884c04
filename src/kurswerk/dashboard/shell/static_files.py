"""Scripts and styles: compressed once and kept by the browser."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

_YEAR: Final = b"public, max-age=31536000, immutable"
_ASK_AGAIN: Final = b"public, no-cache"
# Version and time of change in a file's name, or the time of change behind it.
_NAMED_BY_CONTENT: Final = re.compile(r"\.v[\w-]+m\d+\.|\?m=")
_MIN_COMPRESSED_BYTES: Final = 500


@dataclass(frozen=True)
class _File:
    """A file as it is sent: as it is, and packed if that makes it smaller."""

    kind: Headers
    body: bytes
    packed: bytes
    tag: bytes
    keeping: bytes


class StaticCache:
    """Answers for scripts and styles; wraps the application that has them.

    What an address named by its content gave is kept by the browser for a year, anything else is asked for again and
    answered with 304 as long as it is the same.

    Parameters
    ----------
    app
        Asked once for each file.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[str, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        query = scope.get("query_string", b"").decode("latin-1")
        address = f"{scope['path']}?{query}" if query else str(scope["path"])
        if address not in self._kept:
            status, headers, body = await self._fetch(scope, receive)
            if status != 200:
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
            self._kept[address] = _file(address, headers, body)
        found, asked = self._kept[address], dict(scope["headers"])
        zipped = bool(found.packed) and b"gzip" in asked.get(b"accept-encoding", b"")
        chosen = found.packed if zipped else found.body
        headers = [(b"cache-control", found.keeping), (b"vary", b"accept-encoding"), (b"etag", found.tag)]
        if found.tag in asked.get(b"if-none-match", b""):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        headers += [*found.kind, (b"content-length", str(len(chosen)).encode())]
        if zipped:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else chosen})

    async def _fetch(self, scope: Scope, receive: Receive) -> tuple[int, Headers, bytes]:
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


def _file(address: str, headers: Headers, body: bytes) -> _File:
    packed = gzip.compress(body, 9) if len(body) > _MIN_COMPRESSED_BYTES else b""
    return _File(
        kind=[(name, value) for name, value in headers if name == b"content-type"],
        body=body,
        packed=packed,
        tag=b'W/"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"',
        keeping=_YEAR if _NAMED_BY_CONTENT.search(address) else _ASK_AGAIN,
    )
