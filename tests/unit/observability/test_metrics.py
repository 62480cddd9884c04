"""Metrics: the names of the contract, and sums that are right over several processes, living and dead."""

import os
import subprocess
import sys
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kurswerk.observability import DIRECTORY_VARIABLE, Metrics, ServiceState

STATE = ServiceState(
    uptime_seconds=12.5,
    db_connected=True,
    models_total=4,
    active_models=1,
    pending_jobs=2,
    job_progress={7: 0.25, 9: 1.0},
)
# contracts.md, "Prometheus names"
NAMES = {
    "ml_predictions_total",
    "ml_predictions_by_model_total",
    "ml_alerts_triggered_total",
    "ml_errors_total",
    "ml_active_models",
    "ml_models_loaded",
    "ml_models_total",
    "ml_coins_tracked",
    "ml_db_connected",
    "ml_service_uptime_seconds",
    "ml_active_jobs",
    "ml_job_progress_percent",
    "ml_prediction_duration_seconds_bucket",
    "ml_feature_processing_duration_seconds_bucket",
    "ml_model_load_duration_seconds_bucket",
    "ml_commit_to_prediction_seconds_bucket",
    "api_requests_total",
    "request_duration_seconds_bucket",
}

PROCESS = """
import os, sys
if len(sys.argv) > 2:  # as if in a container, where numbers of processes begin anew
    os.getpid = lambda: int(sys.argv[2])
from kurswerk.observability import Metrics, ServiceState
metrics = Metrics()
for _ in range(int(sys.argv[1])):
    metrics.observe_request("GET", "/api/models", 200, 0.004)
metrics.errors.labels("StorageError").inc()
metrics.coins_tracked.set(10)
print("counted", flush=True)
sys.stdin.readline()
print(metrics.text(ServiceState(1.0, True)).decode(), flush=True)
"""


def samples(text: str) -> dict[tuple[str, tuple], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@pytest.fixture
def start(tmp_path):
    """Start a process that counts requests into one directory, and scrapes when it gets a line."""
    started = []

    def start(requests: int, *pid: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(requests), *map(str, pid)],
            env=os.environ | {DIRECTORY_VARIABLE: str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "counted\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def scraped(process: subprocess.Popen[str]) -> dict[tuple[str, tuple], float]:
    output, _ = process.communicate("\n", timeout=30)
    return samples(output)


REQUESTS = ("api_requests_total", (("endpoint", "/api/models"), ("method", "GET"), ("status", "200")))
SECONDS = ("request_duration_seconds_count", (("endpoint", "/api/models"),))


def test_every_name_of_the_contract_is_there():
    metrics = Metrics()
    metrics.observe_request("GET", "/health", 200, 0.1)
    metrics.predictions_by_model.labels("1", "a").inc()
    metrics.alerts.labels("1").inc()
    metrics.errors.labels("StorageError").inc()
    found = samples(metrics.text(STATE).decode())
    assert {name for name, _ in found} >= NAMES
    assert found["ml_job_progress_percent", (("job_id", "7"),)] == 25
    assert found["ml_active_jobs", ()] == 2


def test_what_the_database_could_not_show_is_left_out():
    found = {name for name, _ in samples(Metrics().text(ServiceState(1.0, db_connected=False)).decode())}
    assert "ml_db_connected" in found
    assert not found & {"ml_models_total", "ml_active_jobs", "ml_active_models"}


def test_processes_that_live_are_added_up(start):
    first, second = start(3), start(4)
    found = scraped(first)
    assert found[REQUESTS] == found[SECONDS] == 7
    assert found["ml_coins_tracked", ()] == 20
    assert second.poll() is None


# More than a Linux kernel gives out, so that no process here has it.
FOREIGN_PID = 2**22 + 1


def test_a_process_of_another_container_is_not_taken_for_dead(start):
    elsewhere = start(3, FOREIGN_PID)
    here = start(4)
    found = scraped(here)
    assert found[REQUESTS] == 7
    assert found["ml_coins_tracked", ()] == 20
    assert scraped(elsewhere)[REQUESTS] == 7


def test_containers_whose_processes_have_the_same_number_count_apart(start):
    first, second = start(3, 1), start(4, 1)
    found = scraped(first)
    assert found[REQUESTS] == found[SECONDS] == 7
    assert found["ml_coins_tracked", ()] == 20
    assert scraped(second)[REQUESTS] == 7


def test_what_a_killed_process_counted_stays_and_what_it_held_goes(start, tmp_path):
    first, second = start(3), start(4)
    before = set(tmp_path.iterdir())
    first.kill()
    first.wait()
    third = start(1)  # archives the counts of the first when it starts
    assert len(before - set(tmp_path.iterdir())) == len(before) // 2
    second.kill()
    second.wait()
    found = scraped(third)
    assert found[REQUESTS] == found[SECONDS] == 8
    assert found["ml_errors_total", (("type", "StorageError"),)] == 3
    assert found["ml_coins_tracked", ()] == 10


def test_files_of_an_older_version_are_archived(start, tmp_path):
    first = start(5)
    first.kill()
    first.wait()
    for path in tmp_path.glob("*.alive"):
        path.unlink()
    (left,) = tmp_path.glob("counter_*.db")
    left = left.rename(tmp_path / "counter_4711.db")
    second = start(1)
    assert not left.exists()
    assert scraped(second)[REQUESTS] == 6


def test_counting_a_request_costs_little():
    metrics = Metrics()
    started = time.process_time()
    for _ in range(1000):
        metrics.observe_request("GET", "/api/models", 200, 0.004)
    assert time.process_time() - started < 0.25
