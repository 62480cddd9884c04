"""Pages about another market than coins: its columns, its instruments, its rows."""

import base64
import json
from dataclasses import replace

import pytest

from kurswerk.bootstrap.job_kinds import job_kinds
from kurswerk.jobs import JobService
from kurswerk.market import Panel, market_named
from kurswerk.storage.jobs import FolderJobFiles
from kurswerk.training import TrainingStores, train
from memory_dashboard import Browser, Market, Registry, services_over
from memory_jobs import MemoryJobs
from memory_market import a_spec

CANDLES = market_named("candles")
SPEC = {"market": "candles", "features": ["volume"], "target_var": "close", "instruments": ["COIN1"]}
FORM = {
    "spec-name.value": "new",
    "spec-market.data": "candles",
    "spec-model_type.value": "xgboost",
    "spec-kind.value": "change",
    "spec-target_var.value": "close",
    "spec-future_minutes.value": 5,
    "spec-min_percent_change.value": 1,
    "spec-direction.value": "up",
    "spec-features.value": ["volume"],
    "spec-mints.value": ["COIN1"],
    "spec-start.value": "2024-01-01 00:00:00",
    "spec-end.value": "2024-01-01 05:00:00",
}


def as_candles(panel: Panel) -> Panel:
    """The same rows under the columns of candles."""
    names = {name: name.removeprefix("price_").removesuffix("_sol") for name in panel.columns}
    return replace(panel, columns=tuple(names.values()))


@pytest.fixture
def services(panel: Panel, registry: Registry, tmp_path):
    jobs, markets = MemoryJobs(), {"coins": Market(panel), "candles": Market(as_candles(panel))}
    kinds = job_kinds(TrainingStores(markets, registry, registry), FolderJobFiles(tmp_path))
    return services_over(panel, registry, markets=markets, jobs=jobs, job_service=JobService(kinds, jobs))


def test_the_form_offers_the_columns_of_the_market_and_makes_its_specification(services):
    browser = Browser(services)
    page = browser.open("/new", "?market=candles")
    assert '"value": "close"' in page
    assert "price_close" not in page
    assert "?market=coins" in page
    answer = browser.fire("spec-document.data", FORM, "spec-name.value")["response"]
    assert answer["spec-order"]["disabled"] is False, json.dumps(answer)
    document = answer["spec-document"]["data"]
    assert (document["market"], document["instruments"], "mints" in document) == ("candles", ["COIN1"], False)
    estimate = browser.fire("spec-estimate.children", {"spec-document.data": document}, "spec-document.data")
    assert "positive in" in json.dumps(estimate)


def test_a_clone_a_test_and_a_comparison_stay_in_the_models_market(services, registry):
    stores = TrainingStores(services.markets, registry, registry)
    number = train(a_spec(name="of candles", use_engineered_features=False, **SPEC), stores).id
    services.markets["candles"].instruments = lambda: ["BTC"]
    browser = Browser(services)
    clone = browser.open("/new", f"?clone={number}")
    assert '"id": "spec-market"' in clone.replace("'", '"')
    assert '"data": "candles"' in clone
    assert '"value": ["COIN1"]' in clone
    assert '"data": ["BTC"]' in browser.open("/test", f"?models={number}")
    assert '"data": ["BTC"]' not in browser.open("/test", "?models=1")


def test_the_data_page_shows_and_fills_the_market_of_its_address(services):
    browser = Browser(services)
    covered = []
    services = replace(services, coverage=lambda market: covered.append(market.name) or [])
    browser = Browser(services)
    page = browser.open("/data", "?market=candles")
    assert covered == ["candles"]
    assert "simulate-go" not in page
    browser.open("/data", "?market=nothing")
    assert covered[-1] == "coins"
    given = {
        "ingest-file.contents": "data:text/csv;base64," + base64.b64encode(b"symbol\n").decode(),
        "ingest-file.filename": "a.csv",
        "data-market.data": "candles",
    }
    browser.fire("ingest-done.children", given, "ingest-file.contents")
    assert services.ingestion.filled == [CANDLES]
