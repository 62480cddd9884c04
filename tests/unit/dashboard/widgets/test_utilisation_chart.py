"""What machine and service did, drawn over time."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.dashboard import MinuteCount
from kurswerk.dashboard.widgets.utilisation_chart import TIME_SPANS, utilisation_chart
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel
from memory_dashboard import SAMPLES, WHEN, Browser, Registry, services_over

# Of a day and an hour, one every minute.
DAY = [replace(SAMPLES[0], moment=WHEN + timedelta(minutes=k), uptime_s=60.0 * k) for k in range(1500)]
# Of the minutes before the first measurement, and those after it.
COUNTS = [MinuteCount(WHEN + timedelta(minutes=k), 10 * (k + 5)) for k in range(-5, 40)]


def lines(count: int, minutes: int) -> dict[str, list[float | None]]:
    return {line.name: list(line.y) for line in utilisation_chart(UserContext(), SAMPLES[:count], COUNTS, minutes).data}


@given(st.integers(2, len(SAMPLES)), st.sampled_from(sorted(TIME_SPANS)))
def test_what_is_even_stays_even_however_much_is_shown(count: int, minutes: int):
    found = lines(count, minutes)
    assert set(found["processor"]) == {0.5}
    assert set(found["memory"]) == {0.25}
    assert found["API calls per minute"] == pytest.approx([60.0] * len(found["disk"]))
    since = max(WHEN, SAMPLES[count - 1].moment - timedelta(minutes=minutes))
    assert found["Predictions per minute"] == [one.predictions for one in COUNTS if one.minute >= since]
    assert 1 <= len(found["disk"]) <= 180


@pytest.mark.parametrize("minutes", sorted(TIME_SPANS))
def test_as_far_back_as_chosen_is_shown(panel: Panel, registry: Registry, minutes: int):
    browser = Browser(services_over(panel, registry, resource_samples=lambda: DAY))
    answer = browser.fire("system-load.figure", {"system-span.value": str(minutes)}, "system-span.value")
    oldest, newest = answer["response"]["system-load"]["figure"]["layout"]["xaxis"]["range"]
    assert newest == f"{DAY[-1].moment:%Y-%m-%d %H:%M:%S}"
    back = DAY[-1].moment - WHEN.fromisoformat(f"{oldest}+00:00")
    assert timedelta(0) <= timedelta(minutes=minutes) - back <= timedelta(minutes=minutes / 100)


def test_no_rate_is_shown_where_counting_began_anew():
    anew = replace(SAMPLES[3], requests=0.0, predictions=0.0)  # by a process that ended
    found = {
        line.name: list(line.y)
        for line in utilisation_chart(UserContext(), [*SAMPLES[:3], anew, *SAMPLES[4:6]], [], 60).data
    }
    assert found["API calls per minute"] == pytest.approx([60.0, 60.0, None, 240.0, 60.0])


@pytest.mark.parametrize("set_s", [-3600, -5, 0, 3600])
def test_rates_do_not_follow_a_clock_that_is_set(set_s: int):
    later = [replace(one, moment=one.moment + timedelta(seconds=set_s)) for one in SAMPLES[3:6]]
    found = {
        line.name: list(line.y) for line in utilisation_chart(UserContext(), [*SAMPLES[:3], *later], [], 1440).data
    }
    assert set(found["API calls per minute"]) == {60.0}


@pytest.mark.parametrize(("count", "waits"), [(0, True), (1, False)])
def test_before_the_first_measurement_the_page_states_that(panel: Panel, registry: Registry, count: int, waits: bool):
    browser = Browser(services_over(panel, registry, resource_samples=lambda: SAMPLES[:count]))
    assert ("The first measurement is taken" in browser.open("/system")) == waits


def test_the_address_keeps_how_far_back(browser: Browser):
    assert '"value": "1440"' in browser.open("/system", "?minutes=1440")
    assert '"value": "60"' in browser.open("/system", "?minutes=soon")


def test_overview_and_system_state_the_same_rate_and_its_window(panel: Panel, registry: Registry):
    """The predictor has just begun: of an hour there are five minutes."""
    services = services_over(panel, registry)
    services.live.minute_counts = lambda minutes: [
        MinuteCount(WHEN + timedelta(minutes=k), 1234 if k >= minutes - 5 else 0) for k in range(minutes)
    ]
    browser = Browser(services)
    for page in ("", "/system"):
        text = browser.open(page)
        assert "1,234.0" in text.partition("mean of the last 5 full minutes")[0][-2000:]
        assert text.count("mean of the last 5 full minutes") == 1
