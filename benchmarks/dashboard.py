"""The dashboard in a real browser: first paint of every page, interactions, and a live page's memory."""

import multiprocessing
import os
import re
import socket
import statistics
import subprocess  # the server it measures  # nosec B404
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks._browser import Paint, Wanted, heap_bytes, opened, paint_of, reader
from benchmarks._coin_rows import own_database
from benchmarks._dashboard_data import LONG_CHART, fill_dashboard, store_predictions
from benchmarks._dashboard_interactions import INTERACTIONS, Interaction, smoothness_ms, times_ms
from benchmarks._dashboard_peer import PEERS, peer_app
from benchmarks.api import _serve
from kurswerk.storage.server import Database

_MOST_PAINT_S, _MOST_INTERACTION_S, _MOST_GROWTH, _MOST_FRAME_S = 1.5, 0.2, 50 << 20, 0.1
_MIB: Final = 1 << 20
_MOST_START_S: Final = 120.0
_RATE: Final = 20
_PAGES: Final = {
    "overview": (Wanted("/dashboard", ("#page h1", "#overview-content .kw-stats", "#overview-content td")), "text"),
    "data": (Wanted("/dashboard/data", ("#page h1", "#data-content .kw-stats"), 1), "chart"),
    "coin": (Wanted(f"/dashboard/data/{LONG_CHART}", ("#page h1", "#page .kw-stats"), 1), "chart"),
    "models": (Wanted("/dashboard/models", ("#page h1", "#models-table .ag-row a")), "table"),
    "new model": (Wanted("/dashboard/new", ("#page h1", "#spec-name")), "text"),
    "model": (Wanted("/dashboard/models/1", ("#page h1", "#page .kw-stats", "#threshold-predicted_positives")), "text"),
    "test": (Wanted("/dashboard/test", ("#page h1", "#page .mantine-Paper-root"), 1), "chart"),
    "compare": (Wanted("/dashboard/compare?comparison=1", ("#page h1", "#page .kw-table td"), 1), "chart"),
    "jobs": (Wanted("/dashboard/jobs", ("#page h1", "#jobs-list .mantine-Paper-root")), "text"),
    "live": (Wanted("/dashboard/live", ("#page h1", "#live-table .ag-row", "#live-rules input")), "table"),
    "system": (Wanted("/dashboard/system", ("#page h1", "#system-now .kw-stats"), 1), "chart"),
}


def run(
    *, coins: int = 200, models: int = 20, visits: int = 5, times: int = 7, live_seconds: float = 30.0
) -> list[dict[str, Any]]:
    """Measure the pages as a returning reader finds them, beside the smallest pages of the same libraries.

    Parameters
    ----------
    coins, models
        How many of the demo.
    visits
        Of each page, after two that fill the browser's cache; the median counts.
    times
        Repetitions of each interaction; the median counts, the worst is reported.
    live_seconds
        For how long 20 predictions a second are watched; 600 is what was demanded.

    Returns
    -------
    list of dict
        Entries with ``name, ours_s, peer, peer_s, ratio, at_least, note``; ``ours_s`` of memory is bytes.

    Raises
    ------
    InvalidInputError
        Where Playwright or Chromium is missing.
    """
    with own_database() as (database, folder), reader(folder / "profile") as browser:
        ids = fill_dashboard(database, folder, coins=coins, models=models)
        with served(database, folder) as ours:
            entries = paints(browser, ours, visits)
            entries += [
                _entry_of(interaction, times_ms(browser, ours, interaction, times)) for interaction in INTERACTIONS
            ]
            entries.append(_of_frames(smoothness_ms(browser, ours)))
            entries.append(live_memory(browser, ours, database, ids, live_seconds))
    return entries


def paints(browser: Any, url: str, visits: int) -> list[dict[str, Any]]:
    """Measure every page, each in turn with its peer."""
    with _peers() as peers:
        found = []
        for name, (wanted, kind) in _PAGES.items():
            mine, theirs = [], []
            for _ in range(visits + 2):
                mine.append(paint_of(browser, url, wanted))
                theirs.append(paint_of(browser, peers, PEERS[kind]))
            found.append(_of_paint(name, mine[2:], kind, theirs[2:]))
    return found


def _of_paint(name: str, mine: Sequence[Paint], kind: str, theirs: Sequence[Paint]) -> dict[str, Any]:
    def median(found: Sequence[Paint], part: str) -> float:
        return float(statistics.median(getattr(one, part) for one in found)) / 1000

    ours, peer = median(mine, "meaningful"), median(theirs, "meaningful")
    return {
        "name": f"dashboard, {name}", "ours_s": ours, "peer": f"smallest page with a {kind}", "peer_s": peer,
        "ratio": peer / ours, "at_least": None,
        "note": f"wanted < {_MOST_PAINT_S} s: largest paint {median(mine, 'largest'):.2f} s (“{mine[-1].words[:24]}”),"
        f" content {median(mine, 'content'):.2f} s, all charts {median(mine, 'drawn'):.2f} s"
        f" (peer {median(theirs, 'drawn'):.2f} s), worst {max(one.meaningful for one in mine) / 1000:.2f} s;"
        f" {_load()}",
    }  # fmt: skip


def _entry_of(interaction: Interaction, took_ms: Sequence[float]) -> dict[str, Any]:
    ours = statistics.median(took_ms) / 1000
    note = f"from the input to what it changes being painted; worst {max(took_ms):.0f} ms of {len(took_ms)}; {_load()}"
    return _bounded(f"dashboard, {interaction.name}", ours, ("200 ms", _MOST_INTERACTION_S), note)


def _of_frames(frames_ms: Sequence[float]) -> dict[str, Any]:
    late = sum(frame > 50 for frame in frames_ms)
    note = (
        f"longest frame while a chart of 100,000 candles is dragged; median {statistics.median(frames_ms):.0f} ms,"
        f" {late} of {len(frames_ms)} above 50 ms; {_load()}"
    )
    return _bounded("dashboard, chart dragged", max(frames_ms) / 1000, ("100 ms", _MOST_FRAME_S), note)


def _bounded(name: str, ours: float, bound: tuple[str, float], note: str) -> dict[str, Any]:
    return {
        "name": name, "ours_s": ours, "peer": bound[0], "peer_s": bound[1], "ratio": bound[1] / max(ours, 1e-9),
        "at_least": 1.0, "note": note,
    }  # fmt: skip


def live_memory(browser: Any, url: str, database: Database, ids: Sequence[int], seconds: float) -> dict[str, Any]:
    """Watch the live page while predictions come; return by how much what its scripts keep has grown."""
    with opened(browser, url, _PAGES["live"][0]) as page:
        session = page.context.new_cdp_session(page)
        page.get_by_text("connected").wait_for()
        before = heap_bytes(session)
        newest = page.locator("#live-table .ag-row").first.inner_text()
        writer = threading.Thread(target=stream, args=[database, ids, seconds])
        writer.start()
        while writer.is_alive():
            page.wait_for_timeout(500)
        page.wait_for_timeout(2000)
        if page.locator("#live-table .ag-row").first.inner_text() == newest:
            raise RuntimeError("no prediction arrived at the page")
        grown = heap_bytes(session) - before
    note = (
        f"growth of the live page's memory after collection, {_RATE} predictions/s for {seconds:,.0f} s:"
        f" {before / _MIB:.1f} MiB, then {grown / _MIB:+.1f} MiB"
    )
    return _bounded("dashboard, live memory", max(float(grown), 1.0), ("50 MiB", _MOST_GROWTH), note)


def stream(database: Database, ids: Sequence[int], seconds: float) -> None:
    """Store 20 predictions a second, two at a time; the moments are those of the clock."""
    started = time.time()
    pairs = list(zip(ids[::2], ids[1::2], strict=False))
    for k in range(int(seconds * _RATE / 2)):
        time.sleep(max(0.0, started + 2 * k / _RATE - time.time()))
        store_predictions(database, [f"live-{k % 50}"], pairs[k % len(pairs)], [0], int(time.time() * 1e6))


@contextmanager
def served(database: Database, folder: Path) -> Iterator[str]:
    """Run ``kurswerk serve``, as far as the dashboard needs it, in a process of its own and give its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KURSWERK_", "DB_"))}
    environment |= {"KURSWERK_DATABASE_URL": database.url, "KURSWERK_DATA_DIR": str(folder)}
    words = [sys.executable, "-m", "kurswerk", "serve", "--only", "dashboard", "--port", "0"]
    log = folder / "serve.log"
    with log.open("w") as written:
        process = subprocess.Popen(words, env=environment, stdout=written, stderr=written)  # noqa: S603  # nosec B603
        try:
            yield _announced(process, log)
        finally:
            process.terminate()
            process.wait()


def _announced(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _MOST_START_S
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"^  api +(http://\S+)$", log.read_text(), flags=re.MULTILINE):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start: {log.read_text()[-2000:]}")


@contextmanager
def _peers() -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = context.Process(target=_serve, args=(peer_app, listener), daemon=True)
        process.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            httpx.get(f"{url}{PEERS['text'].path}", timeout=_MOST_START_S).raise_for_status()
            yield url
        finally:
            process.terminate()
            process.join()


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"
