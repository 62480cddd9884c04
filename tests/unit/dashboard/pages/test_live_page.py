"""What stands on Live beside its predictions: models to switch, their limits, and rules of alerts."""

from dataclasses import replace

from kurswerk.market import Panel
from kurswerk.market.watchlists import WatchedInstrument
from memory_dashboard import Browser, Registry, notices, services_over


def test_models_are_switched_on_the_live_page(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    switch = '{"kind":"live-switch","model":1}.checked'
    assert "Activated" in notices(browser.fire("", {switch: True}, switch))
    assert registry.get(1).is_active
    limit = '{"kind":"live-threshold","model":1}.value'
    assert "Saved" in notices(browser.fire("", {limit: 55}, limit))
    assert registry.get(1).alert_threshold == 0.55
    assert "0 to 100" in notices(browser.fire("", {limit: 555}, limit))
    services.live.set_threshold(1, 0.123456)
    assert browser.fire("", {limit: 12.35}, limit) == {}
    assert registry.get(1).alert_threshold == 0.123456
    found = browser.fire(
        "live-offline-rows.data", {"live-offline-filter.data": {"model": "1"}}, "live-offline-filter.data"
    )
    renewed = found["response"]["live-offline-rows"]["data"]
    assert (renewed["filter"], renewed["rows"][0]["coin"]) == ({"model": "1"}, "COIN0")


def test_what_is_further_down_on_live_is_brought_when_it_is_seen(browser: Browser, monkeypatch):
    monkeypatch.setattr("kurswerk.dashboard.pages.live._FIRST_MODELS", 1)
    assert "live-switch" not in browser.open("/live")
    first, rest = browser.seen("live-rules"), browser.seen("live-rules-rest")
    assert ("b predicts" in first, "a predicts" in first, "Alert from" in first) == (True, False, True)
    assert ("b predicts" in rest, "a predicts" in rest, "Alert from" in rest) == (False, True, False)
    assert '"live-alerts"' in browser.seen("live-alert-area")


def test_live_predictions_are_narrowed_down_to_a_watchlist(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    services.live.found[:3] = [replace(one, coin_id="COIN1") for one in services.live.found[:3]]
    services.watchlists.create("one", [WatchedInstrument("coins", "COIN1"), WatchedInstrument("coins", "GONE")])
    services.watchlists.create("same name", [WatchedInstrument("candles", "COIN1")])
    browser = Browser(services)
    found = []
    for number in ("1", "2", "99", ""):
        given = {"live-offline-filter.data": {"watchlist": number}}
        answer = browser.fire("live-offline-rows.data", given, "live-offline-filter.data")
        found.append([row["coin"] for row in answer["response"]["live-offline-rows"]["data"]["rows"]])
    assert found == [["COIN1"] * 3, [], ["COIN0"] * 6 + ["COIN1"] * 3, ["COIN0"] * 6 + ["COIN1"] * 3]
    page = browser.open("/live", "?watchlist=1")
    assert '"value": "1"' in page
    assert '"coin": "COIN0"' not in page
