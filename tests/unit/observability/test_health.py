"""Health: the worst check decides, and only a failed one stops traffic."""

import itertools

import pytest

from kurswerk.core.messages import Message
from kurswerk.observability import Check, HealthReport, disk_check, free_disk_bytes, memory_check
from kurswerk.observability import _health as health


@pytest.mark.parametrize("pair", list(itertools.product(["ok", "degraded", "failed"], repeat=2)))
def test_the_worst_check_decides(pair):
    report = HealthReport({str(i): Check(status, "found") for i, status in enumerate(pair)}, uptime_seconds=1.0)
    assert report.able_to_serve == ("failed" not in pair)
    worst = max(pair, key=["ok", "degraded", "failed"].index)
    assert report.status == {"ok": "healthy", "degraded": "degraded", "failed": "unhealthy"}[worst]


def test_the_answer_has_the_names_of_the_contract_and_each_check():
    report = HealthReport(
        {"database": Check("ok", Message("health.database_answered", milliseconds=2), {"round_trip_ms": 2.0})},
        61.23456,
        3,
        150,
    )
    assert report.as_json() == {
        "status": "healthy",
        "active_models": 3,
        "predictions_last_hour": 150,
        "uptime_seconds": 61.235,
        "db_connected": True,
        "checks": {"database": {"status": "ok", "message": "answered in 2.0 ms", "round_trip_ms": 2.0}},
    }
    assert not HealthReport({}, 0).db_connected
    assert not HealthReport({"database": Check("failed", Message("health.no_worker"))}, 0).db_connected


def test_a_disk_that_runs_full_is_reported_before_it_is(tmp_path, monkeypatch):
    for free, status in ((10 * 1024**3, "ok"), (1024**3, "degraded"), (1024**2, "failed")):
        monkeypatch.setattr(health, "free_disk_bytes", lambda _path, free=free: free)
        assert disk_check(tmp_path).status == status
    assert memory_check().details["available_bytes"] > 0


def test_a_folder_that_is_not_there_yet_has_its_parents_disk(tmp_path):
    assert free_disk_bytes(tmp_path / "not" / "there") > 0
