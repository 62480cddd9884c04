"""The health service: one call under way, and a database that may not answer."""

import os
import threading
from contextlib import suppress

import pytest

from kurswerk.core.errors import DatabaseUnavailableError, StorageError
from kurswerk.core.messages import Message
from kurswerk.observability import Check, DatabaseReading, HealthService, Metrics, ServiceState, SingleFlightCall
from waiting import until


def test_nobody_waits_for_an_answer_that_does_not_come_and_only_one_asks():
    asked = []
    answer = threading.Event()

    def ask() -> int:
        asked.append(os.getpid())
        assert answer.wait(10)
        return 5

    call = SingleFlightCall(ask, timeout_s=0.05)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError, match=r"no answer within 0\.05 s"):
            call()
    assert len(asked) == 1
    answer.set()

    def answered() -> bool:
        with suppress(DatabaseUnavailableError):
            return call() == 5
        return False

    until(answered, 30)


@pytest.mark.parametrize(("raised", "seen"), [(StorageError("refused"), "refused"), (ValueError("odd"), "ValueError")])
def test_what_asking_raised_is_raised(raised, seen):
    def ask() -> None:
        raise raised

    with pytest.raises(StorageError, match=seen):
        SingleFlightCall(ask)()


def service_that_reads(read, folder) -> HealthService:
    return HealthService(read, metrics=Metrics(), data_dir=folder, started_s=0.0)


def test_what_was_read_stands_before_the_machine_and_its_worst_check_decides(tmp_path):
    state = ServiceState(0.0, db_connected=True, models_total=3, active_models=2)
    found = {
        "database": Check("ok", Message("health.at_revision", revision="1")),
        "workers": Check("degraded", Message("health.no_worker")),
    }
    reading = DatabaseReading(found, state, 7)
    service = service_that_reads(lambda: reading, tmp_path)
    report = service.health()
    assert list(report.checks) == ["database", "workers", "disk", "memory"]
    assert (report.status == "healthy", report.active_models, report.predictions_last_hour) == (False, 2, 7)
    assert report.uptime_seconds > 0
    text = service.metrics_text().decode()
    assert "ml_models_total 3.0" in text


def test_a_database_that_fails_is_the_first_check_and_metrics_go_on(tmp_path):
    def read() -> DatabaseReading:
        raise StorageError("health.no_answer", seconds=2)

    service = service_that_reads(read, tmp_path)
    report = service.health()
    assert list(report.checks) == ["database", "disk", "memory"]
    assert not report.able_to_serve
    text = service.metrics_text().decode()
    assert "ml_db_connected 0.0" in text
    assert "ml_models_total" not in text
