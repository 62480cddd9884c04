"""A market that trades while models predict it: the live half of the demo, and ``kurswerk simulate live``."""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest
import structlog

from kurswerk.bootstrap.setting_groups import HttpSettings, LogSettings
from kurswerk.bootstrap.settings import Settings
from kurswerk.cli import _demo_live, demo
from kurswerk.cli._demo_live import LiveOptions, alert_threshold, go_live
from kurswerk.cli._prediction_monitor import PredictionMonitor
from kurswerk.core.errors import ConflictError
from kurswerk.evaluation import Metrics
from kurswerk.registry import TestResult as Tested  # pytest would take the name for a test
from kurswerk.storage.registry import PostgresModelStore
from served_models import RECURSIVE, register

METRICS = Metrics(0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.1, 0.3, 10, 20, 3, 4, 1.25)
DECISIONS = {"threshold": [0.0, 0.5, 0.6, 1.0], "tp": [100, 6, 2, 0], "fp": [900, 5, 3, 0]}


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def settings(database, tmp_path) -> Settings:
    """Settings of a service on the test's database and a free port."""
    return Settings(
        data_dir=tmp_path, database_url=database.url, http=HttpSettings(port=0), log=LogSettings(format="json")
    )


def result(model_id: int, **changes) -> Tested:
    values = {
        "model_id": model_id,
        "test_start": None,
        "test_end": None,
        "metrics": METRICS,
        "num_samples": 1000,
        "num_positive": 100,
        "num_negative": 900,
        "has_overlap": False,
        "overlap_note": None,
        "train_accuracy": None,
        "accuracy_degradation": None,
        "is_overfitted": None,
        "feature_importance": None,
        "evaluation": {"curves": {"thresholds": DECISIONS}},
    }
    return Tested(**values | changes)


@pytest.fixture
def tested(database):
    """Two certified models, none of them active, and how their tests went."""
    ids = [register(database, "a", active=False), register(database, "b", RECURSIVE, active=False)]
    models = PostgresModelStore(database)
    return [(models.get(model_id), result(model_id)) for model_id in ids]


@pytest.fixture
def steps() -> tuple[list[str], Callable[[str], contextlib.AbstractContextManager[None]]]:
    """Titles, and what collects them."""
    titles: list[str] = []

    @contextlib.contextmanager
    def step(title: str) -> Iterator[None]:
        titles.append(title)
        yield

    return titles, step


def asked(database, query: str) -> list[tuple]:
    with psycopg.connect(database.url) as connection:
        return connection.execute(query).fetchall()


def test_every_row_that_trades_is_predicted_by_all_models_and_received(settings, database, tested, steps, capsys):
    outcome = go_live(settings, tested, LiveOptions(100.0, 2.0, on_screen=False), steps[1])
    assert outcome.rows > 20
    assert outcome.lags.predictions == 2 * outcome.rows
    assert 0 < outcome.lags.p50_ms <= outcome.lags.p99_ms
    assert asked(database, "SELECT count(*) FROM predictions") == [(2 * outcome.rows,)]
    assert asked(database, "SELECT count(*) FROM prediction_alerts") == [(outcome.alerts,)]
    present = "SELECT bool_and(timestamp BETWEEN now() - interval '5 minutes' AND now()) FROM predictions"
    assert asked(database, present) == [(True,)]
    assert asked(database, "SELECT alert_threshold::float8 FROM ml_models") == [(0.6,), (0.6,)]
    assert asked(database, "SELECT count(*) FROM ml_models WHERE is_active") == [(0,)]
    assert steps[0] == ["open a market that trades on", "activate the certified models"]
    printed = capsys.readouterr().err
    assert "for 2 s" in printed
    assert all(f"  {name:9} {url}\n" in printed for name, url in outcome.addresses.items())
    assert set(outcome.addresses) == {"dashboard", "docs", "metrics"}
    assert outcome.document()["predictions"] == 2 * outcome.rows
    assert f"{outcome.rows:,} rows traded live" in outcome.line()


def test_again_with_the_port_taken_and_ended_by_ctrl_c(settings, database, tested, steps, monkeypatch):
    go_live(settings, tested, LiveOptions(100.0, 1.0, on_screen=False), steps[1])
    before = asked(database, "SELECT count(*) FROM predictions")[0][0]
    answers: list[int] = []
    rows_sent = PredictionMonitor.rows_sent

    def visit(monitor: PredictionMonitor) -> None:
        while not monitor.n_predictions:
            time.sleep(0.01)
        answers.append(httpx.get(monitor.url, timeout=120).status_code)
        os.kill(os.getpid(), signal.SIGINT)

    def noting(monitor: PredictionMonitor, rows) -> None:
        if not answers and not any(thread.name == "visitor" for thread in threading.enumerate()):
            threading.Thread(target=visit, args=[monitor], name="visitor").start()
        rows_sent(monitor, rows)

    def screen(monitor, title, thresholds, addresses):
        monitor.url = addresses["docs"]
        assert thresholds == {record.id: 0.6 for record, _ in tested}
        assert "100 ×" in title
        return actual(monitor, title, thresholds, addresses)

    actual = _demo_live.LiveScreen
    monkeypatch.setattr(PredictionMonitor, "rows_sent", noting)
    monkeypatch.setattr(_demo_live, "LiveScreen", screen)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        elsewhere = settings.replace_in("http", port=port)
        outcome = go_live(elsewhere, tested, LiveOptions(100.0, None, on_screen=True), steps[1])
    assert answers == [200]
    assert not any(f":{port}/" in url for url in outcome.addresses.values())
    assert asked(database, "SELECT count(*) FROM predictions")[0][0] - before >= outcome.lags.predictions > 0
    assert asked(database, "SELECT count(*) FROM ml_models WHERE is_active") == [(0,)]
    assert (settings.data_dir / "demo.log").is_file()


def test_an_error_that_is_not_about_the_port_is_raised(settings, tested, steps):
    open_to_all = settings.replace_in("http", host="0.0.0.0", port=0, require_keys=False)
    with pytest.raises(ConflictError, match=r"0\.0\.0\.0"):
        go_live(open_to_all, tested, LiveOptions(1.0, 1.0, on_screen=False), steps[1])


def test_a_model_that_would_never_alert_so_seldom_alerts_when_certain():
    never = {"threshold": [0.0, 1.0], "tp": [100, 90], "fp": [900, 0]}
    assert alert_threshold(result(1, evaluation={"curves": {"thresholds": never}})) == 1.0


def test_simulate_live_writes_rows_of_the_present(run, database):
    done = run("simulate", "live", "--speed", 100, "--seconds", 1, "--json")
    assert done.code == 0, done.err
    head, rows = asked(database, "SELECT count(*) FILTER (WHERE phase_id_at_time > 0), count(*) FROM coin_metrics")[0]
    assert rows == head > done.json["rows"] > 0
    assert asked(database, "SELECT max(timestamp) BETWEEN now() - interval '1 minute' AND now() FROM coin_metrics") == [
        (True,)
    ]
    done = run("simulate", "live", "--seconds", 0.2)
    assert (done.code, done.out.splitlines()[-1].split(" ", 1)[1]) == (0, "rows written")
    assert "for 0.2 s" in done.out


def test_simulate_live_refuses_what_cannot_be(run):
    assert run("simulate", "live", "--speed", 0).code == 2
    assert run("simulate", "live", "--births", 0).code == 2


def test_the_demo_listens_on_the_port_that_is_given(run, monkeypatch):
    opened = []

    def open_application(settings: Settings) -> None:
        opened.append(settings)
        raise ConflictError("far enough")

    monkeypatch.setattr(demo, "open_application", open_application)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert run("demo", "--port", port).err.endswith("far enough\n")
    assert run("demo").err.endswith("far enough\n")
    assert [settings.http.port for settings in opened] == [port, 8000]


def test_the_demo_refuses_a_port_that_is_taken_before_it_begins(run, database):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("demo", "--port", taken.getsockname()[1])
    assert done.code == 1
    assert "cannot listen on" in done.err
    assert asked(database, "SELECT count(*) FROM coin_metrics") == [(0,)]
