"""Exchange rates from a local server that is busy, broken and wrong."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captured_logs import logged_by
from kurswerk.bootstrap.collectors import MetricsObserver, open_collector
from kurswerk.bootstrap.setting_groups import CollectorSettings
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import KurswerkError
from kurswerk.ingest import exchange_rates
from kurswerk.ingest.exchange_rates import RateGuard, Rates, RatesCollector
from kurswerk.ingest.fetching import SourceBusyError
from kurswerk.observability import Metrics
from kurswerk.sources.exchange_rates import HttpRatesSource
from kurswerk.storage.markets import PostgresCollectorStore, PostgresRatesStore, collector_reports
from kurswerk.storage.server import Database


def kraken(sol: object, euro: object) -> bytes:
    pairs = {"SOLUSD": {"a": ["1", "1", "1"], "c": [str(sol), "0.5"]}, "ZEURZUSD": {"c": [str(euro), "100"]}}
    return json.dumps({"error": [], "result": pairs}).encode()


class Service(ThreadingHTTPServer):
    """Gives its answers one after the other, the last one again and again."""

    def __init__(self, answers: list[tuple[int, dict[str, str], bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.moments, self.headers = answers, [], []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/ticker"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        service = self.server
        status, headers, body = service.answers[min(len(service.moments), len(service.answers) - 1)]
        service.moments.append(time.monotonic())
        service.headers.append(dict(self.headers))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", str(len(body))))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def serving(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[Service]:
    service = Service(list(answers))
    thread = threading.Thread(target=service.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        service.server_close()
        thread.join()


def collect(database: Database, service: Service, readings: int, interval_s: float = 0.02) -> RatesCollector:
    collector = RatesCollector(
        HttpRatesSource("kraken", url=service.url),
        PostgresRatesStore(database),
        PostgresCollectorStore(database, "exchange-rates"),
        MetricsObserver(Metrics(), "exchange-rates"),
        interval_s=interval_s,
        most_jump=0.2,
    )
    asyncio.run(asyncio.wait_for(collector.run(asyncio.Event(), readings=readings), 60))
    return collector


def stored(database: Database) -> list[tuple[float, float, str]]:
    with database.connection() as connection:
        return connection.execute(
            "SELECT sol_price_usd, usd_to_eur_rate, source FROM exchange_rates ORDER BY created_at"
        ).fetchall()


def test_errors_are_survived_waits_respected_and_only_believable_rates_stored(database: Database):
    truncated = (200, {"Content-Length": "5000"}, kraken(150, 1.1)[:40])
    with (
        serving(
            (429, {"Retry-After": "1"}, b""),
            (500, {}, b"broken"),
            truncated,
            (200, {}, b'{"error": [], "result": {}}'),
            (200, {}, b'{"error": ["EService:Unavailable"]}'),
            (200, {}, kraken("nan", 1.1)),
            (200, {}, kraken(150, 1.25)),
            (200, {}, kraken(15000, 1.25)),
            (200, {}, kraken(0, 1.25)),
            (200, {}, kraken(155, 1.25)),
        ) as service,
        logged_by(exchange_rates) as lines,
    ):
        collect(database, service, 2)
    assert stored(database) == [(150.0, 0.8, "kraken"), (155.0, 0.8, "kraken")]
    assert service.moments[1] - service.moments[0] >= 1.0
    refusals = [line["reason"] for line in lines if line["event"] == "exchange rates refused"]
    assert len(refusals) == 3
    assert "15000" in refusals[1]
    assert "20%" in refusals[1]
    assert len([line for line in lines if line["event"] == "no exchange rates"]) == 5
    (report,) = collector_reports(database)
    assert (report.name, report.status.is_stopped) == ("exchange-rates", True)


def test_a_jump_is_believed_after_three_readings(database: Database):
    with serving(*[(200, {}, kraken(price, 1.25)) for price in (100, 200, 201, 199, 200)]) as service:
        collect(database, service, 3)
    assert [sol for sol, _, _ in stored(database)] == [100.0, 199.0, 200.0]


def test_rates_that_are_stored_already_are_not_asked_for_again(database: Database):
    PostgresRatesStore(database).add(Rates(time.time_ns() // 1000, 150.0, 0.9, "kraken"))
    with serving((200, {}, kraken(150, 1.25))) as service:
        settings = Settings(collector=CollectorSettings(rates_url=service.url, rates_seconds=60))
        collector = open_collector("exchange-rates", settings, database, Metrics())

        async def briefly() -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(collector.run(stop))
            while not await asyncio.to_thread(collector_reports, database):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            stop.set()
            await running

        asyncio.run(briefly())
    assert not service.moments


def test_a_collector_that_waits_after_an_error_shows_that_it_lives_and_why_it_waits(database: Database, monkeypatch):
    monkeypatch.setattr(exchange_rates, "_HEARTBEAT_S", 0.02)
    with serving((500, {}, b"")) as service:
        settings = Settings(collector=CollectorSettings(rates_url=service.url, rates_seconds=60))
        collector = open_collector("exchange-rates", settings, database, Metrics())

        async def watch() -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(collector.run(stop))
            async with asyncio.timeout(60):
                while "500" not in (before := await asyncio.to_thread(stored_status, database))[0]:
                    await asyncio.sleep(0.02)
                while (after := await asyncio.to_thread(stored_status, database))[1] == before[1]:
                    await asyncio.sleep(0.02)
            assert "500" in after[0]
            stop.set()
            await running

        asyncio.run(watch())
    assert len(service.moments) == 1


def stored_status(database: Database) -> tuple[str, object]:
    with database.connection() as connection:
        row = connection.execute("SELECT coalesce(reason, ''), seen_at FROM collectors").fetchone()
    return row or ("", None)


def test_coingecko_is_read_and_keys_are_sent():
    body = json.dumps({"solana": {"usd": 150.0, "eur": 120.0}}).encode()
    with serving((200, {}, body)) as service:
        rates = asyncio.run(HttpRatesSource("coingecko", url=service.url, api_key="secret").read())
    assert (rates.sol_usd, rates.usd_eur, rates.source) == (150.0, 0.8, "coingecko")
    assert {name.lower(): value for name, value in service.headers[0].items()}["x-cg-demo-api-key"] == "secret"


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        ((429, {"Retry-After": "7"}, b""), 7.0),
        ((503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, b""), 1.0),
        ((429, {"Retry-After": "soon"}, b""), 60.0),
        ((429, {"Retry-After": "999999"}, b""), 3600.0),
    ],
)
def test_a_busy_service_states_when_to_come_back(answer, wait_s):
    with serving(answer) as service, pytest.raises(SourceBusyError) as error:
        asyncio.run(HttpRatesSource("kraken", url=service.url).read())
    assert error.value.wait_s == wait_s


def test_an_endless_answer_is_given_up():
    with serving((200, {}, b" " * 1_100_000)) as service, pytest.raises(KurswerkError, match="longer than"):
        asyncio.run(HttpRatesSource("kraken", url=service.url).read())


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=60))
def test_no_accepted_rate_is_out_of_range_or_a_lone_jump(prices):
    guard, accepted = RateGuard(0.2), []
    for number, price in enumerate(prices):
        if guard.refusal(Rates(0, price, 0.9, "x")) is None:
            assert 0.01 <= price <= 1e6
            near = not accepted or abs(price / accepted[-1][1] - 1) <= 0.2
            assert near or all(abs(price / other - 1) <= 0.2 for other in prices[number - 2 : number])
            accepted.append((number, price))
