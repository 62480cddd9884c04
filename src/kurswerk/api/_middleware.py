"""The middleware around all routes, in plain ASGI: request ids, access checks, limits, cached responses, metrics."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from kurswerk.api._authentication import KEY_HEADER, METRICS, SAFE_METHODS, Authenticator, needed_scope
from kurswerk.api._limits import RateLimiter
from kurswerk.api._options import ApiOptions
from kurswerk.api._response_cache import ResponseCache
from kurswerk.api._response_sender import HeaderMap, ResponseSender
from kurswerk.api._table_versions import TableVersions
from kurswerk.api.errors import Refusal, path_of, response_to
from kurswerk.api.ports import ApiKey
from kurswerk.core.messages import Message
from kurswerk.observability import get_logger, has_token, log_context

log = get_logger(__name__)
_levels = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_KEY_HEADER = KEY_HEADER.lower().encode()
_CHALLENGE = {"WWW-Authenticate": "ApiKey"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

OnRequest = Callable[[str, str, int, float], None]


class RequestMiddleware:
    """Gives each request an id, checks access and limits, answers from the cache where that is valid, and counts."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        options: ApiOptions,
        authenticator: Authenticator,
        limiter: RateLimiter,
        versions: TableVersions,
        on_request: OnRequest,
    ) -> None:
        self._app = app
        self._options = options
        self._hosts = frozenset(host.lower() for host in options.allowed_hosts)
        self._authenticator = authenticator
        self._limiter = limiter
        self._versions = versions
        self._cache = ResponseCache(versions, options.most_cache_bytes)
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, WebSocket or lifespan."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: HeaderMap = dict(scope["headers"])
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id.decode()
        sender = ResponseSender(scope, headers, request_id, send, self._cache, self._versions)
        with log_context(request_id=request_id.decode()):
            try:
                await self._check(scope, headers)
                response = self._cache.get(sender.key) if scope["method"] == "GET" else None
                if response is not None:
                    await sender.send_cached(response)
                else:
                    await self._app(scope, self._limited(receive), sender)
            except Exception as error:  # the client gets a response, and the log the cause, whatever went wrong
                if sender.status:
                    log.exception("response interrupted", path=path_of(scope))
                    raise
                await response_to(error, scope)(scope, receive, sender)
            finally:
                self._record(scope, sender, time.perf_counter() - started)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: HeaderMap = dict(scope["headers"])
        scope.setdefault("state", {})["request_id"] = _request_id(headers).decode()
        try:
            await self._check(scope, headers)
        except Refusal as refusal:
            log.info("websocket refused", path=path_of(scope), status=refusal.status_code, code=refusal.code)
            await send({"type": "websocket.close", "code": 1008, "reason": str(refusal.detail)[:100]})
            return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope, headers: HeaderMap) -> None:
        """Raise a `Refusal` if a request is not allowed."""
        method = scope.get("method", "GET")  # a WebSocket has none: it reads
        writing = method not in SAFE_METHODS
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts and _hostname(host) not in self._hosts:
            raise Refusal(400, Message("api.unknown_host", host=host[:100], allowed=sorted(self._hosts)))
        if writing or scope["type"] == "websocket":
            _check_origin(headers, host)
        key = headers.get(_KEY_HEADER, b"").decode("latin-1")
        record = self._authenticator.cached(key) if key else None
        # A key that is not in the cache is counted under its address, so that nobody can try out many.
        client = f"key {record.id}" if record else str((scope.get("client") or ("unknown",))[0])
        await self._count(client, writing=writing)
        if scope["path"] in METRICS and self._options.metrics_token is not None:
            await self._authorize_metrics(headers, key, record)
        elif self._options.require_keys:
            await self._authorize(needed_scope(method, scope["path"]), key, record)
        if _declared_length(headers) > self._options.most_body_bytes:
            raise self._too_large()

    async def _count(self, client: str, *, writing: bool) -> None:
        wait_s = await self._limiter.wait_s(client, writing=writing)
        if wait_s is not None:
            raise Refusal(429, Message("api.too_many_calls", seconds=wait_s), headers={"Retry-After": str(wait_s)})

    async def _authorize_metrics(self, headers: HeaderMap, key: str, record: ApiKey | None) -> None:
        if has_token(headers, self._options.metrics_token or ""):
            return
        if key and self._options.require_keys:
            await self._authorize("read", key, record)
            return
        raise Refusal(401, Message("api.metrics_token_needed"), headers={"WWW-Authenticate": "Bearer"})

    async def _authorize(self, needed: str | None, key: str, record: ApiKey | None) -> None:
        if needed is None:
            return
        if not key:
            raise Refusal(401, Message("api.key_needed", header=KEY_HEADER), headers=_CHALLENGE)
        record = record or await self._authenticator.look_up(key)
        if record is None:
            raise Refusal(401, Message("api.key_unknown"), headers=_CHALLENGE)
        if not record.allows(needed):
            raise Refusal(403, Message("api.scope_needed", scope=needed, key=record.name))

    def _limited(self, receive: Receive) -> Receive:
        """Count the bytes of the body as they arrive: the declared length may be missing."""
        received = 0

        async def counted() -> AsgiMessage:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._options.most_body_bytes:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> Refusal:
        return Refusal(413, Message("api.body_too_large", most=self._options.most_body_bytes))

    def _record(self, scope: Scope, sender: ResponseSender, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status = sender.status or 500
        self._on_request(method, sender.template, status, seconds)
        # A service that is polled would drown its log in successful reads.
        level = logging.DEBUG if method in SAFE_METHODS and status < 400 else logging.INFO
        if _levels.isEnabledFor(level):
            client = (scope.get("client") or (None,))[0]
            milliseconds = round(seconds * 1000, 2)
            log.log(level, "request", method=method, path=path_of(scope), status=status, ms=milliseconds, client=client)


def _request_id(headers: HeaderMap) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16).encode()


def _hostname(host: str) -> str:
    """Return a Host header's name, without the port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _check_origin(headers: HeaderMap, host: str) -> None:
    """Refuse requests that a page of another site makes a browser send."""
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").partition("://")[2].lower() != host.lower():
        raise Refusal(403, Message("api.foreign_origin"), code="foreign_origin")


def _declared_length(headers: HeaderMap) -> int:
    text: Any = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() and len(text) < 20 else 0
