"""What a person sees while a market trades, drawn from a monitor of this test's."""

import asyncio
from collections import deque
from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from kurswerk.cli._live_screen import LiveScreen
from kurswerk.cli._prediction_monitor import Lags, Row

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
URLS = {"dashboard": "http://127.0.0.1:8000/dashboard", "docs": "http://127.0.0.1:8000/docs"}


def monitor(rows=(), alerts=(), p50=8.25):
    return SimpleNamespace(
        models={7: "demo-forest", 8: "demo-xgboost"},
        newest=deque(rows),
        alerts=alerts,
        n_rows=12,
        n_predictions=2400,
        n_alerts=3,
        n_waiting=1,
        waits_for="the first row",
        lags=lambda newest: Lags(2400, p50, 1520.0 if p50 else None),
    )


def screen(monitor, height=30, width=110):
    console = Console(file=StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    return LiveScreen(monitor, "a market", {7: 0.8, 8: 0.8}, URLS, console), console


def drawn(monitor_, **size):
    shown, console = screen(monitor_, **size)
    with console.capture() as captured:
        console.print(shown.view())
    return captured.get()


def test_before_the_first_row_it_shows_where_to_look_and_that_it_waits():
    text = drawn(monitor(p50=None))
    assert "Ctrl-C ends it" in text
    assert all(url in text for url in URLS.values())
    assert "waiting for the first row" in text
    assert "none so far" in text
    assert "INSERT to received: p50 –" in text


def test_rows_show_every_models_probability_and_how_long_it_took():
    rows = [Row(MOMENT, "AbCdEfGhIjKlMnOp", 2.5e-8, 0.0, {7: 0.25, 8: 0.875}, 0.0084)]
    rows += [Row(MOMENT, "QrStUvWxYz123456", 2.5e-8, 0.0, {7: 0.5})]
    alert = {"timestamp": MOMENT, "coin_id": "AbCdEfGhIjKlMnOp", "model_name": "demo-xgboost", "probability": 0.875}
    lines = drawn(monitor(rows, [alert | {"threshold": 0.8}])).splitlines()
    first = next(line for line in lines if "25.0 %" in line)
    assert all(text in first for text in ("03:04:05", "AbCdEfGhIjKl…", "2.500e-08", "██      ", "███████ ", "8.4 ms"))
    assert "…" in next(line for line in lines if "50.0 %" in line)
    assert any("from 80 % on" in line and "87.5 %" in line for line in lines)
    assert any("2,400" in line for line in lines)
    assert any("p50 8.2 ms   p99 1,520 ms" in line for line in lines)


@pytest.mark.parametrize(("height", "width"), [(24, 80), (30, 110), (60, 200)])
def test_it_fits_the_terminal(height, width):
    rows = [Row(MOMENT, f"coin number {k:010d}", 1.0, 0.0, {7: 0.9, 8: 0.1}, 0.01) for k in range(100)]
    alerts = [{"timestamp": MOMENT, "coin_id": "c" * 44, "model_name": "m", "probability": 0.9, "threshold": 0.8}] * 20
    lines = drawn(monitor(rows, alerts), height=height, width=width).splitlines()
    assert height - 4 <= len(lines) <= height
    assert max(map(len, lines)) <= width


def test_it_draws_until_it_is_stopped_and_leaves_the_terminal_as_it_was():
    shown, console = screen(monitor())

    async def look() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, stop.set)
        await asyncio.wait_for(shown.run(stop), 30)

    asyncio.run(look())
    text = console.file.getvalue()
    assert text.startswith("\x1b[?1049h")
    assert text.rstrip().endswith("\x1b[?25h\x1b[?1049l")
