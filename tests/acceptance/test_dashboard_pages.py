"""Every page in a real browser, over a market and models in memory: nothing cut, a silent console, axe content."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache

import pytest
from fastapi import FastAPI

from dashboard_browser import CHROMIUM, NO_CHROMIUM, Visit, chromium, visit
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.dashboard import DashboardOptions, DashboardServices, PredictionBatch, mount
from kurswerk.dashboard.words.formats import Formats
from memory_dashboard import Registry, services_over, trained_registry
from memory_market import random_market
from page_findings import cut_texts, serious_findings
from running_app import running

# What the pages do is measured by tests/unit/dashboard.
pytestmark = [pytest.mark.untraced, pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)]

MENU = ("", "/data", "/watchlists", "/models", "/new", "/test", "/compare", "/jobs", "/live", "/system")
PAGES = (*MENU, "/data/COIN0", "/models/1", "/models/3", "/compare?comparison=1", "/jobs/1", "/nowhere")
WIDTHS = (1920, 390)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """The browser, for all tests of this file."""
    with chromium() as found:
        yield found


def serving(services: DashboardServices, **options: bool):
    """Serve the dashboard over these services."""
    app = FastAPI()
    mount(app, services, DashboardOptions(**options))
    return running(app)


@pytest.fixture(scope="module")
def filled() -> Iterator[str]:
    """A dashboard with coins, models, a test, a comparison and a job that failed."""
    panel = random_market()
    services = services_over(panel, trained_registry(panel))
    jobs = services.jobs
    jobs.start(jobs.order("TEST", {"model_id": 1}))
    for fold in range(60):
        jobs.add_line(1, f"fold {fold} of 60")
    jobs.add_line(1, f"no rows in {'x' * 120}", level="error")
    jobs.jobs[1] = replace(jobs.get(1), status="FAILED", error_msg=f"no rows in {'x' * 120}", worker_id="w" * 60)
    with serving(services) as url:
        yield url


@pytest.fixture(scope="module")
def fresh() -> Iterator[str]:
    """A dashboard over nothing at all."""
    services = services_over(random_market(1, 10), Registry())
    services.market.empty = True
    services.live.found.clear()
    with serving(services) as url:
        yield url


def looks_right(seen, page: str, widths=WIDTHS) -> None:
    """Open a page and look at it in each width; axe looks in the last."""
    seen.page.set_viewport_size({"width": widths[0], "height": 900})
    seen.go(f"/dashboard{page}")
    for width in widths:
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.wait_until_still()
        assert seen.too_wide_by <= 0, (page, width)
        assert cut_texts(seen) == [], (page, width)
    assert serious_findings(seen) == [], page
    assert seen.troubles == [], page


@pytest.fixture(scope="module")
def window(browser, filled) -> Iterator[Callable[..., Visit]]:
    """Give the window of a reader with these preferences; it is kept, and so are the scripts that it has fetched."""
    with ExitStack() as kept:
        yield cache(lambda language, dark: kept.enter_context(visit(browser, filled, language=language, dark=dark)))


@pytest.mark.parametrize(("language", "dark"), [("en-GB", False), ("de-DE", True)])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_looks_right_wide_and_narrow(window, page, language, dark):
    seen = window(language, dark)
    seen.troubles.clear()
    looks_right(seen, page, WIDTHS if dark else WIDTHS[::-1])
    assert seen.page.evaluate("document.documentElement.lang") == language[:2]


@pytest.mark.parametrize(("language", "width"), [("en-GB", 1920), ("de-DE", 390)])
def test_the_first_visit_finds_the_way_to_the_first_step(browser, fresh, language, width):
    with visit(browser, fresh, language=language) as seen:
        for page in MENU[1:]:
            looks_right(seen, page, (width,))
        seen.go("/dashboard")
        seen.see("Welcome." if language == "en-GB" else "Willkommen.")
        assert seen.troubles == []


def test_the_menu_leads_from_page_to_page_without_loading_anew(browser, filled):
    with visit(browser, filled) as seen:
        seen.go("/dashboard")
        seen.page.evaluate("() => { window.here = true; }")
        for name in ("Market data", "Models", "New model", "Jobs", "System", "Models"):
            seen.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
            seen.page.get_by_role("heading", level=1, name=name, exact=True).wait_for()
            seen.page.wait_for_function("(title) => document.title === title", arg=f"{name} · Kurswerk")
        seen.page.go_back()
        seen.page.get_by_role("heading", level=1, name="System", exact=True).wait_for()
        assert seen.page.evaluate("() => window.here") is True
        assert seen.troubles == []


def test_models_are_filtered_where_they_are_and_the_address_keeps_it(browser, filled):
    with visit(browser, filled) as seen:
        names = seen.page.locator("#models-table .ag-row a")
        status = seen.page.locator("#models-status")
        seen.go("/dashboard/models")
        names.nth(1).wait_for()
        everyone = names.all_inner_texts()
        status.get_by_text("failed", exact=True).click()
        names.nth(1).wait_for(state="detached")
        assert names.all_inner_texts() == ["c"]
        assert seen.page.url.endswith("?status=FAILED")
        seen.page.reload()
        names.first.wait_for()
        assert names.all_inner_texts() == ["c"]
        status.get_by_text("all", exact=True).click()
        names.nth(len(everyone) - 1).wait_for()
        seen.page.locator("#models-search").fill("random forest")
        names.nth(len(everyone) - 1).wait_for(state="detached")
        assert seen.troubles == []


@pytest.mark.parametrize("paused", [False, True])
def test_live_rows_are_filtered_and_come_back(browser, filled, paused):
    with visit(browser, filled) as seen:
        rows = seen.page.locator("#live-table .ag-center-cols-container .ag-row")
        least = seen.page.locator("#live-min")
        seen.go("/dashboard/live")
        rows.nth(8).wait_for()
        if paused:
            seen.page.locator("#live-pause").click(force=True)
            seen.see("paused")
        least.fill("60")
        seen.page.wait_for_url("**/live?min=60")
        seen.page.wait_for_function(
            "() => document.querySelectorAll('#live-table .ag-center-cols-container .ag-row').length === 4"
        )
        least.fill("0")
        rows.nth(8).wait_for()
        seen.page.locator("#live-coin").fill("nobody's")
        seen.see("Nothing to show")
        assert seen.troubles == []


def test_decimals_are_typed_behind_the_readers_mark(browser, filled):
    with visit(browser, filled, language="de-DE") as seen:
        seen.go("/dashboard/live")
        seen.page.locator("#live-min").fill("62,5")
        seen.page.wait_for_url("**/live?min=62.5")
        seen.page.reload()
        seen.page.wait_for_function("() => document.querySelector('#live-min')?.value === '62,5'")
        assert seen.troubles == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_tables_write_numbers_as_the_server_does(browser, filled, language):
    values = [
        (1e-5, 2),
        (-0.000034, 3),
        (1.23e-40, 3),
        (1234567.891, 2),
        (0.26, 1),
        (0.00995, 2),
        (0, 1),
        (9.99e-10, 3),
    ]
    server = Formats(language)
    with visit(browser, filled, language={"en": "en-GB", "de": "de-DE"}[language]) as seen:
        seen.go("/dashboard/system")
        for name in ("number", "share"):
            written = seen.page.evaluate(f"(all) => all.map(([value, n]) => kurswerk.{name}(value, n))", values)
            expected = [
                (server.number if name == "number" else server.percent)(value, digits) for value, digits in values
            ]
            assert written == expected
        assert seen.page.evaluate("() => kurswerk.threshold(0.5)") == server.threshold(0.5)


def test_a_page_that_stays_open_keeps_no_history_of_its_inputs(browser, filled):
    past = "store.getState().history.past.length"
    with visit(browser, filled) as seen:
        seen.go("/dashboard/live")
        alerted = "() => dash_clientside.set_props('live-new-alerts', {data: []})"
        seen.page.wait_for_function(f"() => {{ ({alerted})(); return {past}; }}")
        seen.page.wait_for_function(f"() => !{past}")
        assert seen.troubles == []


def test_what_lies_below_the_window_is_brought_when_it_is_seen(browser, filled):
    with visit(browser, filled) as seen:
        charts = seen.page.locator("#model-curves .js-plotly-plot .main-svg")
        seen.go("/dashboard/models/1")
        seen.page.locator("#threshold-predicted_positives").wait_for()
        assert charts.count() == 0
        for _ in range(2):  # what was put away with its tab is brought again
            seen.wait_until_still()
            charts.first.wait_for()
            seen.page.get_by_role("tab", name="Live", exact=True).click()
            charts.first.wait_for(state="detached")
            seen.page.get_by_role("tab", name="Evaluation").click()
        assert seen.troubles == []


def test_what_a_chart_shows_already_is_not_drawn_again(browser, filled):
    chart = "document.querySelector('#instrument-chart .js-plotly-plot')"
    with visit(browser, filled) as seen:
        seen.go("/dashboard/data/COIN0")
        middle = seen.page.locator("#instrument-chart .nsewdrag").first
        middle.wait_for()
        seen.wait_until_still()
        seen.page.evaluate(f"window.drawn = 0; {chart}.on('plotly_afterplot', () => {{ window.drawn += 1; }})")
        before = seen.page.evaluate(f"{chart}._fullLayout.xaxis.range")
        box = middle.bounding_box()
        seen.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2, steps=5)
        seen.page.mouse.up()
        seen.page.wait_for_function(f"(before) => {chart}._fullLayout.xaxis.range.join() !== before.join()", arg=before)
        seen.page.wait_for_function("() => window.drawn >= 2")
        seen.wait_until_still()
        assert seen.page.evaluate("window.drawn") == 2  # as it was moved, and with finer candles
        assert seen.troubles == []


def test_a_server_that_is_gone_is_reported_and_the_page_stays(browser, filled):
    with visit(browser, filled) as seen:
        seen.go("/dashboard")
        seen.wait_until_still()
        seen.page.context.set_offline(True)
        seen.page.get_by_role("navigation").get_by_role("link", name="Jobs", exact=True).click()
        seen.see("No answer.")
        assert seen.page.get_by_role("heading", level=1).inner_text() == "Overview"
        seen.page.context.set_offline(False)
        seen.page.get_by_role("link", name="Load again").click()
        seen.page.get_by_role("heading", level=1, name="Jobs", exact=True).wait_for()
        assert not seen.page.locator("#no-answer").is_visible()


def test_predictions_go_on_after_the_database_was_gone(browser, monkeypatch):
    panel = random_market()
    services = services_over(panel, trained_registry(panel))
    later = replace(services.live.found[0], id=77, coin_id="LATER")
    tries: list[str] = []

    async def stream(**_):
        tries.append("again")
        if len(tries) == 1:
            raise DatabaseUnavailableError("database.predictions_lost", reason="the server closed the connection")
        yield PredictionBatch()
        yield PredictionBatch([later], skipped=1200)

    monkeypatch.setattr(services.live, "stream", stream)
    monkeypatch.setattr("kurswerk.dashboard.widgets.prediction_stream._RETRY_S", 10.0)  # long enough to be seen
    with serving(services) as url, visit(browser, url, language="de-DE") as seen:
        seen.go("/dashboard/live")
        seen.see("unterbrochen; verbindet neu")
        seen.page.locator("#live-table").get_by_text("LATER").wait_for()
        seen.see("verbunden")
        seen.see("1.200 übersprungen")
        assert seen.troubles == []


def test_the_first_page_is_in_the_readers_time_zone_and_colours_at_once(browser, filled):
    with visit(browser, filled, dark=True) as seen:
        for _ in range(2):  # before and after the server knows it
            seen.go("/dashboard/new")
            seen.see("Times are in Europe/Berlin.")
            assert seen.page.evaluate("() => document.documentElement.dataset.mantineColorScheme") == "dark"
        seen.page.emulate_media(color_scheme="light")
        seen.go("/dashboard/new")
        seen.page.wait_for_selector('[data-mantine-color-scheme="light"] #page h1')
        assert seen.troubles == []


def test_wrong_input_is_shown_beside_the_field_and_cannot_be_ordered(browser, filled):
    with visit(browser, filled) as seen:
        seen.go("/dashboard/new")
        seen.see("All fields are valid.")
        seen.page.locator("#spec-name").fill("a")
        seen.see("This name is taken; choose another.")
        assert seen.page.locator("#spec-order").is_disabled()
        seen.page.locator("#spec-name").fill("b-2")
        seen.see("All fields are valid.")
        seen.page.locator("#spec-indicators").fill("rsy_14")
        seen.page.keyboard.press("Enter")
        seen.see("did you mean 'rsi_14'?")
        assert seen.page.locator("#spec-order").is_disabled()
        assert seen.troubles == []


def test_where_keys_are_on_one_is_asked_for_and_its_scope_kept_to(browser):
    with (
        serving(services_over(random_market(1, 60), Registry()), require_keys=True) as url,
        visit(browser, url, width=390) as seen,
    ):
        seen.page.goto(f"{url}/dashboard/models")
        assert seen.page.url.endswith("/dashboard/login")
        assert cut_texts(seen) == []
        assert serious_findings(seen) == []
        seen.page.get_by_label("API key").fill("reader")
        seen.press("Sign in")
        seen.page.wait_for_selector("#page h1")
        seen.go("/dashboard/data?open=ingest")
        seen.press("Simulate a market")
        seen.see("Your API key lacks the scope")
        seen.page.get_by_role("link", name="Sign out").click()
        seen.page.get_by_label("API key").wait_for()
        seen.page.goto(f"{url}/dashboard/system")
        assert seen.page.url.endswith("/dashboard/login")
        assert seen.troubles == []


def test_a_key_that_nobody_made_is_refused_in_words(browser):
    with (
        serving(services_over(random_market(1, 60), Registry()), require_keys=True) as url,
        visit(browser, url, language="de-DE") as seen,
    ):
        seen.page.goto(f"{url}/dashboard")
        seen.page.locator("#key").fill("wrong")
        seen.page.locator("button").click()
        seen.see("kurswerk keys create")
        assert serious_findings(seen) == []
