"""The documented workflows in a real n8n, against a real service."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import psycopg
import pytest

from kurswerk.storage.server import EmbeddedPostgres
from running_n8n import N8n, is_installed, running_n8n
from running_service import Served, data_directory, run, served
from waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="n8n is not installed: run tools/install_n8n.sh"),
]
BURST = 200
SECRET = "shared with the rule"  # as in the workflows


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    """The whole service over the market that docs/service.md simulates."""
    with data_directory() as data_dir:
        done = run(data_dir, "simulate", "coins", "--coins", "60", "--hours", "6", "--seed", "1")
        assert done.returncode == 0, done.stderr
        with served(data_dir, "serve", "--only", "api,worker,predictor") as service:
            yield service


class Api:
    """The service's REST API; an answer that is no success fails with its text."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)

    def get(self, path: str) -> Any:
        return self._answer(self._http.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer(self._http.post(path, json=body))

    def close(self) -> None:
        self._http.close()

    @staticmethod
    def _answer(answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def client(service: Served) -> Iterator[Api]:
    api = Api(service.url)
    yield api
    api.close()


@pytest.fixture(scope="module")
def database(service: Served) -> Iterator[psycopg.Connection]:
    with psycopg.connect(EmbeddedPostgres(service.log.parent).start(), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def n8n(tmp_path_factory: pytest.TempPathFactory) -> Iterator[N8n]:
    with running_n8n(tmp_path_factory.mktemp("n8n")) as n8n:
        yield n8n


@pytest.fixture(scope="module")
def models(n8n: N8n, client: Api, service: Served) -> list[dict[str, Any]]:
    """The two models that the first workflow trains and compares."""
    n8n.run(n8n.add("train-and-compare", {"url": service.url}))
    return client.get("/api/models")["models"]


@pytest.fixture(scope="module")
def activated(n8n: N8n, client: Api, service: Served, models, database) -> int:
    """A model that the second workflow activates; its rule sends to the third one."""
    model = models[0]["id"]
    job = client.post(f"/api/models/{model}/certify", {})["job_id"]
    until(lambda: client.get(f"/api/jobs/{job}")["status"] == "COMPLETED", 300)
    with database.cursor() as cursor:  # rows to predict, as a collector would write them
        cursor.execute(
            "CREATE TEMPORARY TABLE newest AS"
            " SELECT DISTINCT ON (mint) * FROM coin_metrics ORDER BY mint, timestamp DESC"
        )
        cursor.execute("ALTER TABLE newest DROP COLUMN IF EXISTS id")
        cursor.execute("UPDATE newest SET timestamp = timestamp + interval '60 seconds'")
        cursor.execute("SELECT * FROM newest LIMIT 0")
        columns = [column.name for column in cursor.description]
    workflow = n8n.add(
        "activate", {"url": service.url, "model_id": model, "webhook": f"{n8n.url}/webhook/kurswerk", "secret": SECRET}
    )
    names = ", ".join(f'"{name}"' for name in columns)
    writer = threading.Timer(
        2.0, lambda: database.execute(f"INSERT INTO coin_metrics ({names}) SELECT {names} FROM newest")
    )
    writer.start()
    n8n.run(workflow)
    writer.join()
    return model


def test_two_models_are_trained_and_compared(models, client):
    assert [model["status"] for model in models] == ["READY", "READY"]
    (comparison,) = client.get("/api/comparisons")["comparisons"]
    assert {comparison["model_a_id"], comparison["model_b_id"]} == {model["id"] for model in models}


def test_a_model_is_activated_with_its_rule(activated, client, n8n):
    assert [model["id"] for model in client.get("/api/models/active")["models"]] == [activated]
    (rule,) = client.get("/api/alerts/rules")["rules"]
    assert (rule["channel"], rule["model_ids"], rule["signed"]) == ("webhook", [activated], True)
    assert n8n.rows("kurswerk_alerts") == []


def test_no_alert_of_a_burst_is_lost_or_worked_on_twice(n8n, activated, database, client, service):
    n8n.publish(n8n.add("alerts", {"url": service.url, "secret": SECRET}))
    (rule,) = client.get("/api/alerts/rules")["rules"]
    coins = [row[0] for row in database.execute("SELECT DISTINCT coin_id FROM predictions ORDER BY 1 LIMIT 20")]
    first = datetime(2025, 1, 1, tzinfo=UTC)
    with database.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO alert_deliveries (rule_id, coin_id, timestamp, model_ids, probability)"
            " VALUES (%s, %s, %s, %s, 0.9)",
            [
                (rule["id"], coins[k % len(coins)], first + timedelta(seconds=k // len(coins)), [activated])
                for k in range(BURST)
            ],
        )
    query = "SELECT count(*) FILTER (WHERE status = 'SENT'), count(*) FROM alert_deliveries"
    until(lambda: len(set(database.execute(query).fetchone())) == 1, 1500)
    until(lambda: all(row["done"] for row in n8n.rows("kurswerk_alerts")), 600)
    rows = n8n.rows("kurswerk_alerts")
    (sent,) = database.execute("SELECT count(*) FROM alert_deliveries").fetchone()
    assert len(rows) == len({row["delivery"] for row in rows}) == sent >= BURST
    moments = {json.loads(row["alert"])["timestamp"] for row in rows}
    assert {f"2025-01-01T00:00:0{k}Z" for k in range(10)} <= moments


class Failing(ThreadingHTTPServer):
    """A Kurswerk that is out of order until ``works`` is set; counts the calls it answered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _FailingHandler)
        self.works, self.answered = threading.Event(), 0


class _FailingHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        works = self.server.works.is_set()
        body = json.dumps({"predictions": [{"model_name": "m", "probability": 0.9}]}).encode()
        self.send_response(200 if works else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.answered += works

    def log_message(self, *_: object) -> None:
        pass


def test_an_alert_that_could_not_be_worked_on_is_taken_up_again(n8n, activated, database, client):
    sooner = {
        "$now.minus({ minutes: 2 })": "$now",
        '"field": "minutes"': '"field": "seconds"',
        "minutesInterval": "secondsInterval",
    }
    with Failing() as kurswerk:
        thread = threading.Thread(target=kurswerk.serve_forever, args=[0.05])
        thread.start()
        url = f"http://127.0.0.1:{kurswerk.server_address[1]}"
        again = {**sooner, '"path": "kurswerk"': '"path": "again"', '"secondsInterval": 1': '"secondsInterval": 5'}
        n8n.publish(n8n.add("alerts", {"url": url, "secret": SECRET}, replaced=again))
        before = {row["delivery"] for row in n8n.rows("kurswerk_alerts")}
        rule = client.post(
            "/api/alerts/rules",
            {"name": "again", "channel": "webhook", "target": f"{n8n.url}/webhook/again", "secret": SECRET},
        )
        database.execute(
            "INSERT INTO alert_deliveries (rule_id, coin_id, timestamp, model_ids, probability)"
            " SELECT %s, 'COIN' || k, '2025-01-02', %s, 0.9 FROM generate_series(1, 5) k",
            [rule["id"], [activated]],
        )

        def new() -> list[dict[str, Any]]:
            return [row for row in n8n.rows("kurswerk_alerts") if row["delivery"] not in before]

        until(lambda: len(new()) == 5, 120)
        time.sleep(10)  # two rounds of the trigger, in which nothing can succeed
        assert not any(row["done"] for row in new())
        kurswerk.works.set()
        until(lambda: all(row["done"] for row in new()), 120)
        assert kurswerk.answered >= 5
        kurswerk.shutdown()
        thread.join()
