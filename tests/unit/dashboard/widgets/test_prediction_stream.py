"""What Live sends an open page: nothing of a filter that a newer one has replaced, and nothing twice."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace
from typing import Any

import dash
import pytest

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.dashboard import Alert, DashboardOptions, DashboardServices, PredictionBatch
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets import prediction_stream
from kurswerk.dashboard.widgets.prediction_stream import _Page, _stream_with_retries
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel
from kurswerk.market.watchlists import WatchedInstrument
from memory_dashboard import WHEN, Registry, services_over


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(dash, "set_props", lambda name, props: found.append((name, props)))
    return found


@pytest.fixture
def services(panel: Panel, registry: Registry) -> DashboardServices:
    return services_over(panel, registry)


def batches(services: DashboardServices) -> list[PredictionBatch]:
    """Nothing, a prediction that is known already, and one that raises an alert."""
    known = services.live.found[-1]
    later = replace(known, id=77, coin_id="LATER", alert=True)
    return [
        PredictionBatch(),
        PredictionBatch([known]),
        PredictionBatch(),
        PredictionBatch([known, later], [Alert(5, "LATER", 1, 0.9, 0.7, WHEN, sent=False)], skipped=1200),
    ]


def a_page(services: DashboardServices, wanted: Callable[[], bool], unsent: Callable[[], int] = lambda: 0) -> _Page:
    app = DashboardApp(dash_app=None, services=services, options=DashboardOptions())
    return _Page(app, UserContext(), services.live, {}, wanted, unsent)


def stream_of(found: list[PredictionBatch]) -> Callable[..., AsyncGenerator[PredictionBatch, None]]:
    async def stream(**_: Any) -> AsyncGenerator[PredictionBatch, None]:
        for one in found:
            yield one

    return stream


def follow(services: DashboardServices, wanted: Iterator[bool]) -> None:
    """Follow all predictions while that is wanted."""
    services.live.stream = stream_of(batches(services))
    asyncio.run(a_page(services, lambda: next(wanted)).stream())


FIRST = ["live-table", "live-state", "live-new-alerts"]
SECOND = ["live-table", "live-new-alerts", "live-skipped"]


@pytest.mark.parametrize(
    ("asked", "expected"), [(0, []), (1, FIRST), (2, FIRST), (3, FIRST), (5, FIRST), (7, FIRST), (99, FIRST + SECOND)]
)
def test_nothing_is_sent_once_the_filter_is_another(services, sent, asked, expected):
    follow(services, iter([True] * asked + [False] * 99))
    assert [name for name, _ in sent] == expected


def test_rows_that_stand_there_already_are_not_sent_again_and_alerts_only_once(services, sent):
    follow(services, iter([True] * 99))
    (rows,) = [props["rowTransaction"]["add"] for _, props in sent if "rowTransaction" in props]
    assert [row["coin"] for row in rows] == ["LATER"]
    first, second = [props["data"] for name, props in sent if name == "live-new-alerts"]
    assert ([row["coin"] for row in first], [row["id"] for row in second]) == (["COIN0"], ["5"])
    (skipped,) = [props["children"] for name, props in sent if name == "live-skipped"]
    assert skipped.startswith("1,200 skipped")


def test_a_browser_that_takes_nothing_gets_nothing_more_until_it_does(services, sent):
    services.live.stream = stream_of(batches(services))
    waiting = iter([9, 9, 0, 0])
    seen: list[int] = []

    def unsent() -> int:
        seen.append(next(waiting))
        assert [name for name, _ in sent] == FIRST
        return seen[-1]

    page = a_page(services, lambda: True, unsent)
    services.live.stream = stream_of([*batches(services)[:1], *batches(services)[3:]])
    asyncio.run(page.stream())
    assert seen == [9, 9, 0]
    assert [name for name, _ in sent] == FIRST + SECOND


def test_a_page_outlives_an_outage_and_leaves_it_to_the_feed_to_log_it(services, sent, monkeypatch, caplog):
    monkeypatch.setattr(prediction_stream, "_RETRY_S", 0.0)
    failures = iter(
        [DatabaseUnavailableError("database.predictions_lost", reason="gone"), RuntimeError("odd"), RuntimeError("odd")]
    )
    whole = stream_of(batches(services))

    def stream(**options: Any) -> AsyncGenerator[PredictionBatch, None]:
        for error in failures:
            raise error
        return whole(**options)

    services.live.stream = stream
    with caplog.at_level(logging.INFO, prediction_stream.__name__):
        asyncio.run(_stream_with_retries(a_page(services, lambda: True)))
    assert [props["children"] for name, props in sent if name == "live-state"] == [
        *["interrupted; reconnecting"] * 3,
        "connected",
    ]
    assert [(one.levelname, str(one.exc_info[1])) for one in caplog.records] == [("ERROR", "odd")]


def test_a_page_with_a_watchlist_is_sent_what_is_on_it_alone(services, sent):
    services.watchlists.create(
        "none of them", [WatchedInstrument("coins", "GONE"), WatchedInstrument("stocks", "COIN0")]
    )
    asked = []
    whole = stream_of(batches(services))

    def stream(**options: Any) -> AsyncGenerator[PredictionBatch, None]:
        asked.append(options["coin_ids"])
        return whole(**options)

    services.live.stream = stream
    app = DashboardApp(None, services, DashboardOptions())
    page = _Page(app, UserContext(), services.live, {"watchlist": "1"}, lambda: True, lambda: 0)
    asyncio.run(page.stream())
    assert asked == [frozenset({"GONE", "COIN0"})]
    rows = [props["rowTransaction"]["add"] for _, props in sent if "rowTransaction" in props]
    rows += [props["rowData"] for _, props in sent if "rowData" in props]
    assert not any(rows)
