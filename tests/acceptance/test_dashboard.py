"""The dashboard in a real browser, from the first start to predictions that are watched live."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard_browser import CHROMIUM, NO_CHROMIUM, Visit, chromium, visit
from running_service import data_directory, served

# Where pictures are kept; tools/screenshots.py sets it.
PICTURES = Path(os.environ["KURSWERK_SCREENSHOTS"]) if "KURSWERK_SCREENSHOTS" in os.environ else None
# Training and certificate, on a busy machine and with kernels to compile first.
MOST_WORK_S = 300
PAGES = ("", "/data", "/models", "/new", "/test", "/compare", "/jobs", "/live", "/system")


@pytest.fixture
def service() -> Iterator[str]:
    """A service on an empty database."""
    with data_directory() as folder, served(folder, "serve") as running:
        yield running.url


@pytest.fixture
def browser() -> Iterator[object]:
    """The browser."""
    with chromium() as found:
        yield found


@pytest.fixture
def seen(browser, service) -> Iterator[Visit]:
    """A reader who goes through all of it, in English."""
    with visit(browser, service) as reader:
        yield reader


def wait_for_job(reader: Visit, title: str) -> None:
    """Wait until the newest job of this title is done."""
    card = reader.page.locator("#jobs-list .mantine-Paper-root", has_text=title).first
    card.locator(".mantine-Badge-root", has_text="done").wait_for(state="visible", timeout=MOST_WORK_S * 1000)


def an_empty_installation_explains_and_fills_itself(seen):
    seen.go("/dashboard")
    seen.see("Welcome. There are no market data yet.")
    seen.shot(PICTURES, "welcome")
    for page in PAGES[1:]:
        seen.go(f"/dashboard{page}")
    seen.go("/dashboard/nowhere")
    seen.see("There is no such page")
    seen.go("/dashboard")
    seen.press("Simulate a market")
    seen.see("Next: train a first model", 120)
    seen.go("/dashboard/data")
    seen.see("1 to 25 of 60")
    assert seen.troubles == []


def wrong_input_is_shown_while_typing(seen):
    seen.go("/dashboard/new")
    seen.see("All fields are valid.")
    seen.see("positive in")
    seen.page.locator("#spec-name").fill("")
    seen.see("Please correct")
    assert seen.page.locator("#spec-order").is_disabled()
    seen.page.locator("#spec-name").fill("first")
    seen.see("All fields are valid.")
    seen.page.locator("#spec-indicators").fill("rsy_14")
    seen.page.keyboard.press("Enter")
    seen.see("did you mean 'rsi_14'?")
    assert seen.troubles == []


def order_model(seen: Visit, name: str, kind: str | None = None) -> None:
    seen.go("/dashboard/new")
    seen.see("All fields are valid.")
    seen.page.locator("#spec-name").fill(name)
    if kind:
        seen.page.locator("#spec-model_type").click()
        seen.page.get_by_role("option", name=kind).click()
    seen.press("Advanced settings")
    seen.page.locator("#spec-n_estimators").fill("20")
    seen.page.locator("#spec-json", has_text='"n_estimators": 20').wait_for()
    seen.page.locator("#spec-json", has_text=f'"name": "{name}"').wait_for()
    seen.see("positive in")
    seen.page.locator("#spec-order:not([disabled])").click()
    seen.page.wait_for_url("**/dashboard/jobs")


def a_model_is_made(seen):
    order_model(seen, "first")
    seen.see("Training of first")
    seen.shot(PICTURES, "jobs")
    order_model(seen, "second", "Random forest")
    wait_for_job(seen, "Training of first")
    wait_for_job(seen, "Training of second")
    seen.go("/dashboard/models")
    seen.follow("first")
    seen.see("Evaluation")
    seen.see("Metrics against baselines")
    assert seen.troubles == []


def the_threshold_moves_the_metrics_at_once(seen):
    seen.go("/dashboard/models/1")
    predicted = seen.page.locator("#threshold-predicted_positives")
    before = predicted.inner_text()
    seen.page.get_by_role("slider").focus()
    for _ in range(20):
        seen.page.keyboard.press("ArrowLeft")
    seen.page.wait_for_function(
        "before => document.querySelector('#threshold-predicted_positives').innerText !== before", arg=before
    )
    assert int(predicted.inner_text().replace(",", "")) > int(before.replace(",", ""))
    assert "threshold=30" in seen.page.url
    seen.page.reload()
    seen.page.get_by_role("slider").wait_for()
    assert seen.page.get_by_role("slider").get_attribute("aria-valuenow") == "30"
    assert seen.troubles == []


def it_is_tested_and_compared_in_words(seen):
    seen.go("/dashboard/test?models=1")
    seen.see("The period lies outside of the training.")
    seen.page.locator("#test-costs").click()
    seen.page.get_by_role("option", name="pump.fun:").click()
    seen.press("Start the test")
    seen.page.wait_for_url("**/dashboard/jobs")
    wait_for_job(seen, "Test of first")
    seen.follow("See the result")
    seen.see("Evaluation")
    seen.see("Returns after costs on each side: fee 1%, 0.0005 fixed, stake 0.5 with price impact.")
    seen.go("/dashboard/models/1")
    seen.see("Simulated trades")
    seen.page.wait_for_timeout(1500)
    seen.shot(PICTURES, "model")
    seen.go("/dashboard/compare?a=1&b=2")
    seen.see("The period lies outside of both trainings.")
    seen.press("Compare them")
    seen.page.wait_for_url("**/dashboard/jobs")
    wait_for_job(seen, "Comparison of first with second")
    seen.follow("See the result")
    seen.see("Side by side")
    assert re.search(r"may be chance|significant|from chance|neither ranking", seen.page.inner_text("#page"))
    seen.page.wait_for_timeout(1500)
    seen.shot(PICTURES, "compare")
    assert seen.troubles == []


def a_job_that_cannot_succeed_is_refused_or_shows_why(seen):
    seen.go("/dashboard/new")
    seen.see("All fields are valid.")
    seen.page.locator("#spec-name").fill("hopeless")
    seen.page.locator("#spec-min_percent_change").fill("1000000")
    seen.see("So lopsided")
    seen.page.locator("#spec-order:not([disabled])").click()
    seen.page.wait_for_url("**/dashboard/jobs")
    seen.see("Why it failed", MOST_WORK_S)
    seen.see("choose another target, a longer period or more coins")
    seen.press("Try again")
    seen.see("In the queue again")
    assert seen.troubles == []


def predictions_and_alerts_arrive_by_themselves(seen, browser, service):
    seen.go("/dashboard/live")
    seen.see("connected")
    seen.page.get_by_label("Alert threshold of first in percent").fill("0")
    seen.see("first raises alerts from 0%.")
    seen.press("New rule")
    seen.page.locator("#rule-name").fill("keep all")
    seen.page.locator("#rule-channel").click()
    seen.page.get_by_role("option", name="Only kept here").click()
    seen.press("Create the rule")
    seen.see("1 of: all active models · from each model's own threshold · only kept here")
    seen.page.locator("#rule-make").wait_for(state="hidden")
    seen.page.get_by_role("switch", name="first predicts").click(force=True)
    seen.see("Activated")
    with visit(browser, service) as other:
        other.go("/dashboard/data?open=ingest")
        other.page.locator("#simulate-coins").fill("3")
        other.page.locator("#simulate-hours").fill("2")
        other.page.locator("#simulate-seed").fill("77")
        other.press("Simulate a market")
        other.see("Market data stored", 120)
        assert other.troubles == []
    seen.page.locator("#live-table .ag-row").first.wait_for(timeout=MOST_WORK_S * 1000)
    seen.page.locator("#live-alerts .ag-row").first.wait_for(timeout=60_000)
    seen.shot(PICTURES, "live")
    seen.press("Delivery history")
    seen.page.locator("#rule-deliveries .ag-row", has_text="sent").first.wait_for(timeout=60_000)
    seen.page.keyboard.press("Escape")
    seen.page.locator("#rule-again").wait_for(state="hidden")
    seen.page.get_by_role("switch", name="Pause").click(force=True)
    seen.see("paused")
    seen.go("/dashboard")
    seen.see("Strongest predictions now")
    seen.page.locator("#overview-content td").first.wait_for()
    seen.shot(PICTURES, "overview")
    assert seen.troubles == []


def a_coin_shows_its_predictions_and_the_features_behind_a_point(seen):
    seen.go("/dashboard/live")
    seen.page.locator("#live-table .ag-row a").first.click()
    seen.see("Price, volume and phases")
    seen.page.locator("#instrument-chart .nsewdrag").first.wait_for()
    seen.page.wait_for_timeout(1000)
    box = seen.page.locator("#instrument-chart .nsewdrag").first.bounding_box()
    seen.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    seen.see("The most important of")
    seen.shot(PICTURES, "coin")
    assert seen.troubles == []


def every_page_fits_in_every_language(browser, service, width, language):
    german = language == "de-DE"
    with visit(browser, service, language=language, width=width, dark=german) as reader:
        for page in (*PAGES, "/models/1", "/compare?comparison=1"):
            reader.go(f"/dashboard{page}")
            reader.page.wait_for_timeout(400)
            assert reader.too_wide_by <= 0, page
            assert reader.page.evaluate("document.documentElement.lang") == language[:2]
            kept = page.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "overview"
            if PICTURES is not None and (german or width == 390):
                reader.shot(PICTURES, f"{kept}-{language[:2]}-{width}")
        assert reader.troubles == []


def language_and_colours_are_chosen_and_kept(browser, service):
    with visit(browser, service) as reader:
        reader.go("/dashboard/models")
        reader.page.get_by_text("DE", exact=True).click()
        reader.see("Neues Modell")
        reader.page.get_by_role("button", name="Dunkle Farben").click()
        reader.page.get_by_role("button", name="Helle Farben").wait_for()
        reader.go("/dashboard/system")
        reader.see("Geltende Einstellungen")
        assert reader.page.evaluate("document.documentElement.dataset.mantineColorScheme") == "dark"
        assert reader.troubles == []


def deleting_asks_first(seen):
    seen.go("/dashboard/models/2")
    seen.press("Delete")
    seen.see("Are you sure?")
    seen.press("Keep")
    seen.page.get_by_text("Are you sure?").wait_for(state="hidden")
    seen.press("Delete")
    seen.see("Are you sure?")
    seen.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    seen.page.wait_for_url("**/dashboard/models")
    seen.go("/dashboard/models/2")
    seen.see("unknown model")
    assert seen.troubles == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_the_way_from_an_empty_installation_to_live_predictions(seen, browser, service):
    an_empty_installation_explains_and_fills_itself(seen)
    wrong_input_is_shown_while_typing(seen)
    a_model_is_made(seen)
    the_threshold_moves_the_metrics_at_once(seen)
    it_is_tested_and_compared_in_words(seen)
    a_job_that_cannot_succeed_is_refused_or_shows_why(seen)
    predictions_and_alerts_arrive_by_themselves(seen, browser, service)
    a_coin_shows_its_predictions_and_the_features_behind_a_point(seen)
    for language in ("en-GB", "de-DE"):
        for width in (390, 1920):
            every_page_fits_in_every_language(browser, service, width, language)
    language_and_colours_are_chosen_and_kept(browser, service)
    deleting_asks_first(seen)
