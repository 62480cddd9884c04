"""Formats of numbers and times, and the choices of a user."""

from datetime import UTC, datetime, timedelta

import pytest
from plotly import graph_objects as go

from kurswerk.dashboard.widgets.charts import localise_chart
from kurswerk.dashboard.words.user_context import UserContext, user_from_headers


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
    user = user_from_headers(headers)
    assert (user.language, user.time_zone, user.dark) == expected


def test_sizes_durations_and_moments():
    user = UserContext(language="de")
    assert [user.size(n) for n in (None, 12, 1500, 2.5e6, 3e9, 4e12)] == [
        "–",
        "12 Byte",
        "1,5 kB",
        "2,5 MB",
        "3,0 GB",
        "4,0 TB",
    ]
    assert [user.duration(s) for s in (None, 3.21, 42, 90_000)] == ["–", "3,2 Sek.", "42 Sek.", "1 Tg. 1 Std."]
    assert user.ago(datetime.now(UTC) - timedelta(hours=2)).startswith("vor 2 Std.")
    assert (user.ago(None), user.date_time(None), user.date_time_us(None)) == ("–", "–", "–")
    assert user.date_time_us(0) == "01.01.1970, 00:00"
    assert (user.signed(1.5), user.signed(-1.5), user.signed(None)) == ("+1,50", "−1,50", "–")
    assert user.from_local("2024-01-01 02:00:00") == datetime(2024, 1, 1, 2, tzinfo=UTC)


def test_scopes_hold_what_is_below_them():
    assert UserContext(scopes=frozenset({"admin"})).may("train")
    assert not UserContext(scopes=frozenset({"read"})).may("train")


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
    localise_chart(UserContext(language="de"), drawing)
    assert drawing.layout.separators == ",."
    assert bool(drawing.layout.xaxis.tickformatstops) is is_time
    assert (drawing.layout.xaxis.hoverformat is not None) is is_time
    assert "xaxis2" not in drawing.layout
