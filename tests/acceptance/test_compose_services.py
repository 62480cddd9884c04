"""The services of ``compose.yaml`` as plain processes: their own commands and environments, real servers beside them.

No container engine is needed. What differs: names of services become this machine, and each process has its own ports.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from composed import ROOT, image_environment, services
from kurswerk.storage.server import Database
from kurswerk.storage.server import _binaries as binaries
from served_models import coin_rows, register, write_rows
from waiting import until

PASSWORD, KEY = "p@ss/w:rd %", "kw_" + "c" * 40
MOST_START_S = 240


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Installation:
    """Processes of the services, each started by its command in ``compose.yaml``."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder, self.services = folder, services(variables)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.database_port = free_port()

    def spawn(self, name: str, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(list(command), stdout=log, stderr=log, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def start_postgres(self) -> None:
        """Do what the image of PostgreSQL does: make a cluster with user and password, then run the command."""
        service, cluster = self.services["postgres"], self.folder / "cluster"
        user = binaries.ServerUser.choose(cluster)
        cluster.mkdir()
        secret = self.folder / "password"
        secret.write_text(service["environment"]["POSTGRES_PASSWORD"])
        for path in (cluster, secret):
            user.own(path)
        user.may_reach(cluster)
        folder = binaries.folder_for(cluster)
        name = service["environment"]["POSTGRES_USER"]
        options = ["-U", name, "--auth=scram-sha-256", f"--pwfile={secret}", "-D", str(cluster), "--encoding=UTF8"]
        binaries.run(folder / "initdb", options, user, what="creating the cluster")
        command = [str(folder / service["command"][0]), *service["command"][1:]]
        place = ["-D", str(cluster), "-p", str(self.database_port), "-h", "127.0.0.1", "-k", str(cluster)]
        owner: dict[str, Any] = {"user": user.uid, "group": user.gid, "extra_groups": []} if user.switch else {}
        self.spawn("postgres", [*command, *place], cwd="/", **owner)
        url = f"host=127.0.0.1 port={self.database_port} user={name} dbname=postgres"

        def answers() -> bool:
            with suppress(psycopg.OperationalError), psycopg.connect(url, password=PASSWORD, autocommit=True) as admin:
                admin.execute("CREATE DATABASE kurswerk")
                return True
            return False

        until(answers, MOST_START_S, what="PostgreSQL")

    def start_role(self, name: str, **own: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start a role with what its image and its service set; return it with its health port."""
        port = free_port()
        service = self.services[name]
        environment = image_environment() | {key: str(value) for key, value in service["environment"].items()}
        environment |= {"PATH": os.environ["PATH"], "DB_HOST": "127.0.0.1", "DB_PORT": str(self.database_port)}
        environment |= {"KURSWERK_DATA_DIR": str(self.folder / "data"), "KURSWERK_HEALTH_PORT": str(port)} | own
        if cache := os.environ.get("NUMBA_CACHE_DIR"):
            environment["NUMBA_CACHE_DIR"] = cache
        log = f"{name}-{port}"
        process = self.spawn(log, [sys.executable, "-m", "kurswerk", *service["command"]], env=environment)

        def healthy() -> bool:
            assert process.poll() is None, self.log(log)
            with suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=30).status_code == 200
            return False

        until(healthy, MOST_START_S, what=log)
        return process, port

    def end(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def installation() -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="kurswerk-composed-"))
    variables = {
        "POSTGRES_PASSWORD": PASSWORD,
        "KURSWERK_API_KEYS": f"me:admin:{KEY}",
        "KURSWERK_HTTP_REDIS_URL": "redis://redis:6379",
    }
    found = Installation(folder, variables)
    try:
        yield found
    finally:
        found.end()
        shutil.rmtree(folder, ignore_errors=True)


def stored(database: Database) -> tuple[int, int]:
    """Return how many predictions there are, and of how many different rows and models."""
    with database.connection() as connection:
        statement = 'SELECT count(*), count(DISTINCT (coin_id, "timestamp", model_id)) FROM predictions'
        found = connection.execute(statement).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def start_redis(installation: Installation) -> str:
    """Run its command and return the URL that the API gets."""
    port = free_port()
    command = installation.services["redis"]["command"]
    installation.spawn("redis", [*command, "--port", str(port), "--bind", "127.0.0.1"], cwd=installation.folder)
    return f"redis://127.0.0.1:{port}"


def start_prometheus(installation: Installation, health_ports: Mapping[str, Sequence[int]]) -> str:
    """Run its command on its configuration, with this machine's ports for the names of services."""
    text = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    targets = {name: [f"127.0.0.1:{port}" for port in ports] for name, ports in health_ports.items()}
    text = text.replace('["api:8001"]', json.dumps(targets["api"])).replace(
        "scrape_interval: 15s", "scrape_interval: 1s"
    )
    discovered = text.index("    dns_sd_configs:")
    rest = text.index("    metric_relabel_configs:")
    others = json.dumps([*targets["worker"], *targets["predictor"]])
    config = installation.folder / "prometheus.yml"
    config.write_text(f"{text[:discovered]}    static_configs:\n      - targets: {others}\n{text[rest:]}")
    port = free_port()
    place = {"--config.file": str(config), "--storage.tsdb.path": str(installation.folder / "tsdb")}
    command = [
        f"{option}={place.get(option, value)}"
        for option, _, value in (word.partition("=") for word in installation.services["prometheus"]["command"])
    ]
    installation.spawn("prometheus", ["prometheus", *command, f"--web.listen-address=127.0.0.1:{port}"])
    return f"http://127.0.0.1:{port}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_roles_share_one_database_and_predictors_that_are_killed_lose_nothing(installation: Installation):
    installation.start_postgres()
    redis_url = start_redis(installation)
    http_port = free_port()
    api, api_health = installation.start_role(
        "api", KURSWERK_HTTP_PORT=str(http_port), KURSWERK_HTTP_REDIS_URL=redis_url
    )
    worker, worker_health = installation.start_role("worker")
    first, _ = installation.start_role("predictor")
    database = Database(f"postgresql://kurswerk:p%40ss%2Fw%3Ard%20%25@127.0.0.1:{installation.database_port}/kurswerk")
    models = [register(database, name, seed=seed) for seed, name in enumerate(("a", "b"))]
    coins = [f"c{k:03d}" for k in range(40)]
    rows = coin_rows(coins, 0, 60)
    moments = sorted({moment for _, moment in rows})

    def write(chosen: Sequence[int]) -> None:
        for moment in chosen:
            write_rows(database, {key: row for key, row in rows.items() if key[1] == moment})

    write(moments[:20])
    until(lambda: stored(database)[0] == len(models) * len(coins) * 20, what="one predictor")
    second, _ = installation.start_role("predictor")
    third, third_health = installation.start_role("predictor")
    write(moments[20:40])
    for process in (first, second):
        process.send_signal(signal.SIGKILL)
        process.wait()
    write(moments[40:])
    whole = len(models) * len(rows)
    until(lambda: stored(database)[0] >= whole, what="the predictor that is left")
    assert stored(database) == (whole, whole)

    with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=60) as client:
        assert client.get("/api/models").status_code == 401
        client.headers["X-API-Key"] = KEY
        assert client.get("/api/stats").json()["total_predictions"] == whole
        assert client.get("/dashboard/login").status_code == 200
        job = client.post(f"/api/models/{models[0]}/certify").json()["job_id"]
        until(lambda: client.get(f"/api/jobs/{job}").json()["status"] not in {"PENDING", "RUNNING"}, what="a job")
    if shutil.which("prometheus"):
        ports = {"api": [api_health], "worker": [worker_health], "predictor": [third_health]}
        prometheus_shows(start_prometheus(installation, ports), whole)
    for process in (api, worker, third):
        process.send_signal(signal.SIGTERM)
    assert [process.wait(30) for process in (api, worker, third)] == [0, 0, 0]


def prometheus_shows(url: str, predictions: int) -> None:
    """Wait until all targets are up and the counts of all roles are there once."""

    def value(query: str) -> float:
        with suppress(httpx.HTTPError):
            found = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=30).json()["data"]["result"]
            return float(found[0]["value"][1]) if found else -1.0
        return -1.0

    until(lambda: value("sum(up)") == 3, what="Prometheus' targets")
    # Those of the killed predictors count too, as their files are in the shared folder, but for what they had committed
    # and not yet counted; added up from every role they would be three times as many.
    until(lambda: predictions / 2 < value("sum(ml_predictions_total)") <= predictions, 60, what="the sum of all roles")
    assert value('count(ml_predictions_total{job="kurswerk-roles"})') == -1.0
