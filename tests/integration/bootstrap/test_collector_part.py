"""Collectors in the service: which ones run, what they count, what health reports of them, and how they stop."""

import asyncio
from dataclasses import replace

import pytest

from kurswerk.bootstrap.collector_part import part
from kurswerk.bootstrap.health import read_database
from kurswerk.bootstrap.service import PARTS, Service, make_parts
from kurswerk.bootstrap.settings import Settings
from kurswerk.ingest.collector import CollectorReport, CollectorStatus, collectors_check
from kurswerk.observability import Metrics, ServiceState
from kurswerk.storage.server import Database
from pumpportal_server import PumpPortalServer

WELL = CollectorReport("pumpportal", CollectorStatus(True, 1, 60.0, coins=3), 1.0, 2.0)


@pytest.mark.parametrize(
    ("report", "status", "code"),
    [
        (WELL, "ok", "health.collectors"),
        (replace(WELL, seconds_since_message=90.0), "degraded", "health.collector_silent"),
        (replace(WELL, seconds_since_message=None), "degraded", "health.collector_silent"),
        (replace(WELL, seconds_since_seen=90.0), "degraded", "health.collector_gone"),
        (
            replace(WELL, status=replace(WELL.status, is_connected=False, reason="no key")),
            "degraded",
            "health.collector_not_connected",
        ),
        (
            replace(WELL, status=replace(WELL.status, is_stopped=True), seconds_since_seen=9e9),
            "ok",
            "health.no_collector",
        ),
    ],
)
def test_health_reports_a_collector_that_receives_nothing(report, status, code):
    check = collectors_check([report])
    assert (check.status, check.message.code) == (status, code)


def test_serve_collects_only_what_the_settings_name(database: Database):
    def parts(**collector: object) -> list[str]:
        settings = Settings().replace_in("collector", **collector)
        service = Service(settings, database, Metrics())
        return [type(one).__name__ for one in make_parts(service, [name for name in PARTS if name == "collector"])]

    assert parts() == ["CollectorPart"]
    names = part(Service(Settings().replace_in("collector", pumpportal=True), database, Metrics())).addresses
    assert names == {"collector": "pumpportal"}


def test_collectors_run_in_the_service_until_they_are_stopped(database: Database):
    server = PumpPortalServer()
    metrics = Metrics()
    with server.running():
        settings = Settings().replace_in("collector", pumpportal=True, pumpportal_url=server.url, grace_seconds=0.5)
        running = part(Service(settings, database, metrics))

        async def collect() -> None:
            stop = asyncio.Event()
            task = asyncio.create_task(running.run(stop))
            async with asyncio.timeout(120):
                while read_database(database).checks["collectors"].details["collectors"] == {}:
                    await asyncio.sleep(0.05)
                server.play(trades_per_second=60, births_per_second=3)
                while not _rows(database):
                    await asyncio.sleep(0.1)
            check = read_database(database).checks["collectors"]
            assert (check.status, check.details["collectors"]["pumpportal"]["connected"]) == ("ok", True)
            stop.set()
            await task

        asyncio.run(collect())
    text = metrics.text(ServiceState(uptime_seconds=1.0, db_connected=True)).decode()
    assert 'collector_trades_total{source="pumpportal",verdict="counted"}' in text
    assert f'collector_rows_total{{source="pumpportal"}} {float(_rows(database))}' in text
    assert read_database(database).checks["collectors"].message.code == "health.no_collector"


def _rows(database: Database) -> int:
    with database.connection() as connection:
        row = connection.execute("SELECT count(*) FROM coin_metrics").fetchone()
    return row[0] if row else 0
