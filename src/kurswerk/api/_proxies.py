"""Behind a reverse proxy: whom a call is from, how it came, and the path under which all of it is served."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_HOST: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
_PREFIX: Final = re.compile(rb"(?:/[A-Za-z0-9._~-]{1,100}){1,10}")
_COOKIE_PATH: Final = re.compile(rb"(;\s*path=)(/)", re.IGNORECASE)
_SECURE: Final = {"http": "https", "ws": "wss"}


@dataclass(frozen=True)
class ProxyOptions:
    """What reverse proxies in front of a server do.

    Attributes
    ----------
    trusted
        Their addresses or networks; what others state in the same headers is ignored.
    path_prefix
        The path under which they serve all of it, such as ``/kurswerk``; they may remove it or pass it on. Where it is
        empty, the one counts that a trusted proxy states in ``X-Forwarded-Prefix``.
    hsts_seconds
        How long browsers shall keep to HTTPS once they have used it; 0 sends no such header.
    """

    trusted: tuple[str, ...] = ()
    path_prefix: str = ""
    hsts_seconds: int = 31_536_000


class ProxyMiddleware:
    """Lets the application behind see a call as the client made it.

    ``X-Forwarded-For`` gives the client's address: the last one in the list that is no trusted proxy's, because what
    stands before it may have been written by the client. ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` give the scheme
    and the name that the client used. Over HTTPS every response has ``Strict-Transport-Security``. Paths in
    ``Location`` and ``Set-Cookie`` get the prefix. Links in the dashboard's pages are made with the one of the options,
    which therefore has to be set where pages are served below a path.
    """

    def __init__(self, app: ASGIApp, options: ProxyOptions) -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(text, strict=False) for text in options.trusted]
        self._prefix = options.path_prefix
        self._hsts = f"max-age={options.hsts_seconds}".encode() if options.hsts_seconds else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, WebSocket or lifespan."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        peer = address_of(str((scope.get("client") or ("",))[0]))
        proxy = peer if peer is not None and self._is_trusted(peer) else None
        prefix = self._prefix or (_stated_prefix(scope) if proxy is not None else "")
        scope = self._seen_by_client(scope, proxy, prefix)
        if scope["type"] == "http" and (prefix or scope["scheme"] == "https"):
            send = self._for_client(send, prefix.encode(), secure=scope["scheme"] == "https")
        await self._app(scope, receive, send)

    def _seen_by_client(self, scope: Scope, peer: Address | None, prefix: str) -> Scope:
        changed = {**scope, **_without_prefix(scope, prefix)}
        if peer is None:
            return changed
        changed["client"] = (str(self._client(peer, _listed(scope, b"x-forwarded-for"))), 0)
        if _listed(scope, b"x-forwarded-proto")[-1:] in (["https"], ["wss"]):
            changed["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        host = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
        if host and _HOST.fullmatch(host[-1]):
            changed["headers"] = [(name, value) for name, value in scope["headers"] if name != b"host"]
            changed["headers"].append((b"host", host[-1]))
        return changed

    def _client(self, peer: Address, listed: Sequence[str]) -> Address:
        """Return the nearest address that is no proxy of ours; one that cannot be read hides those before it."""
        client = peer
        for text in reversed(listed):
            address = address_of(text)
            if address is None:
                break
            client = address
            if not self._is_trusted(address):
                break
        return client

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _for_client(self, send: Send, prefix: bytes, *, secure: bool) -> Send:
        hsts = [(b"strict-transport-security", self._hsts)] if secure and self._hsts else []

        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = (_with_prefix(name, value, prefix) for name, value in message["headers"])
                message["headers"] = [*headers, *hsts]
            await send(message)

        return sender


def _stated_prefix(scope: Scope) -> str:
    """Return the path that a proxy states in ``X-Forwarded-Prefix``; empty where it is none."""
    stated = [value.rstrip(b"/") for name, value in scope["headers"] if name == b"x-forwarded-prefix"]
    return stated[-1].decode() if stated and _PREFIX.fullmatch(stated[-1]) else ""


def _without_prefix(scope: Scope, prefix: str) -> Scope:
    """Return the changed parts of a scope whose path begins with the prefix."""
    path: str = scope["path"]
    if not prefix or not (path == prefix or path.startswith(f"{prefix}/")):
        return {}
    raw: bytes = scope.get("raw_path") or b""
    raw = raw.removeprefix(prefix.encode()) or b"/"
    return {"path": path.removeprefix(prefix) or "/", "raw_path": raw}


def _with_prefix(name: bytes, value: bytes, prefix: bytes) -> tuple[bytes, bytes]:
    """Return a header with the prefix in front of paths that the application names."""
    if name.lower() == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
        return name, prefix + value
    if name.lower() == b"set-cookie":
        return name, _COOKIE_PATH.sub(lambda found: found[1] + prefix + found[2], value)
    return name, value


def address_of(text: str) -> Address | None:
    """Read an address, with or without a port; an IPv4 address inside an IPv6 one is that IPv4 address.

    Examples
    --------
    >>> address_of("192.0.2.1:4711"), address_of("[2001:db8::1]:80"), address_of("::ffff:192.0.2.1")
    (IPv4Address('192.0.2.1'), IPv6Address('2001:db8::1'), IPv4Address('192.0.2.1'))
    >>> address_of("unknown") is None
    True
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _listed(scope: Scope, header: bytes) -> list[str]:
    """Return the items of a header, those of all its lines together."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
    return [item.strip().lower() for item in ",".join(lines).split(",") if item.strip()]
