"""The API and the dashboard behind real reverse proxies, on the examples that ``deploy/proxy`` gives."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from composed import ROOT
from dashboard_browser import CHROMIUM, NO_CHROMIUM, chromium
from feed_lanes import COINS, a_lane, drain
from kurswerk.api import ApiOptions, ProxyMiddleware, ProxyOptions, create_app
from kurswerk.dashboard import DashboardOptions, mount
from kurswerk.market import market_named
from kurswerk.storage.feed import PostgresFeedSession
from memory_dashboard import Registry, services_over
from memory_market import random_market
from running_app import running
from served_models import coin_rows, register, write_rows
from waiting import until

PREFIX = "/kurswerk"
NAME = "kurswerk.example.com"
EXAMPLES = ROOT / "deploy" / "proxy"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Replace what only the machine of the example has; each of it is there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A folder with a certificate for the example's name."""
    folder = tmp_path_factory.mktemp("certificate")
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(["openssl", *words, *names, *files], check=True, capture_output=True)
    whole = (folder / "fullchain.pem").read_text() + (folder / "privkey.pem").read_text()
    (folder / "kurswerk.pem").write_text(whole)
    return folder


def nginx(folder: Path, certificate: Path, port: int, upstream: str) -> list[str]:
    text = replaced(
        (EXAMPLES / "nginx.conf").read_text(),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        (f"/etc/letsencrypt/live/{NAME}", str(certificate)),
        ("127.0.0.1:8000", upstream),
        (f"server_name {NAME};", f"server_name {NAME} localhost;"),
    )
    places = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{\n{places}\naccess_log off;\n{text}}}\n")
    return ["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "log"), "-g", "daemon off; user root;"]


def haproxy(folder: Path, certificate: Path, port: int, upstream: str) -> list[str]:
    text = replaced(
        (EXAMPLES / "haproxy.cfg").read_text(),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("/etc/haproxy/kurswerk.pem", str(certificate / "kurswerk.pem")),
        ("127.0.0.1:8000", upstream),
    )
    config = folder / "haproxy.cfg"
    config.write_text(text)
    return ["haproxy", "-db", "-f", str(config)]


PROXIES = {"nginx": nginx, "haproxy": haproxy}
pytestmark = pytest.mark.parametrize(
    "proxy",
    [
        pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"))
        for name in PROXIES
    ],
)


@contextmanager
def behind(proxy: str, app: object, folder: Path, certificate: Path) -> Iterator[str]:
    """Serve an application behind a proxy; give the address of the proxy, with the path of the example."""
    options = ProxyOptions(trusted=("127.0.0.0/8",), path_prefix=PREFIX)
    with running(ProxyMiddleware(app, options)) as url:
        port = free_port()
        command = PROXIES[proxy](folder, certificate, port, url.removeprefix("http://"))
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)

        def answers() -> bool:
            assert process.poll() is None, (folder / "output").read_text()
            try:
                return httpx.get(f"https://localhost:{port}{PREFIX}/ready", verify=False).status_code < 500
            except httpx.HTTPError:
                return False

        try:
            until(answers, 60, what=proxy)
            yield f"https://localhost:{port}{PREFIX}"
        finally:
            process.terminate()
            process.wait()


def client_from(address: str) -> httpx.Client:
    """Return a client whose calls come from an address of this machine's."""
    return httpx.Client(transport=httpx.HTTPTransport(local_address=address, verify=False), timeout=60)


def test_calls_limits_links_and_headers(proxy, service, certificate, tmp_path):
    app = create_app(service.ports, ApiOptions(read_limit="4/year", path_prefix=PREFIX))
    with (
        behind(proxy, app, tmp_path, certificate) as url,
        client_from("127.0.0.2") as one,
        client_from("127.0.0.3") as other,
    ):
        found = [one.get(f"{url}/api/phases", headers={"X-Forwarded-For": f"192.0.2.{k}"}) for k in range(5)]
        assert [answer.status_code for answer in found] == [200] * 4 + [429]  # whatever it states of itself
        assert found[0].headers["strict-transport-security"] == "max-age=31536000"
        assert other.get(f"{url}/api/phases").status_code == 200
        assert other.get(f"{url}/openapi.json").json()["servers"] == [{"url": PREFIX}]
        outside = other.get(url.removesuffix(PREFIX) + "/api/phases")
        assert outside.status_code == 404
        to_prefix = other.get(url.removesuffix(PREFIX) + "/")
        assert to_prefix.headers["location"].endswith(f"{PREFIX}/")


def test_orders_lead_to_their_jobs_and_other_sites_order_nothing(proxy, service, certificate, tmp_path):
    model = service.ready_model("a")
    app = create_app(service.ports, ApiOptions(path_prefix=PREFIX))
    with behind(proxy, app, tmp_path, certificate) as url, client_from("127.0.0.1") as client:
        origin = url.removesuffix(PREFIX)
        for site, status in ((origin, 200), ("https://elsewhere.example", 403)):
            answer = client.patch(f"{url}/api/models/{model}", json={"description": "b"}, headers={"Origin": site})
            assert answer.status_code == status, answer.text


def test_predictions_come_over_a_websocket(proxy, service, certificate, tmp_path):
    register(service.database, "a")
    session = PostgresFeedSession(service.database, market_named())
    trusting = ssl.create_default_context(cafile=str(certificate / "fullchain.pem"))
    app = create_app(service.ports, ApiOptions(path_prefix=PREFIX))
    with behind(proxy, app, tmp_path, certificate) as url:
        address = url.replace("https", "wss", 1) + "/ws/predictions"
        with connect(address, ssl=trusting, origin=url.removesuffix(PREFIX)) as socket_:
            time.sleep(0.2)  # nothing is sent for a while
            write_rows(service.database, coin_rows(COINS, 0, 2))
            drain(a_lane(service.database, session))
            found = [json.loads(socket_.recv(timeout=60)) for _ in range(2 * len(COINS))]
    session.close()
    assert {row["coin_id"] for row in found} == set(COINS)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_the_dashboard_works_in_a_browser(proxy, service, certificate, tmp_path):
    app = create_app(service.ports, ApiOptions(path_prefix=PREFIX))
    mount(app, services_over(random_market(2, 60), Registry()), DashboardOptions(path_prefix=PREFIX))
    with behind(proxy, app, tmp_path, certificate) as url, chromium() as browser:
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.append(request.url))
        page.on("response", lambda answer: troubles.append(answer.url) if answer.status >= 400 else None)
        page.goto(f"{url}/dashboard")
        page.get_by_role("link", name="Models").first.click()
        page.wait_for_url(f"{url}/dashboard/models")
        page.wait_for_selector("#page h1, #page h2")
        page.reload()
        page.wait_for_selector("#page h1, #page h2")
        context.close()
    assert troubles == []
