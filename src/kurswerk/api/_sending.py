"""Sending an answer: what every answer carries, and keeping those that may be kept."""

from collections.abc import Mapping

from starlette.types import Message, Scope, Send

from kurswerk.api._admission import SAFE_METHODS
from kurswerk.api._answers import MARK, Answer, AnswerCache, Headers, etag_of, matches
from kurswerk.api._freshness import Freshness

HeaderMap = Mapping[bytes, bytes]

_CSP = b"content-security-policy"
SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"private, no-cache"),  # may be kept by the client alone, who asks each time whether it changed
]
_NOTHING_LOADS: Headers = [(_CSP, b"default-src 'none'; frame-ancestors 'none'")]
UNMATCHED = "unmatched"


class Sender:
    """Sends an answer with the headers every answer has, and keeps it where its route allows that."""

    __slots__ = (
        "_cache",
        "_chunks",
        "_extra",
        "_freshness",
        "_headers",
        "_kept",
        "_scope",
        "_send",
        "_start",
        "key",
        "status",
    )

    def __init__(
        self,
        scope: Scope,
        headers: HeaderMap,
        request_id: bytes,
        send: Send,
        cache: AnswerCache,
        freshness: Freshness,
    ) -> None:
        self._scope, self._headers, self._send = scope, headers, send
        self._cache, self._freshness = cache, freshness
        self._extra = [*SECURITY_HEADERS, (b"x-request-id", request_id)]
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._kept: Answer | None = None
        self.key: tuple[str, bytes] = (scope["path"], scope["query_string"])
        self.status = 0

    @property
    def template(self) -> str:
        """The route's template, such as ``/api/models/{model_id}``."""
        if self._kept is not None:
            return self._kept.template
        return getattr(self._scope.get("route"), "path_format", None) or UNMATCHED

    async def __call__(self, message: Message) -> None:
        """Take one message of the answer from the routes."""
        if message["type"] == "http.response.start":
            self._begin(message)
            if self._start is None:
                await self._send(message)
        elif self._start is None:
            await self._send(message)
        else:
            self._chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def send_kept(self, answer: Answer) -> None:
        """Send an answer that was kept, or only say that it has not changed."""
        self._kept = answer
        await self._send_whole(answer.headers, answer.body, answer.etag)

    def _begin(self, message: Message) -> None:
        self.status = message["status"]
        message["headers"] = headers = list(message.get("headers", ()))
        if not any(name == _CSP for name, _ in headers):
            headers += _NOTHING_LOADS
        if self._scope["method"] not in SAFE_METHODS and self.status < 400:
            self._freshness.changed()  # whoever wrote reads it back, though the database has not told yet
        if MARK in self._scope and self.status == 200:
            self._start = message
        else:
            headers += self._extra

    async def _finish(self, start: Message) -> None:
        body = b"".join(self._chunks)
        answer = Answer(start["headers"], body, etag_of(body), self.template, self._scope[MARK])
        self._cache.keep(self.key, answer)
        await self._send_whole(answer.headers, body, answer.etag)

    async def _send_whole(self, headers: Headers, body: bytes, etag: bytes) -> None:
        self.status = 304 if matches(etag, self._headers.get(b"if-none-match")) else 200
        if self.status == 304:
            headers, body = [], b""
        headers = [*headers, *self._extra, (b"etag", etag)]
        await self._send({"type": "http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
