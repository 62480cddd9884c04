"""Health and metrics of a service over a real database, living and gone."""

import os
import threading
import time
from contextlib import suppress

import pytest

from kurswerk.bootstrap import health_service
from kurswerk.bootstrap.health_service import HealthService, SingleFlightCall
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import DatabaseUnavailableError, StorageError
from kurswerk.observability import Metrics
from kurswerk.storage.operations import ServiceStatus, service_status
from kurswerk.storage.server import HEAD, Database
from waiting import until


def health_service_on(database: Database, folder) -> HealthService:
    return HealthService(Service(Settings(data_dir=folder), database, Metrics()), timeout_s=60)


def test_a_good_database_is_healthy_and_counted(database, tmp_path):
    watch = health_service_on(database, tmp_path)
    started = time.monotonic()
    report = watch.health()
    took_ms = 1000 * (time.monotonic() - started)
    assert report.able_to_serve
    assert set(report.checks) == {"database", "migrations", "workers", "predictors", "inputs", "disk", "memory"}
    assert 0 < report.checks["database"].details["round_trip_ms"] <= took_ms + 0.001
    text = watch.metrics_text().decode()
    assert "ml_db_connected 1.0" in text
    assert "ml_models_total 0.0" in text


@pytest.mark.parametrize(
    ("silences", "status", "alive"), [([], "degraded", 0), ([1, 40], "ok", 1), ([40, 50], "degraded", 0)]
)
def test_workers_count_as_long_as_they_give_signs_of_life(database, tmp_path, silences, status, alive):
    with database.connection() as connection:
        for seconds in silences:
            connection.execute(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s))",
                [seconds],
            )
    check = health_service_on(database, tmp_path).health().checks["workers"]
    assert (check.status, check.details["alive"]) == (status, alive)
    assert check.details["silent"] == len(silences) - alive


def test_active_models_need_somebody_who_predicts(database, tmp_path, monkeypatch):
    watch = health_service_on(database, tmp_path)
    assert watch.health().checks["predictors"].status == "ok"
    status = ServiceStatus(HEAD, active_models=2)
    monkeypatch.setattr(health_service, "service_status", lambda _database: status)
    report = watch.health()
    assert (report.checks["predictors"].status, report.active_models) == ("degraded", 2)
    assert report.able_to_serve


def test_tables_that_are_not_ours_or_of_another_time_are_reported(bare_database, database, tmp_path):
    assert service_status(bare_database) == ServiceStatus(None)
    report = health_service_on(bare_database, tmp_path).health()
    assert report.checks["migrations"].status == "failed"
    assert "kurswerk db upgrade" in str(report.checks["migrations"].message)
    with database.connection() as connection:
        connection.execute("UPDATE kurswerk_version SET version_num = '9999'")
    report = health_service_on(database, tmp_path).health()
    assert report.checks["migrations"].status == "degraded"
    assert report.able_to_serve


def test_a_database_that_cannot_be_reached_is_unhealthy_without_delay(tmp_path):
    watch = health_service_on(Database(f"postgresql://nobody@/none?host={tmp_path}"), tmp_path)
    started = time.monotonic()
    report = watch.health()
    assert not report.able_to_serve
    assert not report.db_connected
    assert "ml_db_connected 0.0" in watch.metrics_text().decode()
    assert "no answer within" not in str(report.checks["database"].message)
    assert time.monotonic() - started < 30


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
