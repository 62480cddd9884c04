"""The way in: keys, hosts, headers, and files that the browser keeps."""

import gzip
import json
import re

import pytest
from plotly.offline import get_plotlyjs_version

from kurswerk.dashboard import DashboardOptions
from memory_dashboard import Browser, Registry, services_over
from memory_market import random_market


@pytest.fixture(scope="module")
def services():
    return services_over(random_market(2, 60), Registry())


@pytest.fixture
def browser(services) -> Browser:
    return Browser(services)


def test_the_root_leads_to_the_dashboard_and_the_rest_to_the_api(browser: Browser):
    answer = browser.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/dashboard")
    assert browser.client.get("/api/ping").text == '"pong"'


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/models/3"])
def test_every_address_is_a_page_of_its_own_in_the_readers_language(browser: Browser, path: str):
    browser.client.headers["accept-language"] = "de-AT,en;q=0.5"
    browser.client.cookies["kw_scheme"] = "dark"
    answer = browser.client.get(path)
    assert answer.status_code == 200
    assert '<html lang="de" data-mantine-color-scheme="dark"' in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "private, no-store"


def test_a_page_loads_from_here_alone(browser: Browser):
    answer = browser.client.get("/dashboard")
    text, policy = answer.text, answer.headers["content-security-policy"]
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert policy.count("sha256-") >= len(re.findall(r"<script>", text))


def test_files_are_packed_once_and_kept_for_a_year(browser: Browser):
    text = browser.client.get("/dashboard").text
    for path in re.findall(r'(?:src|href)="(/dashboard/(?:_dash-component-suites|assets)/[^"]+)"', text):
        packed = browser.client.get(path, headers={"accept-encoding": "gzip"})
        assert packed.status_code == 200, path
        by_content = re.search(r"\.v[\w-]+m\d+\.|\?m=", path) is not None
        assert ("immutable" in packed.headers["cache-control"]) == by_content
        again = browser.client.get(path, headers={"if-none-match": packed.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        if packed.headers.get("content-encoding") == "gzip":
            plain = browser.client.get(path, headers={"accept-encoding": "identity"})
            assert plain.content == packed.content
            assert int(packed.headers["content-length"]) <= len(gzip.compress(plain.content, 1))
    assert browser.client.get("/dashboard/assets/none.css").status_code == 404
    assert browser.client.request("HEAD", "/dashboard/assets/kurswerk.css").content == b""


def test_other_hosts_and_other_sites_are_turned_away(services):
    browser = Browser(services, DashboardOptions(allowed_hosts=("localhost",)))
    assert browser.client.get("/dashboard").status_code == 200
    assert browser.client.get("/dashboard", headers={"host": "evil.example"}).status_code == 403
    foreign = {"origin": "https://evil.example"}
    assert browser.client.post("/dashboard/_dash-update-component", json={}, headers=foreign).status_code == 403
    assert browser.client.get("/dashboard", headers={"host": "localhost:8000"}).status_code == 200
    assert browser.client.get("/dashboard", headers={"host": "[::1]:8000"}).status_code == 403


def test_with_keys_a_reader_signs_in_and_keeps_to_the_keys_scope(services):
    browser = Browser(services, DashboardOptions(require_keys=True))
    answer = browser.client.get("/dashboard/models")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/login")
    assert browser.client.get("/dashboard/_dash-layout").status_code == 401
    assert "API key" in browser.client.get("/dashboard/login").text
    wrong = browser.client.post("/dashboard/login", data={"key": "guess"})
    assert (wrong.status_code, "kw_key" in wrong.cookies) == (401, False)
    right = browser.client.post("/dashboard/login", data={"key": " reader "})
    assert right.status_code == 303
    assert "HttpOnly" in right.headers["set-cookie"]
    browser.client.cookies["kw_key"] = "reader"
    assert "Models" in browser.open("/models")
    assert "Only a key with the scope" in browser.open("/system")
    given = {"simulate-go.n_clicks": 1}
    refused = browser.fire("data-content.children", given, "simulate-go.n_clicks")
    assert "lacks the scope" in str(refused)
    browser.client.cookies["kw_key"] = "master"
    assert "flow" in browser.open("/system")
    gone = browser.client.get("/dashboard/logout")
    assert gone.headers["location"] == "/dashboard/login"


def test_cookies_that_cannot_be_read_count_as_none(services):
    browser = Browser(services, DashboardOptions(require_keys=True))
    browser.client.headers["cookie"] = "kw_key=\x01; {}=;;"
    assert browser.client.get("/dashboard").status_code == 303


def test_the_layout_brings_the_page_it_is_asked_for_by(browser: Browser):
    here = browser.client.get("/dashboard/_dash-layout", headers={"referer": "http://localhost/dashboard/new?clone=x"})
    assert "Every field has a sensible default" in here.text
    assert "/dashboard/new?clone=x" in json.dumps(here.json())
    for stranger in ("", "http://evil.example/dashboard/new"):
        empty = browser.client.get("/dashboard/_dash-layout", headers={"referer": stranger}).text
        assert "Every field has a sensible default" not in empty


def test_the_layout_is_fetched_early_once_zone_and_colours_are_known(browser: Browser):
    early = '<link rel="preload" as="fetch" crossorigin href="/dashboard/_dash-layout">'
    assert early not in browser.client.get("/dashboard/models").text
    browser.client.cookies.update(kw_zone="Europe/Berlin", kw_system="light")
    text = browser.client.get("/dashboard/models").text
    assert early in text
    assert "<title>Models · Kurswerk</title>" in text
    assert "async-community.js" in text
    assert "async-community.js" not in browser.client.get("/dashboard/jobs").text


def test_the_chart_library_is_the_installed_one(browser: Browser):
    library = browser.client.get("/dashboard/_dash-component-suites/plotly/package_data/plotly.min.js")
    assert (library.status_code, library.headers["cache-control"]) == (200, "public, no-cache")
    assert f"plotly.js v{get_plotlyjs_version()}" in library.text[:200]


def addresses_in(text: str) -> set[str]:
    """Return every address of this server that a page or a layout names."""
    return set(re.findall(r'(?:href|src|action)"?[:=]"(/[^"]*)"', text.replace("\\u002f", "/")))


@pytest.mark.parametrize("path", ["", "/models", "/jobs", "/data", "/new", "/live", "/system", "/no-such-page"])
def test_behind_a_path_every_address_has_it(services, path: str):
    browser = Browser(services, DashboardOptions(path_prefix="/ml"))
    page = browser.client.get(f"/dashboard{path}")
    referer = f"http://localhost/ml/dashboard{path}"
    layout = browser.client.get("/dashboard/_dash-layout", headers={"referer": referer})
    for text in (page.text, layout.text):
        named = addresses_in(text)
        assert named
        assert all(address.startswith("/ml/") for address in named), named
    assert json.loads(re.search(r'id="_dash-config"[^>]*>(.*?)<', page.text)[1])["requests_pathname_prefix"] == (
        "/ml/dashboard/"
    )
    plain = Browser(services).client.get("/dashboard/_dash-layout", headers={"referer": referer.replace("/ml/", "/")})
    assert {address.removeprefix("/ml") for address in addresses_in(layout.text)} == addresses_in(plain.text)
