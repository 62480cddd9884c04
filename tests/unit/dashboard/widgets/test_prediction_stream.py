"""What Live sends a reader: nothing of a wish that a newer one has replaced."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dash
import pytest

from kurswerk.dashboard import DashboardOptions, DashboardServices
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.prediction_stream import _follow
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel
from memory_dashboard import Registry, services_over


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(dash, "set_props", lambda name, props: found.append((name, props)))
    return found


@pytest.fixture
def services(panel: Panel, registry: Registry) -> DashboardServices:
    return services_over(panel, registry)


def follow(services: DashboardServices, wanted: Iterator[bool]) -> None:
    """Follow all predictions while that is wanted."""
    known = services.live.found[-1]

    async def stream():
        yield [known]
        yield [replace(known, id=77, coin_id="LATER", alert=True)]

    app = DashboardApp(dash_app=None, services=services, options=DashboardOptions())
    asyncio.run(_follow(app, UserContext(), {}, stream(), lambda: next(wanted)))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([False], []),
        ([True, False], ["rowData", "children"]),
        ([True, True, False], ["rowData", "children"]),
        ([True, True, True, False], ["rowData", "children"]),
        ([True] * 4, ["rowData", "children", "rowTransaction", "data"]),
    ],
)
def test_nothing_is_sent_once_the_wish_is_another(services, sent, wanted, expected):
    follow(services, iter(wanted))
    assert [next(iter(props)) for _, props in sent] == expected


def test_what_was_among_the_newest_is_not_sent_again(services, sent):
    follow(services, iter([True] * 4))
    (rows,) = [props["rowTransaction"]["add"] for _, props in sent if "rowTransaction" in props]
    assert [row["coin"] for row in rows] == ["LATER"]
