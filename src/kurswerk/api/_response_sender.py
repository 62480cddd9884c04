"""Sending a response: headers that every response has, and caching of those that may be cached."""

from collections.abc import Mapping

from starlette.types import Message, Scope, Send

from kurswerk.api._authentication import SAFE_METHODS
from kurswerk.api._response_cache import VALIDITY, CachedResponse, Headers, ResponseCache, etag_of, matches
from kurswerk.api._table_versions import TableVersions

HeaderMap = Mapping[bytes, bytes]

_CSP = b"content-security-policy"
SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"private, no-cache"),  # only the client itself may cache, and revalidates each time
]
_NO_CONTENT_LOADED: Headers = [(_CSP, b"default-src 'none'; frame-ancestors 'none'")]
UNMATCHED = "unmatched"


class ResponseSender:
    """Sends a response with the headers that all have, and caches it where its route allows that."""

    __slots__ = (
        "_cache",
        "_cached",
        "_chunks",
        "_extra",
        "_headers",
        "_scope",
        "_send",
        "_start",
        "_versions",
        "key",
        "status",
    )

    def __init__(
        self,
        scope: Scope,
        headers: HeaderMap,
        request_id: bytes,
        send: Send,
        cache: ResponseCache,
        versions: TableVersions,
    ) -> None:
        self._scope, self._headers, self._send = scope, headers, send
        self._cache, self._versions = cache, versions
        self._extra = [*SECURITY_HEADERS, (b"x-request-id", request_id)]
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._cached: CachedResponse | None = None
        self.key: tuple[str, bytes] = (scope["path"], scope["query_string"])
        self.status = 0

    @property
    def template(self) -> str:
        """The route's template, such as ``/api/models/{model_id}``."""
        if self._cached is not None:
            return self._cached.template
        return getattr(self._scope.get("route"), "path_format", None) or UNMATCHED

    async def __call__(self, message: Message) -> None:
        """Pass on one ASGI message of the application."""
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

    async def send_cached(self, response: CachedResponse) -> None:
        """Send a cached response, or 304 if the client has it already."""
        self._cached = response
        await self._send_whole(response.headers, response.body, response.etag)

    def _begin(self, message: Message) -> None:
        self.status = message["status"]
        message["headers"] = headers = list(message.get("headers", ()))
        if not any(name == _CSP for name, _ in headers):
            headers += _NO_CONTENT_LOADED
        if self._scope["method"] not in SAFE_METHODS and self.status < 400:
            self._versions.increment()  # a client reads its own write back, though the notification is still under way
        if VALIDITY in self._scope and self.status == 200:
            self._start = message
        else:
            headers += self._extra

    async def _finish(self, start: Message) -> None:
        body = b"".join(self._chunks)
        response = CachedResponse(start["headers"], body, etag_of(body), self.template, self._scope[VALIDITY])
        self._cache.store(self.key, response)
        await self._send_whole(response.headers, body, response.etag)

    async def _send_whole(self, headers: Headers, body: bytes, etag: bytes) -> None:
        self.status = 304 if matches(etag, self._headers.get(b"if-none-match")) else 200
        if self.status == 304:
            headers, body = [], b""
        headers = [*headers, *self._extra, (b"etag", etag)]
        await self._send({"type": "http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
