"""What machine and service did, drawn over time."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.dashboard._load import SPANS, load_figure
from kurswerk.dashboard._view import View
from kurswerk.market import Panel
from memory_dashboard import LOADS, WHEN, Browser, Registry, services_over


def lines(count: int, minutes: int) -> dict[str, list[float | None]]:
    return {line.name: list(line.y) for line in load_figure(View(), LOADS[:count], minutes).data}


@given(st.integers(2, len(LOADS)), st.sampled_from(sorted(SPANS)))
def test_what_is_even_stays_even_however_much_is_shown(count: int, minutes: int):
    found = lines(count, minutes)
    assert set(found["processor"]) == {0.5}
    assert set(found["memory"]) == {0.25}
    assert found["API calls per minute"] == pytest.approx([60.0] * len(found["disk"]))
    assert found["Predictions per minute"] == pytest.approx([720.0] * len(found["disk"]))
    assert 1 <= len(found["disk"]) <= 180


@pytest.mark.parametrize(("minutes", "shown"), [(15, 15), (60, 399 * 5 / 60), (1440, 399 * 5 / 60)])
def test_as_far_back_as_wished_is_shown(minutes: int, shown: float):
    times = load_figure(View(), LOADS, minutes).layout.xaxis.range
    newest = LOADS[-1].moment
    assert times[1] == f"{newest:%Y-%m-%d %H:%M:%S}"
    oldest = newest - timedelta(minutes=shown)
    assert abs((WHEN.fromisoformat(f"{times[0]}+00:00") - oldest).total_seconds()) <= 60


def test_no_rate_is_told_where_counting_began_anew():
    anew = replace(LOADS[3], requests=0.0, predictions=0.0)
    found = {line.name: list(line.y) for line in load_figure(View(), [*LOADS[:3], anew, *LOADS[4:6]], 60).data}
    assert found["API calls per minute"] == pytest.approx([60.0, 60.0, None, 240.0, 60.0])


@pytest.mark.parametrize("count", [0, 1])
def test_before_there_is_a_stretch_the_page_says_so(panel: Panel, registry: Registry, count: int):
    browser = Browser(services_over(panel, registry, loads=lambda: LOADS[:count]))
    assert ("The first measurement is taken" in browser.open("/system")) == (count == 0)


def test_the_address_keeps_how_far_back(browser: Browser):
    assert '"value": "1440"' in browser.open("/system", "?minutes=1440")
    assert '"value": "60"' in browser.open("/system", "?minutes=soon")
