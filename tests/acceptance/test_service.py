"""``kurswerk serve`` as a process: started, split, killed around, stopped."""

import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from kurswerk.client import Client, silent
from kurswerk.storage.server import EmbeddedPostgres
from running_service import MOST_STOP_S, connected, data_directory, run, served
from waiting import until

SPEC = {
    "model_type": "xgboost",
    "features": ["volume_sol", "buy_pressure_ratio"],
    "target_var": "price_close",
    "use_time_based_prediction": True,
    "future_minutes": 10,
    "min_percent_change": 10,
    "direction": "up",
    "train_start": "2025-01-01T00:00:00Z",
    "train_end": "2025-01-01T02:00:00Z",
    "cv_splits": 2,
    "params": {"n_estimators": 20},
}
# Long enough to be caught at work.
LONG = {**SPEC, "use_engineered_features": True, "feature_engineering_windows": [5], "params": {"n_estimators": 60}}
# Always under way when it is cancelled, however slow the machine is at everything else.
ENDLESS = {**LONG, "params": {"n_estimators": 5000}}
JOB_PROCESS = "kurswerk.bootstrap.job_process"
# On a busy machine, with kernels to compile first.
MOST_WAIT_S = 600
get, post = (partial(method, timeout=120) for method in (httpx.get, httpx.post))


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data directory with a small simulated market."""
    with data_directory() as folder:
        done = run(folder, "simulate", "coins", "--coins", "30", "--hours", "3", "--seed", "3")
        assert done.returncode == 0, done.stderr
        yield folder


def job_row(data_dir: Path, job_id: int) -> tuple[str, int]:
    """Return status and attempt of a job while nobody serves."""
    with psycopg.connect(EmbeddedPostgres(data_dir).start()) as connection:
        row = connection.execute("SELECT status, attempt FROM ml_jobs WHERE id = %s", [job_id]).fetchone()
    assert row is not None
    return row[0], row[1]


def counted(url: str, name: str) -> float:
    """Return a metric, summed over its labels."""
    lines = get(f"{url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def a_running_job_has_a_metric_and_the_api_answers_meanwhile(service, client):
    order = client.train({**ENDLESS, "name": "meanwhile"})
    until(lambda: counted(service.url, f'ml_job_progress_percent{{job_id="{order.job_id}"}}') > 0, what="a metric")
    assert counted(service.url, "ml_active_jobs") == 1
    trainer = next(p for p in psutil.Process(service.process.pid).children() if JOB_PROCESS in p.cmdline())
    worked_s = trainer.cpu_times().user
    for offset in range(100):
        assert get(f"{service.url}/api/models", params={"offset": offset}).status_code == 200
    assert trainer.cpu_times().user > worked_s  # the training went on meanwhile, and not in our process
    assert client.cancel(order).status == "CANCELLED"  # it had not ended: nobody waited for it
    until(lambda: counted(service.url, "ml_active_jobs") == 0, what="no job at work")


def test_a_request_is_followed_from_its_call_to_the_workers_last_line(data_dir):
    with served(data_dir) as service:
        answer = post(
            f"{service.url}/api/models/create", json={**SPEC, "name": "followed"}, headers={"X-Request-ID": "call-42"}
        )
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (201, "call-42")
        with connected(service) as client:
            job = client.wait(answer.json()["job_id"], on_progress=silent)
        assert job.request_id == "call-42"
        assert job.result_model.status == "READY"
        until(lambda: service.lines(event="run ended"), what="the worker's last line")
        followed = service.lines(request_id="call-42")
        assert [line["event"] for line in followed] == ["request", "job begins", "job done", "run ended"]
        assert all(line["job_id"] == job.id for line in followed[1:])
        with connected(service) as client:
            a_running_job_has_a_metric_and_the_api_answers_meanwhile(service, client)


def test_a_stop_takes_seconds_and_puts_running_jobs_back(data_dir):
    with served(data_dir) as service, connected(service) as client:
        order = client.train({**LONG, "name": "interrupted"})
        until(lambda: client.job(order).progress > 0, what="a running job")
        service.stop(signal.SIGTERM)
        assert service.stop_took_s() < 5
    assert job_row(data_dir, order.job_id) == ("PENDING", 1)
    with served(data_dir) as service, connected(service) as client:
        until(lambda: client.job(order).attempt == 2 and client.job(order).progress > 0, what="the job at work again")
        os.killpg(service.process.pid, signal.SIGINT)  # Ctrl-C reaches every process of the terminal
        assert service.process.wait(MOST_STOP_S) == 0
        assert service.stop_took_s() < 5
    with served(data_dir, "serve", "--only", "api") as service, connected(service) as client:
        job = client.job(order)
        assert (job.status, job.attempt) == ("PENDING", 2)
        assert client.health().checks["workers"]["status"] == "degraded"
        with served(data_dir, "worker"):
            job = client.wait(job, timeout_s=MOST_WAIT_S, on_progress=silent)
        assert (job.attempt, job.result_model.name) == (3, "interrupted")


def test_services_side_by_side_share_the_work_and_the_counts(data_dir):
    with served(data_dir) as first, served(data_dir) as second, connected(first) as client:
        assert first.url != second.url
        before = counted(second.url, "api_requests_total{")
        orders = [client.train({**SPEC, "name": f"side by side {number}"}) for number in range(4)]
        jobs = [client.wait(order, timeout_s=MOST_WAIT_S, on_progress=silent) for order in orders]
        workers = {job.worker_id for job in jobs}
        assert workers == {f"{os.uname().nodename}:{service.process.pid}" for service in (first, second)}
        assert client.health().checks["workers"]["alive"] == 2
        mine = counted(first.url, "api_requests_total{")
        assert mine - before >= len(orders)
        assert counted(second.url, "api_requests_total{") >= mine
        first.stop(signal.SIGTERM)
        assert counted(second.url, "api_requests_total{") >= mine  # what ended processes counted stays


def test_it_outlives_its_database(data_dir):
    with served(data_dir) as service, connected(service) as client:
        order = client.train({**LONG, "name": "outlives"})
        until(lambda: client.job(order).progress > 0, what="a running job")
        os.kill(EmbeddedPostgres(data_dir).status().pid, signal.SIGKILL)
        until(lambda: service.lines(event="the database is back"), what="the database is started again")
        until(lambda: get(f"{service.url}/health").status_code == 200, what="healthy again")
        job = client.wait(order, timeout_s=MOST_WAIT_S, on_progress=silent)
        assert job.result_model.status == "READY"
        assert client.models(name="outlives").total == 1


def test_beyond_this_machine_it_asks_for_keys(data_dir):
    with served(data_dir, "serve", "--only", "api", "--host", "0.0.0.0") as service:
        assert get(f"{service.url}/health").status_code == 200
        assert get(f"{service.url}/api/models").status_code == 401
        assert "kurswerk keys create" in service.log.read_text()
        key = run(data_dir, "keys", "create", "reader", "--scope", "read").stdout.strip()
        with Client(service.url, api_key=key) as client:
            assert client.models().limit == 100
        assert post(f"{service.url}/api/models/create", headers={"X-API-Key": key}).status_code == 403
        assert key not in service.log.read_text()
        assert run(data_dir, "keys", "revoke", "reader").returncode == 0
        headers = {"X-API-Key": key}
        until(
            lambda: get(f"{service.url}/api/models", headers=headers).status_code == 401,
            what="the key is refused",
        )
    with served(data_dir, "serve", "--only", "api", "--host", "0.0.0.0", "--insecure") as service:
        assert get(f"{service.url}/api/models").status_code == 200


def test_a_port_that_is_taken_is_reported_in_one_line(data_dir):
    with served(data_dir, "serve", "--only", "api") as service:
        port = service.url.rpartition(":")[2]
        done = run(data_dir, "serve", "--only", "api", "--port", port)
        assert done.returncode == 1
        assert f"port {port}" in done.stderr.splitlines()[-1]
        assert "--port" in done.stderr.splitlines()[-1]


def test_many_may_start_at_once_on_an_empty_data_directory():
    urls = []
    with data_directory() as folder:

        def start() -> None:
            with served(folder, "serve", "--only", "api") as service:
                urls.append(service.url)
                assert get(f"{service.url}/health").status_code == 200

        threads = [threading.Thread(target=start) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(urls)) == 3
