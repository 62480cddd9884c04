"""How numbers and times are written, and what a reader has chosen."""

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from plotly import graph_objects as go

from kurswerk.dashboard._components import localise
from kurswerk.dashboard._memory import Memory
from kurswerk.dashboard._view import View, view_of
from waiting import until


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ("en", "UTC", False)),
        ({"accept-language": "fr,de;q=0.8"}, ("de", "UTC", False)),
        (
            {"cookie": "kw_language=en; kw_zone=Europe%2FBerlin; kw_scheme=dark", "accept-language": "de"},
            ("en", "Europe/Berlin", True),
        ),
        ({"cookie": "kw_zone=No/Where; kw_language=xx"}, ("en", "UTC", False)),
        ({"cookie": "kw_system=dark"}, ("en", "UTC", True)),
        ({"cookie": "kw_system=dark; kw_scheme=light"}, ("en", "UTC", False)),
    ],
)
def test_choices_come_from_cookies_then_from_the_browser(headers, expected):
    view = view_of(headers)
    assert (view.language, view.time_zone, view.dark) == expected


def test_sizes_durations_and_moments():
    view = View(language="de")
    assert [view.size(n) for n in (None, 12, 1500, 2.5e6, 3e9, 4e12)] == [
        "–",
        "12 B",
        "1,5 kB",
        "2,5 MB",
        "3,0 GB",
        "4,0 TB",
    ]
    assert [view.duration(s) for s in (None, 3.21, 42, 90_000)] == ["–", "3,2 s", "42 s", "1 d 1 h"]
    assert view.ago(datetime.now(UTC) - timedelta(hours=2)).startswith("vor 2 h")
    assert (view.ago(None), view.moment(None), view.moment_us(None)) == ("–", "–", "–")
    assert view.moment_us(0) == "01.01.1970, 00:00"
    assert (view.signed(1.5), view.signed(-1.5), view.signed(None)) == ("+1,50", "−1,50", "–")
    assert view.from_local("2024-01-01 02:00:00") == datetime(2024, 1, 1, 2, tzinfo=UTC)


def test_scopes_hold_what_is_below_them():
    assert View(scopes=frozenset({"admin"})).may("train")
    assert not View(scopes=frozenset({"read"})).may("train")


def test_memory_forgets_the_oldest_and_what_is_stale():
    memory = Memory(most=2)
    assert [memory.get(key, lambda key=key: key) for key in "abc"] == ["a", "b", "c"]
    assert memory.get("a", lambda: "new") == "new"
    assert memory.get("c", lambda: "new") == "c"
    assert memory.get("c", lambda: "later", seconds=0) == "later"
    memory.forget()
    assert memory.get("c", lambda: "again") == "again"


def test_nobody_waits_where_an_older_answer_will_do():
    memory, begun, go = Memory(), Event(), Event()

    def ask() -> str:
        begun.set()
        assert go.wait(10)
        return "new"

    memory.get("a", lambda: "old")
    assert memory.get("a", ask, seconds=0, while_asking=60) == "old"
    assert begun.wait(10)
    assert memory.get("a", lambda: "nobody asks twice", seconds=0, while_asking=60) == "old"
    go.set()
    until(lambda: memory.get("a", lambda: "not needed") == "new")
    assert memory.get("a", lambda: "asked", seconds=0, while_asking=0) == "asked"


def test_an_answer_that_was_begun_before_forgetting_is_not_kept():
    memory = Memory()

    def ask() -> str:
        memory.forget()
        return "of before"

    assert memory.get("a", ask) == "of before"
    assert memory.get("a", lambda: "of now") == "of now"


def test_what_cannot_be_renewed_is_logged_and_asked_again(caplog):
    memory = Memory()
    memory.get("a", lambda: "old")
    assert memory.get("a", lambda: 1 // 0, seconds=0, while_asking=60) == "old"
    until(lambda: "could not be renewed" in caplog.text)
    assert memory.get("a", lambda: "asked", seconds=0) == "asked"


@pytest.mark.parametrize(
    ("x", "is_time"),
    [
        (["2024-01-01 10:00:00"], True),
        ([datetime(2024, 1, 1, tzinfo=UTC)], True),
        ([0.2, 0.6], False),
        (["a", "b"], False),
        ([], False),
    ],
)
def test_only_axes_of_time_get_forms_of_dates(x, is_time):
    drawing = go.Figure(go.Scatter(x=x, y=x))
    drawing.add_scatter(x=[0.6], y=[1], xaxis="x2")
    localise(View(language="de"), drawing)
    assert drawing.layout.separators == ",."
    assert bool(drawing.layout.xaxis.tickformatstops) is is_time
    assert (drawing.layout.xaxis.hoverformat is not None) is is_time
    assert "xaxis2" not in drawing.layout
