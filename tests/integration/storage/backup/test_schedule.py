"""Backups that the service makes by itself, and what is known of them."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.bootstrap.backup import BackupService, make_backups_when_due
from kurswerk.bootstrap.health import read_database
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import InvalidInputError, StorageError
from kurswerk.storage.backup import (
    BackupRun,
    BackupState,
    BackupStore,
    KeepRule,
    PostgresBackupStates,
    Schedule,
    parse_interval,
)
from kurswerk.storage.backup import _schedule as schedules
from waiting import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(filled, data_dir):
    return Settings(data_dir=data_dir, database_url=filled.url)


def test_the_service_makes_what_is_due_and_nothing_else(filled, settings, tmp_path):
    store = BackupStore(str(tmp_path / "store"))
    service = BackupService(settings, store=store.url)
    assert read_database(filled).checks.get("backups") is None
    state = service.schedule(every_minutes=60, cron=None, keep=KeepRule(last=2))
    assert state.is_due(datetime.now(UTC))
    stop = threading.Event()
    threads = [threading.Thread(target=make_backups_when_due, args=[settings, filled.url, stop]) for _ in range(2)]
    for thread in threads:
        thread.start()
    completed = until(lambda: service.state().completed)
    stop.set()
    for thread in threads:
        thread.join()
    assert store.names() == [completed.name]
    assert not service.state().is_due(datetime.now(UTC))
    reading = read_database(filled)
    assert reading.checks["backups"].status == "ok"
    assert reading.state.backup.succeeded
    assert reading.state.backup.size_bytes == completed.stored_bytes > 0
    assert service.end_schedule().due is None


def test_a_backup_that_fails_is_shown_and_waited_with(filled, settings, tmp_path):
    (tmp_path / "file").write_text("no folder")
    service = BackupService(settings, store=str(tmp_path / "file"))
    service.schedule(every_minutes=1, cron=None, keep=KeepRule())
    with pytest.raises(StorageError):
        service.create(KeepRule())
    state, now = service.state(), datetime.now(UTC)
    assert "failed" in (state.last.error or "")
    assert not state.is_due(now)
    assert state.is_due(now + timedelta(minutes=6))
    check = read_database(filled).checks["backups"]
    assert check.status == "degraded"
    assert not read_database(filled).state.backup.succeeded


def test_a_schedule_is_replaced_as_a_whole(filled):
    states = PostgresBackupStates(filled)
    for schedule in (
        Schedule("/a", 90, None, KeepRule(3, 1.5), NOW),
        Schedule("s3://b", None, "*/5 2 * * 1", KeepRule(), NOW),
        None,
    ):
        states.set_schedule(schedule)
        assert states.read().schedule == schedule


@given(st.integers(1, 10_000), st.integers(0, 100_000), st.integers(0, 300_000))
def test_a_backup_is_overdue_only_after_it_is_due(every, began, looked):
    started = NOW + timedelta(seconds=began)
    run = BackupRun(started, started + timedelta(seconds=40), "s", "n", 1, 1, 1, None)
    state = BackupState(Schedule("s", every, None, KeepRule(), NOW), run, run)
    now = NOW + timedelta(seconds=looked)
    assert state.due == started + timedelta(minutes=every)
    assert state.is_due(now) == (now >= state.due)
    assert not state.is_overdue(now) or now - state.due > schedules._GRACE


def test_what_is_no_interval_or_expression_is_named():
    for text in ("", "5", "0m", "-1h", "1w", "1.5h", "1" * 9 + "m"):
        with pytest.raises(InvalidInputError, match="30m"):
            parse_interval(text)
    for minutes, cron, text in (
        (None, None, "one of"),
        (5, "0 3 * * *", "one of"),
        (None, "0 25 * * *", "five fields"),
    ):
        with pytest.raises(InvalidInputError, match=text):
            Schedule("s", minutes, cron, KeepRule(), NOW)
    with pytest.raises(InvalidInputError, match="five fields"):
        Schedule("s", None, "* * * * * *", KeepRule(), NOW)
