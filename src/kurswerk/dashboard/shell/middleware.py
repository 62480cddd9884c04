"""The way in: who may, who reads, and which part answers."""

from collections.abc import Callable, Collection, Mapping
from html import escape
from http.cookies import CookieError, SimpleCookie
from string import Template
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

import anyio.to_thread
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kurswerk.dashboard.ports import ApiKeys
from kurswerk.dashboard.shell.static_files import StaticCache
from kurswerk.dashboard.words.user_context import ADDRESS, ALL_SCOPES, CURRENT, UserContext, user_from_headers

PREFIX: Final = "/dashboard"
_KEY_COOKIE: Final = "kw_key"
_MAX_FORM_BYTES: Final = 4096
_MIN_COMPRESSED_BYTES: Final = 1000
_COMPRESSION_LEVEL: Final = 4  # quick; these answers are made anew each time
_SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"private, no-store"),
)
_LOGIN_PAGE = Template(
    """<!DOCTYPE html><html lang="$lang"><head><meta charset="utf-8"><title>Kurswerk</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" type="image/svg+xml" href="$icon">
<link rel="stylesheet" href="$css"></head>
<body class="kw-login"><main><h1>Kurswerk</h1><p>$text</p>$error
<form method="post" action="$action"><label for="key">$label</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button type="submit">$button</button></form></main></body></html>"""
)


class AuthenticationMiddleware:
    """Lets readers in, remembers their choices for the callbacks, and hands on to the application behind.

    Parameters
    ----------
    app
        The Dash application with all its routes below `PREFIX`.
    keys
        Asked for what a user's key allows; None lets everybody do everything.
    allowed_hosts
        Names in the ``Host`` header that are answered; empty answers all.
    policy
        Returns what a page may load, for the header ``Content-Security-Policy``. In the page itself it would keep the
        browser from looking ahead for scripts.
    path_prefix
        Path under which a reverse proxy serves the pages.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: ApiKeys | None,
        allowed_hosts: Collection[str] = (),
        policy: Callable[[], str] = lambda: "default-src 'self'",
        path_prefix: str = "",
    ) -> None:
        self._app, self._keys, self._static = (
            GZipMiddleware(app, _MIN_COMPRESSED_BYTES, _COMPRESSION_LEVEL),
            keys,
            StaticCache(app),
        )
        self._policy, self._prefix = policy, path_prefix
        self._hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or socket."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = scope["path"]
        if not self._is_own_origin(scope, headers):
            await self._reject_origin(scope, receive, send)
            return
        send = _with_headers(send, self._policy)
        if path.startswith((f"{PREFIX}/_dash-component-suites/", f"{PREFIX}/assets/")):
            await self._static(scope, receive, send)
            return
        if path in {f"{PREFIX}/login", f"{PREFIX}/logout"} and scope["type"] == "http" and self._keys is not None:
            answer = await self._sign_in_or_out(Request(scope, receive), user_from_headers(headers))
            await answer(scope, receive, send)
            return
        scopes = await self._scopes_of_request(headers)
        if scopes is None:
            await self._refuse(scope, receive, send)
            return
        user, address = CURRENT.set(user_from_headers(headers, scopes)), ADDRESS.set(self._address(scope, headers))
        try:
            await self._app(_as_index(scope), receive, send)
        finally:
            CURRENT.reset(user)
            ADDRESS.reset(address)

    def _is_own_origin(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Whether the host is one of ours and no page of another site makes the browser ask."""
        host = headers.get("host", "").lower()
        if self._hosts and _name_of(host) not in self._hosts:
            return False
        origin = headers.get("origin")
        asks_only = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        return asks_only or origin is None or urlsplit(origin).netloc.lower() == host

    async def _reject_origin(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403})
        else:
            text = "This address is not served here, or another site has asked for it."
            await PlainTextResponse(text, status_code=403)(scope, receive, send)

    def _address(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """Return path and query of the page that is opened, as the browser has them; the page asks for its layout."""
        if scope["type"] != "http":
            return ""
        path: str = scope["path"]
        if path == f"{PREFIX}/_dash-layout":
            page = urlsplit(headers.get("referer", ""))
            here = page.netloc.lower() == headers.get("host", "").lower()
            return page._replace(scheme="", netloc="", fragment="").geturl() if here else ""
        # As it was sent, if nobody in front has changed it: decoded, a slash of a key looks like one of the path.
        sent = scope.get("raw_path", b"").decode("latin-1")
        path = sent if unquote(sent) == path else quote(path)
        query = scope.get("query_string", b"").decode("latin-1")
        return f"{self._prefix}{path}?{query}" if query else self._prefix + path

    async def _scopes_of_request(self, headers: Mapping[str, str]) -> frozenset[str] | None:
        if self._keys is None:
            return ALL_SCOPES
        key = _cookie(headers, _KEY_COOKIE)
        return await anyio.to_thread.run_sync(self._keys.scopes_of, key) if key else None

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401})
        elif scope["path"].startswith(f"{PREFIX}/_"):
            await Response(status_code=401)(scope, receive, send)
        else:
            await RedirectResponse(f"{PREFIX}/login", status_code=303)(scope, receive, send)

    async def _sign_in_or_out(self, request: Request, user: UserContext) -> Response:
        if request.url.path.endswith("/logout"):
            gone = RedirectResponse(f"{PREFIX}/login", status_code=303)
            gone.delete_cookie(_KEY_COOKIE, path=PREFIX)
            return gone
        if request.method != "POST":
            return _login_page(user, self._prefix)
        body = (await request.body())[:_MAX_FORM_BYTES]
        key = parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip()
        if self._keys is None or await anyio.to_thread.run_sync(self._keys.scopes_of, key) is None:
            return _login_page(user, self._prefix, wrong=True)
        welcome = RedirectResponse(PREFIX, status_code=303)
        welcome.set_cookie(
            _KEY_COOKIE, key, path=PREFIX, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return welcome


def _with_headers(send: Send, policy: Callable[[], str]) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower(): value for name, value in message["headers"]}
            added = [one for one in _SECURITY_HEADERS if one[0] not in present]
            if present.get(b"content-type", b"").startswith(b"text/html"):
                added.append((b"content-security-policy", policy().encode()))
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return sender


def _name_of(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _as_index(scope: Scope) -> Scope:
    """Let the index answer for every page, so that each has an address of its own."""
    path: str = scope["path"]
    if scope["type"] != "http" or path.startswith((f"{PREFIX}/_", f"{PREFIX}/assets/")):
        return scope
    return {**scope, "path": f"{PREFIX}/", "raw_path": f"{PREFIX}/".encode()}


def _cookie(headers: Mapping[str, str], name: str) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return jar[name].value if name in jar else None


def _login_page(user: UserContext, prefix: str, *, wrong: bool = False) -> Response:
    error = user.t("This key is unknown or revoked. Create one with: kurswerk keys create") if wrong else ""
    page = _LOGIN_PAGE.substitute(
        lang=user.language,
        css=f"{prefix}{PREFIX}/assets/kurswerk.css",
        icon=f"{prefix}{PREFIX}/assets/icon.svg",
        text=escape(user.t("This installation asks for an API key.")),
        error=f'<p role="alert" class="kw-error">{escape(error)}</p>' if error else "",
        action=f"{prefix}{PREFIX}/login",
        label=escape(user.t("API key")),
        button=escape(user.t("Sign in")),
    )
    return HTMLResponse(page, status_code=401 if wrong else 200, headers={"cache-control": "no-store"})
