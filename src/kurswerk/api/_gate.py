"""What every request passes: one thin layer of plain ASGI before and behind the routes."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from kurswerk.api._admission import KEY_HEADER, SAFE_METHODS, Admission, needed_scope
from kurswerk.api._answers import AnswerCache
from kurswerk.api._freshness import Freshness
from kurswerk.api._limits import RateLimiter
from kurswerk.api._sending import HeaderMap, Sender
from kurswerk.api._services import ApiOptions
from kurswerk.api.errors import Refusal, path_of, response_to
from kurswerk.core.messages import Message
from kurswerk.observability import get_logger, log_context
from kurswerk.storage.operations import ApiKey

log = get_logger(__name__)
_levels = logging.getLogger(__name__)

_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_KEY_HEADER = KEY_HEADER.lower().encode()
_CHALLENGE = {"WWW-Authenticate": "ApiKey"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

OnRequest = Callable[[str, str, int, float], None]


class Gate:
    """Names each request, decides whether it may pass, answers it from the cache where that is true, and counts it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        options: ApiOptions,
        admission: Admission,
        limiter: RateLimiter,
        freshness: Freshness,
        on_request: OnRequest,
    ) -> None:
        self._app = app
        self._options = options
        self._hosts = frozenset(host.lower() for host in options.allowed_hosts)
        self._admission = admission
        self._limiter = limiter
        self._freshness = freshness
        self._cache = AnswerCache(freshness, options.most_cache_bytes)
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
        sender = Sender(scope, headers, request_id, send, self._cache, self._freshness)
        with log_context(request_id=request_id.decode()):
            try:
                await self._admit(scope, headers)
                answer = self._cache.find(sender.key) if scope["method"] == "GET" else None
                if answer is not None:
                    await sender.send_kept(answer)
                else:
                    await self._app(scope, self._limited(receive), sender)
            except Exception as error:  # whatever it is, the client gets an answer and the log the cause
                if sender.status:
                    log.exception("answer broken off", path=path_of(scope))
                    raise
                await response_to(error, scope)(scope, receive, sender)
            finally:
                self._tell(scope, sender, time.perf_counter() - started)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: HeaderMap = dict(scope["headers"])
        scope.setdefault("state", {})["request_id"] = _request_id(headers).decode()
        try:
            await self._admit(scope, headers)
        except Refusal as refusal:
            log.info("websocket refused", path=path_of(scope), status=refusal.status_code, code=refusal.code)
            await send({"type": "websocket.close", "code": 1008, "reason": str(refusal.detail)[:100]})
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, headers: HeaderMap) -> None:
        """Let a request pass or raise a `Refusal`."""
        method = scope.get("method", "GET")  # a WebSocket has none: it reads
        writing = method not in SAFE_METHODS
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts and _hostname(host) not in self._hosts:
            raise Refusal(400, Message("api.unknown_host", host=host[:100], allowed=sorted(self._hosts)))
        if writing or scope["type"] == "websocket":
            _refuse_foreign_page(headers, host)
        key = headers.get(_KEY_HEADER, b"").decode("latin-1")
        record = self._admission.known(key) if key else None
        # A key that is not known yet is counted with the address it comes from, so that nobody can try out many.
        client = f"key {record.id}" if record else str((scope.get("client") or ("unknown",))[0])
        await self._count(client, writing=writing)
        if self._options.require_keys:
            await self._authorize(needed_scope(method, scope["path"]), key, record)
        if _declared_length(headers) > self._options.most_body_bytes:
            raise self._too_large()

    async def _count(self, client: str, *, writing: bool) -> None:
        wait_s = await self._limiter.wait_s(client, writing=writing)
        if wait_s is not None:
            raise Refusal(429, Message("api.too_many_calls", seconds=wait_s), headers={"Retry-After": str(wait_s)})

    async def _authorize(self, needed: str | None, key: str, record: ApiKey | None) -> None:
        if needed is None:
            return
        if not key:
            raise Refusal(401, Message("api.key_needed", header=KEY_HEADER), headers=_CHALLENGE)
        record = record or await self._admission.look_up(key)
        if record is None:
            raise Refusal(401, Message("api.key_unknown"), headers=_CHALLENGE)
        if not record.allows(needed):
            raise Refusal(403, Message("api.scope_needed", scope=needed, key=record.name))

    def _limited(self, receive: Receive) -> Receive:
        """Count what the body really brings: its declared length may be missing."""
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

    def _tell(self, scope: Scope, sender: Sender, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status = sender.status or 500
        self._on_request(method, sender.template, status, seconds)
        # A service that is polled would drown its log in successful reads.
        level = logging.DEBUG if method in SAFE_METHODS and status < 400 else logging.INFO
        if _levels.isEnabledFor(level):
            log.log(level, "request", method=method, path=path_of(scope), status=status, ms=round(seconds * 1000, 2))


def _request_id(headers: HeaderMap) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if _SANE_REQUEST_ID.fullmatch(given) else secrets.token_hex(16).encode()


def _hostname(host: str) -> str:
    """Return a Host header's name, without the port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _refuse_foreign_page(headers: HeaderMap, host: str) -> None:
    """Refuse what a page of another site makes a browser send."""
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").partition("://")[2].lower() != host.lower():
        raise Refusal(403, Message("api.foreign_origin"), code="foreign_origin")


def _declared_length(headers: HeaderMap) -> int:
    text: Any = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() and len(text) < 20 else 0
