"""Pages about another market than coins: its columns, its instruments, its rows."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from kurswerk.bootstrap.job_kinds import job_kinds
from kurswerk.core.errors import NotFoundError
from kurswerk.dashboard import UploadedBars
from kurswerk.dashboard.callbacks.pages import instrument_path
from kurswerk.dashboard.widgets.specification_document import defaults
from kurswerk.jobs import JobService
from kurswerk.market import Panel, market_named
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.coverage import CoinCoverage
from kurswerk.market.instruments import Instrument, InstrumentFacts, Series
from kurswerk.market.series import SourceConflict
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
    stated = {"ingest-source.value": " vendor ", "ingest-exchange.value": "XETR", "ingest-adjusted.value": "2018-02-07"}
    browser.fire("ingest-done.children", given | stated | {"data-market.data": "stocks"}, "ingest-file.contents")
    assert services.ingestion.asked[-1][-1] == UploadedBars("vendor", "split-adjusted:2018-02-07", "XETR")


STOCKS = market_named("stocks")
CLOSE_US = 75_600_000_000  # 21:00 UTC, as New York closes in winter


def as_stocks(panel: Panel, names: tuple[str, ...]) -> Panel:
    """The same rows as bars of days, of instruments with these names."""
    columns = {name: f"{name.removeprefix('price_').removesuffix('_sol')}_price" for name in panel.columns}
    columns["volume_sol"] = "volume"
    days = (panel.timestamps - panel.timestamps[0]) // 60_000_000
    times = panel.timestamps[0] + days * 86_400_000_000 + CLOSE_US
    return replace(panel, columns=tuple(columns.values()), instruments=names, timestamps=times)


@pytest.fixture
def stocks(services, panel: Panel):
    """Coins, candles and stocks, some of whose keys are not letters alone."""
    services.markets["stocks"] = Market(as_stocks(panel, ("005930.KS", "BRK.B", "BTC-EUR", "X/Y Z")))
    return services


@pytest.mark.parametrize("key", ["005930.KS", "BRK.B", "BTC-EUR", "X/Y Z"])
def test_any_instrument_has_a_page_at_its_address(stocks, key):
    browser = Browser(stocks)
    page = browser.open(instrument_path("stocks", key).removeprefix("/dashboard"))
    assert json.dumps({"market": "stocks", "key": key}) in page
    assert "Aug 22, 2025" in page  # the 600th day, without a time
    assert "Price and volume" in page
    assert browser.client.get(instrument_path("stocks", key)).status_code == 200
    layout = browser.client.get(
        "/dashboard/_dash-layout", headers={"referer": f"http://localhost{instrument_path('stocks', key)}"}
    )
    parts = {part["props"].get("id"): part["props"] for part in components(layout.json())}
    assert parts["instrument-name"]["data"] == {"market": "stocks", "key": key}


def test_addresses_of_before_still_lead_there(stocks):
    browser = Browser(stocks)
    assert '{"market": "coins", "key": "COIN1"}' in browser.open("/data/COIN1")
    assert '{"market": "candles", "key": "COIN1"}' in browser.open("/data/COIN1", "?market=candles")
    assert '{"market": "stocks", "key": "BRK.B"}' in browser.open("/data/BRK.B", "?market=stocks")
    assert "there are no rows of 'COIN1' in the market stocks" in browser.open("/data/stocks/COIN1")
    assert "unknown market" in browser.open("/data/bonds/COIN1")


def test_an_instrument_shows_predictions_of_its_own_market_alone(services, registry):
    """Instruments of two markets may have one name."""
    stores = TrainingStores(services.markets, registry, registry)
    number = train(a_spec(name="of candles", use_engineered_features=False, **SPEC), stores).id
    services.live.found[0] = replace(services.live.found[0], model_id=number)
    browser = Browser(services)
    coin, candle = (browser.open(f"/data/{market}/COIN0") for market in ("coins", "candles"))
    assert ('"label": "of candles"' in coin, '"label": "of candles"' in candle) == (False, True)
    rows = browser.open("/live")
    assert "/dashboard/data/candles/COIN0" in rows
    assert "/dashboard/data/coins/COIN0" in rows


def test_a_day_is_clicked_and_zoomed_as_a_day(stocks):
    browser = Browser(stocks)
    window = {"xaxis.range[0]": "2024-03-01", "xaxis.range[1]": "2024-03-10 12:00"}
    name = {"market": "stocks", "key": "BRK.B"}
    given = {"instrument-name.data": name, "instrument-chart.relayoutData": window, "instrument-models.value": []}
    patch = browser.fire("instrument-chart.figure", given, "instrument-chart.relayoutData")
    operations = patch["response"]["instrument-chart"]["figure"]["operations"]
    ((candles, *_),) = (one["params"]["value"] for one in operations if one["location"] == ["data"])
    assert candles["x"][0] == "2024-02-25"
    assert candles["x"][-1] == "2024-03-14"


def test_bars_of_other_lengths_are_linked_where_there_are_some(stocks, panel: Panel):
    stocks.markets["stocks_1h"] = Market(as_stocks(panel, ("BRK.B", "C1", "C2", "C3")))
    stocks.markets["stocks_5m"] = Market(panel)
    stocks.markets["stocks_5m"].empty = True
    browser = Browser(stocks)
    page = browser.open("/data/stocks/BRK.B")
    assert "/dashboard/data/stocks_1h/BRK.B" in page
    assert "/dashboard/data/stocks_5m/BRK.B" not in page
    assert "/dashboard/data/stocks_1h/BTC-EUR" not in browser.open("/data/stocks/BTC-EUR")
    data = browser.open("/data", "?market=stocks_1h")
    assert "/dashboard/data?market=stocks_1h" in data
    assert "/dashboard/data?market=stocks_5m" not in data


def test_a_form_about_days_begins_with_sessions_and_a_clone_keeps_its_minutes(stocks, registry):
    columns = ["open_price", "close_price", "volume"]
    for market, unit in (("stocks", "horizon_sessions"), ("candles", "future_minutes")):
        found = defaults(market_named(market), columns if market == "stocks" else ["close", "volume"])
        assert {name for name in found if name in {"horizon_sessions", "future_minutes"}} == {unit}
    assert defaults(STOCKS, columns)["features"] == ["volume", "rsi_14", "sma_20"]
    minutes = {"market": "stocks", "features": ["volume"], "target_var": "close_price", "future_minutes": 2880}
    registry.records[1] = replace(registry.records[1], spec={**registry.records[1].spec, **minutes})
    page = json.loads(Browser(stocks).open("/new", "?clone=1"))
    values = {part["props"].get("id"): part["props"].get("value") for part in components(page)}
    assert (values["spec-future_minutes"], values["spec-horizon_sessions"]) == (2880, "")


def components(part: object) -> Iterator[dict]:
    """Yield all components of a page."""
    if isinstance(part, dict):
        if isinstance(part.get("props"), dict):
            yield part
        for value in part.values():
            yield from components(value)
    elif isinstance(part, list):
        for value in part:
            yield from components(value)


class Directory:
    """Who instruments are; two sources differ about BRK.B."""

    facts = InstrumentFacts("BRK.B", "Berkshire Hathaway", "Financials", "Insurance", "XNYS", "USD")

    def find(self, wanted: object, limit: int = 100, offset: int = 0) -> tuple[list[Instrument], int]:
        return [self.get("BRK.B")], 1

    def get(self, symbol: str) -> Instrument:
        if symbol != "BRK.B":
            raise NotFoundError("stock.not_found", symbol=symbol)
        return Instrument(self.facts, date(2024, 1, 1), date(2025, 8, 22), is_active=True)

    def names(self) -> dict[str, str]:
        return {"BRK.B": "Berkshire Hathaway"}

    def sectors(self) -> list[str]:
        return ["Financials"]

    def series(self, symbols: object = None) -> list[Series]:
        first, last = (datetime(*day, 21, tzinfo=UTC) for day in ((2024, 1, 1), (2025, 8, 22)))
        one = Series("BRK.B", "1d", "vendor", "raw", None, True, 600, first, last)
        return [one, replace(one, source="other", is_preferred=False, price_basis="split_adjusted",
                             adjusted_as_of=date(2025, 8, 1), bars=0, first=None, last=None)]  # fmt: skip

    def conflicts(self, symbols: object = None) -> list[SourceConflict]:
        return [SourceConflict("BRK.B", "vendor", "other", 500, {"volume": 499}, date(2024, 2, 1))]

    def known_values(self, symbol: str, moment_us: int) -> list[Any]:
        stated = {"pe_ratio": 24.126, "market_cap": 4_514_709_504_000.0, "dividend_yield": 0.0035, "eps": 8.5,
                  "sector": 45.0, "in_sp500": 1.0, "of another kind": 1.0}  # fmt: skip
        common = {"as_of_us": 1_515_013_200_000_000, "known_us": 0, "source": "list"}
        return [
            SimpleNamespace(name=name, value=value, is_stale=name == "eps", **common) for name, value in stated.items()
        ]

    def split_factor(self, symbol: str) -> float:
        return 4.0

    def actions(self, symbol: str) -> list[CorporateAction]:
        return [
            CorporateAction(symbol, date(2024, 1, 11), "split", 1.5),
            CorporateAction(symbol, date(2024, 3, 5), "dividend", 1.01, 0.25),
            CorporateAction(symbol, date(2030, 1, 1), "split", 2.0),
        ]


@pytest.fixture
def known(stocks):
    """The stocks, of which one is known by name."""
    return replace(stocks, instruments={"stocks": Directory()})


def test_an_instrument_shows_who_it_is_where_its_bars_come_from_and_what_was_done(known):
    browser = Browser(known)
    page = browser.open("/data/stocks/BRK.B")
    for words in (
        "Berkshire Hathaway · Financials · Insurance · XNYS · USD", " USD", "as paid", "in use",
        "24.13", "4.51T USD", "0.35%", "8.50 USD", "Information Technology", "Jan 3, 2018 (too old)",
        "split-adjusted as of Aug 1, 2025", "Feb 1, 2024 on they differ in volume × 499", "3 for 2", "0.25 USD",
    ):  # fmt: skip
        assert words in page, words
    assert "Corporate actions" not in browser.open("/data/coins/COIN0")
    unknown = browser.open("/data/stocks/BTC-EUR")
    assert "Last price" in unknown
    assert "Berkshire" not in unknown
    browser.client.headers["accept-language"] = "de"
    german = browser.open("/data/stocks/BRK.B")
    for words in ("3 für 2", "0,25 USD", "22.08.2025", "wie gezahlt"):
        assert words in german, words


def test_the_chart_shows_prices_and_volumes_of_a_share_as_it_is_today(known, stocks):
    name = {"market": "stocks", "key": "BRK.B"}
    given = {"instrument-name.data": name, "instrument-models.value": ["1"]}
    found = []
    for services in (known, stocks):
        patch = Browser(services).fire("instrument-chart.figure", given, "instrument-models.value")
        operations = patch["response"]["instrument-chart"]["figure"]["operations"]
        traces = next(one["params"]["value"] for one in operations if one["location"] == ["data"])
        found.append((traces[0]["close"][-1], traces[2]["y"][1]))
    (close, volume), (as_stored, volume_as_stored) = found
    assert (4 * close, volume) == pytest.approx((as_stored, 4 * volume_as_stored))


def test_actions_are_marked_where_they_lie_within_the_chart(known):
    given = {"instrument-name.data": {"market": "stocks", "key": "BRK.B"}, "instrument-models.value": []}
    found = {}
    for begin, end in (("2024-01-01", "2025-08-22"), ("2024-03-01", "2024-03-09")):
        window = {"instrument-chart.relayoutData": {"xaxis.range[0]": begin, "xaxis.range[1]": end}}
        patch = Browser(known).fire("instrument-chart.figure", given | window, "instrument-chart.relayoutData")
        operations = patch["response"]["instrument-chart"]["figure"]["operations"]
        traces = next(one["params"]["value"] for one in operations if one["location"] == ["data"])
        found[begin] = {one["name"]: one["x"] for one in traces if one.get("yaxis") == "y3"}
    assert found == {
        "2024-01-01": {"Split": ["2024-01-11"], "Dividend": ["2024-03-05"]},
        "2024-03-01": {"Dividend": ["2024-03-05"]},
    }


def test_the_list_of_stocks_names_them_and_counts_the_sessions_that_are_missing(known):
    first, last = (datetime(*day, 21, tzinfo=UTC) for day in ((2018, 1, 2), (2018, 1, 16)))
    covered = [CoinCoverage("BRK.B", 9, first, last, 3), CoinCoverage("BTC-EUR", 9, first, last, 3)]
    text = Browser(replace(known, coverage=lambda _: covered)).open("/data", "?market=stocks")
    grid = next(part["props"] for part in components(json.loads(text)) if part["props"].get("id") == "data-coins")
    rows = {row["coin"]: (row["name"], row["sector"], row["gaps"]) for row in grid["rowData"]}
    assert rows == {"BRK.B": ("Berkshire Hathaway", "Financials", 1), "BTC-EUR": (None, None, None)}
    assert grid["rowData"][0]["href"] == "/dashboard/data/stocks/BRK.B"
    with_gaps = Browser(replace(known, coverage=lambda _: covered)).open("/data", "?market=candles")
    assert '"gaps": 3' in with_gaps
