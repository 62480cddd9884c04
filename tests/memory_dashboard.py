"""A dashboard over memory, whose callbacks are fired as a browser would."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from job_orders import JobEnvironment
from kurswerk.channels import KINDS
from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import MINUTE_US, to_datetime
from kurswerk.dashboard import (
    Alert,
    ApiKey,
    DashboardOptions,
    DashboardServices,
    MinuteCount,
    Prediction,
    PredictionBatch,
    UploadedBars,
    mount,
)
from kurswerk.ingest import QuarantinedRow
from kurswerk.market import COINS, MarketSchema, Panel
from kurswerk.market.coverage import CoinCoverage
from kurswerk.market.watchlists import WatchedInstrument, Watchlist
from kurswerk.observability import Check, ResourceSample
from kurswerk.oversight import JudgedScores, LivePerformance, OutcomeCounts, live_performance
from kurswerk.quality import Subject, check_quality
from kurswerk.registry import Comparison, ModelRecord, TestResult
from kurswerk.serving import Replay
from kurswerk.training import Availability, ModelSpec, Period, TrainingStores, compare_models, run_test, train
from memory_jobs import MemoryJobs
from memory_market import START_US, MemoryMarket, MemoryRegistry, a_spec

LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)
WHEN = datetime(2024, 1, 1, 2, tzinfo=UTC)


class Registry(MemoryRegistry):
    """Models, tests and comparisons, each to be found."""

    def find(self, *, sort: str = "id", descending: bool = True, **chosen: Any) -> list[Any]:
        return super().find(**chosen)

    def tests_of(self, model_id: int, limit: int = 100) -> list[TestResult]:
        numbered = [replace(test, id=k + 1) for k, test in enumerate(self.tests)]
        return [test for test in reversed(numbered) if test.model_id == model_id][:limit]

    def test(self, test_id: int) -> TestResult:
        if not 0 < test_id <= len(self.tests):
            raise NotFoundError("test.not_found", id=test_id)
        return replace(self.tests[test_id - 1], id=test_id)

    def comparison(self, comparison_id: int) -> Comparison:
        if not 0 < comparison_id <= len(self.comparisons):
            raise NotFoundError("comparison.not_found", id=comparison_id)
        return replace(self.comparisons[comparison_id - 1], id=comparison_id)

    def comparisons_of(self, model_id: int, limit: int = 100) -> list[Comparison]:
        return [replace(one, id=k + 1) for k, one in enumerate(self.comparisons)]


class Market(MemoryMarket):
    """A market whose coins are known; empty if `empty` is set."""

    empty = False

    def instruments(self) -> list[str]:
        return [] if self.empty else list(self.panel.instruments)

    def latest_rows(self, mint: str, n: int, columns: Sequence[str] | None = None) -> Panel:
        return self.load_panel(columns or self.panel.columns, mints=[mint])

    def availability(self) -> Availability:
        return Availability(None, None, 0, 0) if self.empty else super().availability()


class DataIngestion:
    """Notes what is asked for."""

    def __init__(self, market: Market) -> None:
        self.market, self.asked, self.filled = market, [], []

    def simulate(self, coins: int, hours: float, seed: int, progress: Any) -> int:
        self.asked.append((coins, hours, seed))
        self.market.empty = False
        return 1234

    def ingest(self, file_name: str, content: bytes, market: MarketSchema, bars: UploadedBars | None = None) -> Message:
        self.asked.append((file_name, content) if bars is None else (file_name, content, bars))
        self.filled.append(market)
        return Message("ingest.summary", file=file_name, count=3, accepted=2, repeated=1, quarantined=0)

    def quarantined(self, limit: int) -> list[QuarantinedRow]:
        return [QuarantinedRow("candles", 3, "high is below low", "high 1, low 2", Message("row.high_below_low"))]


class JudgedPredictions:
    """Outcomes of 400 predictions; those with a higher probability came true more often."""

    def __init__(self, known: int = 400) -> None:
        self.known, self.unknown = known, {"ended": 12, "gap": 3} if known else {}

    def counts(self, days: int | None = None) -> dict[int, OutcomeCounts]:
        return {}

    def scores(self, model_id: int, **_: Any) -> JudgedScores:
        rng = np.random.default_rng(0)
        probability = rng.random(self.known)
        labels = (rng.random(self.known) < probability).astype(np.int8)
        times = START_US + np.arange(self.known)[::-1] * MINUTE_US
        return JudgedScores(labels, probability, np.arange(self.known) % 8, times, self.unknown)


class Live:
    """Predictions and alerts that are there, and what was switched."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.reloaded: list[int] = []
        self.missing: list[str] = []  # columns that models need and the database lacks
        self.drift = 0.0  # what a prediction computed again comes out higher by
        self.outcomes = JudgedPredictions()
        self.found = [Prediction(k, "COIN0", WHEN, 1, k % 2, 0.1 * k, k == 9) for k in range(1, 10)]

    def activate(self, model_id: int) -> None:
        self.registry.update(model_id, {"is_active": True})

    def deactivate(self, model_id: int) -> None:
        self.registry.update(model_id, {"is_active": False})

    def reload(self, model_id: int) -> None:
        self.reloaded.append(model_id)

    def missing_columns(self, model: ModelRecord) -> list[str]:
        return self.missing

    def replay(self, prediction_id: int) -> Replay:
        (stored,) = (one for one in self.found if one.id == prediction_id)
        now = stored.probability + self.drift
        return Replay(
            prediction_id, not self.drift, now, stored.probability, not self.drift, 2, (1,) * bool(self.drift)
        )

    def performance(self, model: ModelRecord) -> LivePerformance:
        return live_performance(self.outcomes, model.id, ModelSpec.stored(model.spec).label_spec())

    def set_threshold(self, model_id: int, alert_threshold: float) -> None:
        self.registry.update(model_id, {"alert_threshold": alert_threshold})

    def predictions(
        self,
        *,
        coin_id: str | None = None,
        coin_ids: frozenset[str] | None = None,
        model_id: int | None = None,
        min_probability: float | None = None,
        limit: int = 100,
        **others: Any,
    ) -> list[Prediction]:
        return [
            one
            for one in reversed(self.found)
            if coin_id in {None, one.coin_id}
            and (coin_ids is None or one.coin_id in coin_ids)
            and model_id in {None, one.model_id}
            and one.probability >= (min_probability or 0)
        ][:limit]

    def alerts(self, *, model_id: int | None = None, limit: int = 100) -> list[Alert]:
        return [Alert(1, "COIN0", 1, 0.9, 0.7, WHEN, True)]

    def minute_counts(self, minutes: int) -> list[MinuteCount]:
        return [MinuteCount(WHEN + timedelta(minutes=k), 10 * k) for k in range(minutes)]

    async def stream(self, **_: Any) -> AsyncGenerator[PredictionBatch, None]:
        yield PredictionBatch()
        yield PredictionBatch(self.found[-3:])


class Alerts:
    """Rules and messages; those of the first rule were given up, and those that are sent again are recorded."""

    def __init__(self) -> None:
        self.kept: dict[int, dict[str, Any]] = {}
        self.again: list[int] = []

    def rules(self) -> list[Mapping[str, Any]]:
        return list(self.kept.values())

    def create_rule(self, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        if any(one["name"] == rule["name"] for one in self.kept.values()):
            raise ConflictError("alert_rule.name_taken", name=rule["name"])
        number = len(self.kept) + 1
        self.kept[number] = {**rule, "id": number, "is_active": True}
        return self.kept[number]

    def switch_rule(self, rule_id: int, *, active: bool) -> Mapping[str, Any]:
        self.kept[rule_id]["is_active"] = active
        return self.kept[rule_id]

    def delete_rule(self, rule_id: int) -> None:
        del self.kept[rule_id]

    def deliveries(self, limit: int = 100, **_: Any) -> list[Mapping[str, Any]]:
        refused = Message("alert.receiver_refused", status=500)
        message = {"coin_id": "COIN0", "probability": 0.9, "status": "FAILED", "attempts": 8, "notice": None}
        message |= {"error": str(refused), "error_detail": refused, "model_ids": [1]}
        return [message | {"id": 1, "rule": one["name"], "created_at": WHEN} for one in self.rules()[:1]]

    def retry(self, delivery_id: int) -> Mapping[str, Any]:
        if delivery_id in self.again:
            raise ConflictError("alert.delivery_not_repeatable", id=delivery_id, status="SENT")
        self.again.append(delivery_id)
        return self.deliveries()[0]


class Watchlists:
    """Watchlists in memory."""

    def __init__(self) -> None:
        self.kept: dict[int, Watchlist] = {}

    def all(self) -> list[Watchlist]:
        return sorted(self.kept.values(), key=lambda one: one.name)

    def get(self, watchlist: int | str) -> Watchlist:
        if watchlist not in self.kept:
            raise NotFoundError("watchlist.not_found", watchlist=watchlist)
        return self.kept[int(watchlist)]

    def create(self, name: str, instruments: Sequence[WatchedInstrument] = ()) -> Watchlist:
        number = len(self.kept) + 1
        self.kept[number] = Watchlist(number, name, tuple(instruments), WHEN, WHEN)
        return self.kept[number]

    def add(self, watchlist_id: int, instruments: Sequence[WatchedInstrument]) -> Watchlist:
        return self._keep(watchlist_id, (*self.get(watchlist_id).instruments, *instruments))

    def remove(self, watchlist_id: int, instruments: Sequence[WatchedInstrument]) -> Watchlist:
        there = self.get(watchlist_id).instruments
        return self._keep(watchlist_id, tuple(one for one in there if one not in instruments))

    def delete(self, watchlist_id: int) -> None:
        del self.kept[watchlist_id]

    def _keep(self, number: int, instruments: tuple[WatchedInstrument, ...]) -> Watchlist:
        self.kept[number] = replace(self.get(number), instruments=instruments)
        return self.kept[number]


class ApiKeys:
    """Keys called by their scopes."""

    def __init__(self) -> None:
        self.revoked: list[int] = []

    def scopes_of(self, key: str) -> frozenset[str] | None:
        return {"reader": frozenset({"read"}), "master": frozenset({"read", "train", "admin"})}.get(key)

    def all(self) -> list[ApiKey]:
        return [
            ApiKey(1, "flow", "kw_abc", ("read",), WHEN),
            ApiKey(2, "old", "kw_def", ("read",), WHEN, WHEN, WHEN),
        ]

    def create(self, name: str, scopes: Sequence[str]) -> str:
        return f"kw_{name}_{'_'.join(scopes)}"

    def revoke(self, key_id: int) -> None:
        self.revoked.append(key_id)


class Health:
    """A report with one trouble."""

    status = "degraded"
    checks: Mapping[str, Check] = MappingProxyType(
        {
            "database": Check("ok", Message("health.database_answered", milliseconds=2.0)),
            "disk": Check("degraded", Message("health.disk", gigabytes=1.0)),
        }
    )


def trained_registry(panel: Panel) -> Registry:
    """Two READY models, one FAILED, tests on later rows and a comparison."""
    registry = Registry()
    stores = TrainingStores({"coins": Market(panel)}, registry, registry)
    for name in ("a", "b"):
        train(a_spec(name=name), stores)
    a, b = (registry.get(name).id for name in ("a", "b"))
    run_test(a, LATER, stores)
    compare_models(a, b, LATER, stores)
    registry.set_certificate(a, {"certified": True, "values_compared": 10, "leak_probes": 3, "leaks_found": 0})
    failed = registry.create(type("New", (), {"spec": a_spec(name="c").as_json()})())
    registry.fail(failed, Message("all rows have the label 0"))
    return registry


SAMPLES = tuple(
    ResourceSample(
        WHEN + timedelta(seconds=5 * k), 0.5, 0.25, 0.1, 100_000_000, 5.0 * k, 0.01 * k, 60.0 * k, 61.0 + 5 * k
    )
    for k in range(400)
)


def services_over(panel: Panel, registry: Registry, **changes: Any) -> DashboardServices:
    """Everything a page can reach, in memory."""
    market, jobs = Market(panel), MemoryJobs()
    env = JobEnvironment(market=market, models=registry, results=registry, jobs=jobs)
    first, last = to_datetime(START_US), to_datetime(START_US + 599 * MINUTE_US)
    fields: dict[str, Any] = {
        "models": registry,
        "results": registry,
        "markets": {"coins": market},
        "job_service": env.service,
        "jobs": jobs,
        "ingestion": DataIngestion(market),
        "quality": lambda _: check_quality(Subject(panel, COINS)),
        "coverage": lambda _: [CoinCoverage("COIN0", 600, first, last, 2, 1)],
        "health": Health,
        "resource_samples": lambda: SAMPLES,
        "settings": {"http.port": "8000"},
        "keys": ApiKeys(),
        "live": Live(registry),
        "alerts": Alerts(),
        "channels": KINDS,
        "watchlists": Watchlists(),
    }
    return DashboardServices(**(fields | changes))


class Asgi:
    """Asks an application without a network, each time on an event loop of its own."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.headers = {"accept-language": "en"}
        self.cookies: dict[str, str] = {}

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=self.headers, cookies=self.cookies
            ) as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)


class Browser:
    """Fires callbacks over HTTP."""

    def __init__(self, services: DashboardServices, options: DashboardOptions | None = None) -> None:
        app = FastAPI()

        @app.get("/api/ping")
        def ping() -> str:
            return "pong"

        mount(app, services, options)
        self.client = Asgi(app)
        self._specs: list[dict[str, Any]] | None = None

    def specs(self) -> list[dict[str, Any]]:
        if self._specs is None:
            self._specs = self.client.get("/dashboard/_dash-dependencies").json()
        return self._specs

    def fire(self, output: str, given: Mapping[str, Any], changed: str) -> dict[str, Any]:
        """Fire the callback with this output, or without any but this input; ``given`` is id.property → value."""
        spec = next(
            one
            for one in self.specs()
            if not one.get("clientside_function")
            and output in one["output"]
            and any(_depends_on(dependency, changed) for dependency in one["inputs"])
        )
        several = spec["output"].startswith("..")
        outputs = [_dependency(part) for part in spec["output"].strip(".").split("...")]
        body = {
            "output": spec["output"],
            "outputs": [] if spec.get("no_output") else outputs if several else outputs[0],
            "inputs": [_filled(one, given) for one in spec["inputs"]],
            "state": [_filled(one, given) for one in spec["state"]],
            "changedPropIds": [changed],
        }
        answer = self.client.post("/dashboard/_dash-update-component", json=body)
        assert answer.status_code in {200, 204}, answer.text
        return answer.json() if answer.status_code == 200 else {}

    def open(self, path: str, search: str = "") -> str:
        """Open a page and return what it holds as JSON text."""
        wanted = {"path": f"/dashboard{path}", "search": search}
        body = {
            "output": "..page.children...title.data..",
            "outputs": [{"id": "page", "property": "children"}, {"id": "title", "property": "data"}],
            "inputs": [{"id": "wanted", "property": "data", "value": wanted}],
            "state": [],
            "changedPropIds": ["wanted.data"],
        }
        answer = self.client.post("/dashboard/_dash-update-component", json=body)
        assert answer.status_code == 200, answer.text
        return json.dumps(answer.json(), ensure_ascii=False)

    def seen(self, name: str, given: Mapping[str, Any] | None = None) -> str:
        """Bring the place ``name`` into sight and return what fills it as JSON text."""
        shown = f"{name}.data-seen"
        return json.dumps(self.fire(f"{name}.children", {shown: True, **(given or {})}, shown), ensure_ascii=False)


def _dependency(text: str) -> dict[str, Any]:
    name, _, prop = text.rpartition(".")
    return {"id": json.loads(name) if name.startswith("{") else name, "property": prop}


def _depends_on(dependency: Mapping[str, str], changed: str) -> bool:
    name, _, prop = changed.rpartition(".")
    if dependency["property"] != prop:
        return False
    if not dependency["id"].startswith("{"):
        return dependency["id"] == name
    pattern, given = json.loads(dependency["id"]), json.loads(name) if name.startswith("{") else {}
    return pattern.keys() == given.keys() and all(
        isinstance(value, list) or value == given[key] for key, value in pattern.items()
    )


def _filled(one: Mapping[str, str], given: Mapping[str, Any]) -> Any:
    if one["id"].startswith("{") and any(isinstance(value, list) for value in json.loads(one["id"]).values()):
        return [
            {**_dependency(name), "value": value}
            for name, value in given.items()
            if name.startswith("{") and _depends_on(one, name)
        ]
    name = f"{one['id']}.{one['property']}"
    return {**_dependency(name), "value": given.get(name)}


def notices(answer: dict) -> str:
    """Return what notices an answer shows."""
    return json.dumps(answer.get("sideUpdate", {}), ensure_ascii=False)
