"""What Live sends a reader: nothing of a wish that a newer one has replaced."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dash
import pytest

from kurswerk.dashboard import Options, Services
from kurswerk.dashboard._kit import Kit
from kurswerk.dashboard._live_feed import _follow
from kurswerk.dashboard._view import View
from kurswerk.market import Panel
from memory_dashboard import Registry, services_over


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(dash, "set_props", lambda name, props: found.append((name, props)))
    return found


@pytest.fixture
def services(panel: Panel, registry: Registry) -> Services:
    return services_over(panel, registry)


def follow(services: Services, wanted: Iterator[bool]) -> None:
    """Follow all predictions while that is wanted."""
    known = services.live.found[-1]

    async def stream():
        yield [known]
        yield [replace(known, id=77, coin_id="LATER", alert=True)]

    kit = Kit(app=None, services=services, options=Options())
    asyncio.run(_follow(kit, View(), {}, stream(), lambda: next(wanted)))


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
