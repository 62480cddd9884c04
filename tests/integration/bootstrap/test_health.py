"""Health and metrics of a service over a real database, living and gone."""

import time

import pytest

from kurswerk.bootstrap import health
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.settings import Settings
from kurswerk.observability import HealthService, Metrics
from kurswerk.storage.operations import ServiceStatus, service_status
from kurswerk.storage.server import HEAD, Database


def health_service_on(database: Database, folder) -> HealthService:
    return health.health_service(Service(Settings(data_dir=folder), database, Metrics()), timeout_s=60)


def test_a_good_database_is_healthy_and_counted(database, tmp_path):
    watch = health_service_on(database, tmp_path)
    started = time.monotonic()
    report = watch.health()
    took_ms = 1000 * (time.monotonic() - started)
    assert report.able_to_serve
    parts = {"workers", "predictors", "collectors"}
    assert set(report.checks) == {"database", "migrations", "inputs", "disk", "memory", *parts}
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
    monkeypatch.setattr(health, "service_status", lambda _database: status)
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
