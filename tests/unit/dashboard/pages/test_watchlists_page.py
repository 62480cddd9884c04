"""The page of watchlists, and pages narrowed down to one."""

import json

import pytest

from kurswerk.dashboard import DashboardServices
from kurswerk.dashboard.widgets.sparkline import sparkline_svg
from kurswerk.market import Panel
from kurswerk.market.watchlists import WatchedInstrument
from memory_dashboard import Browser, Registry, notices, services_over

COIN0, GONE = WatchedInstrument("coins", "COIN0"), WatchedInstrument("coins", "GONE")


@pytest.fixture
def services(panel: Panel, registry: Registry) -> DashboardServices:
    return services_over(panel, registry)


def test_a_list_is_made_filled_emptied_and_deleted(services: DashboardServices):
    browser = Browser(services)
    assert "There is no watchlist yet" in browser.open("/watchlists")
    assert "needs a name" in notices(
        browser.fire("go.data", {"watch-name.value": " ", "watch-create.n_clicks": 1}, "watch-create.n_clicks")
    )
    given = {"watch-name.value": "mine", "watch-create.n_clicks": 1}
    made = browser.fire("go.data", given, "watch-create.n_clicks")
    assert "/dashboard/watchlists?watchlist=1" in json.dumps(made)
    assert "Nothing is on it yet" in browser.open("/watchlists", "?watchlist=1")
    given = {"watch-list.data": 1, "watch-add.value": "coins COIN0"}
    added = json.dumps(browser.fire("watch-content.children", given, "watch-add.value"))
    assert "/dashboard/data/coins/COIN0" in added
    assert services.watchlists.get(1).instruments == (COIN0,)
    button = (
        json.dumps({"key": "COIN0", "kind": "watch-remove", "market": "coins"}, separators=(",", ":")) + ".n_clicks"
    )
    browser.fire("watch-content.children", {"watch-list.data": 1, button: 1}, button)
    assert services.watchlists.get(1).instruments == ()
    delete = '{"kind":"danger-do","what":"watch-delete"}.n_clicks'
    browser.fire("go.data", {"watch-list.data": 1, delete: 1}, delete)
    assert services.watchlists.all() == []


def test_each_instrument_stands_with_price_change_and_newest_prediction(services: DashboardServices, panel: Panel):
    services.watchlists.create("mine", [COIN0, GONE])
    page = Browser(services).open("/watchlists")
    close = panel.column("price_close")[panel.rows_of("COIN0")]
    change = 100 * (close[-1] / close[-2] - 1)
    assert f"{abs(change):.2f}%" in page
    assert "data:image/svg+xml;base64," in page
    assert "a: 90.0%" in page
    assert page.count("data:image/svg+xml") == 1  # what has no rows has no course


def test_pages_are_narrowed_down_to_a_list(services: DashboardServices):
    services.watchlists.create("mine", [COIN0])
    services.watchlists.create("others", [GONE])
    browser = Browser(services)
    pages = [browser.open("/data", f"?market=coins&watchlist={number}") for number in ("1", "2", "99", "x", "")]
    assert ['"coin": "COIN0"' in page for page in pages] == [True, False, True, True, True]
    assert "watchlist=1" in pages[0]


def test_an_instrument_is_put_on_lists_and_taken_off_on_its_page(services: DashboardServices):
    browser = Browser(services)
    assert "instrument-watchlists" not in browser.open("/data/coins/COIN0")
    for name in ("a", "b"):
        services.watchlists.create(name, [COIN0] if name == "b" else [])
    assert '"value": ["2"]' in browser.open("/data/coins/COIN0")
    given = {"instrument-name.data": {"market": "coins", "key": "COIN0"}, "instrument-watchlists.value": ["1"]}
    assert "Saved" in notices(browser.fire("", given, "instrument-watchlists.value"))
    assert [one.instruments for one in services.watchlists.all()] == [(COIN0,), ()]
    assert "Saved" not in notices(browser.fire("", given, "instrument-watchlists.value"))


def test_a_sparkline_stays_within_its_picture_and_passes_over_gaps():
    svg = sparkline_svg([3.0, float("nan"), 1.0, 2.0], "red")
    points = [tuple(map(float, point.split(","))) for point in svg.split('points="')[1].split('"')[0].split()]
    assert len(points) == 3
    assert all(0 <= x <= 120 and 0 <= y <= 28 for x, y in points)
    assert points[0][1] < points[2][1] < points[1][1]
    assert "points" not in sparkline_svg([1.0], "red")
    assert "points" in sparkline_svg([1.0, 1.0], "red")
