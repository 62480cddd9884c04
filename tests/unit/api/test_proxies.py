"""Calls that come through reverse proxies: who made them, over what, and under which path."""

import asyncio
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.api import ProxyMiddleware, ProxyOptions

PROXIES = ("10.0.0.0/8", "fd00::/8")
ours = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8")).map(str)
others = st.one_of(st.ip_addresses(network="192.0.2.0/24"), st.ip_addresses(network="2001:db8::/32")).map(str)


def seen(headers=(), *, peer="10.0.0.1", path="/api/models", kind="http", answer=(), **options):
    """Send one call through; return the scope behind, and the headers that the client gets."""
    scopes, sent = [], []

    async def app(scope, receive, send):
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": list(answer)})

    async def send(message):
        sent.append(message)

    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scheme = "http" if kind == "http" else "ws"
    scope = {"type": kind, "scheme": scheme, "path": path, "raw_path": path.encode(), "headers": pairs}
    middleware = ProxyMiddleware(app, ProxyOptions(**({"trusted": PROXIES} | options)))
    asyncio.run(middleware({**scope, "client": (peer, 4711)}, None, send))
    return scopes[0], dict(sent[0]["headers"])


def client_of(listed, peer="10.0.0.1"):
    return seen([("x-forwarded-for", ", ".join(listed))], peer=peer)[0]["client"][0]


@given(st.lists(st.one_of(ours, others), max_size=4), others, st.lists(ours, max_size=3))
def test_the_client_is_the_last_that_is_no_proxy_of_ours_whatever_it_wrote_itself(invented, client, proxies):
    found = client_of([*invented, client, *proxies])
    assert ipaddress.ip_address(found) == ipaddress.ip_address(client)


@given(st.lists(ours, min_size=1, max_size=4))
def test_of_proxies_alone_the_first_is_the_client(proxies):
    assert ipaddress.ip_address(client_of(proxies)) == ipaddress.ip_address(proxies[0])


@given(st.lists(st.one_of(ours, others), max_size=4), others)
def test_what_a_stranger_states_counts_for_nothing(invented, peer):
    headers = [
        ("x-forwarded-for", ", ".join(invented)),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("host", "here"),
    ]
    scope, answered = seen(headers, peer=peer)
    assert (scope["client"], scope["scheme"], dict(scope["headers"])[b"host"]) == ((peer, 4711), "http", b"here")
    assert b"strict-transport-security" not in answered


def test_an_address_that_cannot_be_read_hides_those_before_it():
    assert client_of(["192.0.2.7", "unknown", "10.0.0.2"]) == "10.0.0.2"
    assert client_of(["192.0.2.7:4711"]) == "192.0.2.7"
    assert client_of(["[2001:db8::1]:80"]) == "2001:db8::1"
    assert client_of(["192.0.2.7"], peer="::ffff:10.0.0.1") == "192.0.2.7"


def test_several_lines_are_one_list():
    headers = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2, 10.0.0.9")]
    assert seen(headers)[0]["client"][0] == "192.0.2.2"


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
def test_scheme_and_host_are_those_that_the_client_used(kind, scheme):
    headers = [("host", "127.0.0.1:8000"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "kurswerk.example")]
    scope, answered = seen(headers, kind=kind)
    assert scope["scheme"] == scheme
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"kurswerk.example"]
    assert answered.get(b"strict-transport-security") == (b"max-age=31536000" if kind == "http" else None)


def test_hsts_is_sent_over_https_alone_and_may_be_left_out():
    assert b"strict-transport-security" not in seen([("x-forwarded-proto", "http")])[1]
    secure = [("x-forwarded-proto", "https")]
    assert seen(secure, hsts_seconds=60)[1][b"strict-transport-security"] == b"max-age=60"
    assert b"strict-transport-security" not in seen(secure, hsts_seconds=0)[1]


def test_a_host_with_other_characters_is_ignored():
    scope, _ = seen([("host", "here"), ("x-forwarded-host", "evil<script>")])
    assert dict(scope["headers"])[b"host"] == b"here"


@pytest.mark.parametrize(
    ("path", "inner"),
    [("/ml/api/models", "/api/models"), ("/api/models", "/api/models"), ("/ml", "/"), ("/mls/api", "/mls/api")],
)
def test_the_prefix_is_removed_where_the_proxy_has_not_done_so(path, inner):
    scope, _ = seen(path=path, path_prefix="/ml")
    assert (scope["path"], scope["raw_path"]) == (inner, inner.encode())


def test_paths_that_the_application_names_get_the_prefix():
    cookie = b"kw_key=1; HttpOnly; Path=/dashboard; SameSite=strict"
    _, answered = seen(answer=[(b"location", b"/dashboard"), (b"set-cookie", cookie)], path_prefix="/ml")
    assert answered[b"location"] == b"/ml/dashboard"
    assert answered[b"set-cookie"] == b"kw_key=1; HttpOnly; Path=/ml/dashboard; SameSite=strict"
    for elsewhere in (b"https://example.org/", b"//example.org/"):
        assert seen(answer=[(b"location", elsewhere)], path_prefix="/ml")[1][b"location"] == elsewhere
    assert seen(answer=[(b"location", b"/dashboard")])[1][b"location"] == b"/dashboard"


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_trusted_proxy_may_state_the_prefix_itself(kind):
    stated = [("x-forwarded-prefix", "/ml/v2/")]
    scope, answered = seen(stated, path="/ml/v2/api/models", kind=kind, answer=[(b"location", b"/docs")])
    assert scope["path"] == "/api/models"
    assert answered[b"location"] == (b"/ml/v2/docs" if kind == "http" else b"/docs")
    assert seen(stated, path="/api/models")[0]["path"] == "/api/models"


@pytest.mark.parametrize("text", ["", "/", "ml", "//evil.example", "/a/../b c", "/ml\r\nx: y", "/" + "a" * 101])
def test_a_prefix_that_is_no_path_is_ignored(text):
    _, answered = seen([("x-forwarded-prefix", text)], answer=[(b"location", b"/docs")])
    assert answered[b"location"] == b"/docs"


def test_a_stated_prefix_counts_for_nothing_of_strangers_or_beside_a_setting():
    stated = [("x-forwarded-prefix", "/evil")]
    assert seen(stated, peer="192.0.2.1", answer=[(b"location", b"/docs")])[1][b"location"] == b"/docs"
    assert seen(stated, path_prefix="/ml", answer=[(b"location", b"/docs")])[1][b"location"] == b"/ml/docs"
