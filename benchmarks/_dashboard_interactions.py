"""Interactions of a person with the dashboard, and how long their effect takes to be seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

from benchmarks._browser import Wanted, effect_ms, frames_ms, opened
from benchmarks._dashboard_data import LONG_CHART

Step = Callable[[Any], None]

_MODELS: Final = Wanted("/dashboard/models", ("#models-table .ag-row a",))
_MODEL: Final = Wanted("/dashboard/models/1", ("#threshold-predicted_positives",))
_LIVE: Final = Wanted("/dashboard/live", ("#live-table .ag-row",))
_COIN: Final = Wanted(f"/dashboard/data/{LONG_CHART}", ("#instrument-chart .main-svg",), 1)
_ROWS: Final = "[...document.querySelectorAll('#models-table .ag-row')].map((row) => row.innerText).join()"
_ORDER: Final = f"[{_ROWS}, document.querySelector('#models-table [col-id=f1]').getAttribute('aria-sort')]"
_FIRST_CANDLE: Final = "document.querySelector('#instrument-chart .js-plotly-plot').data[0].x[0]"
_SPAN: Final = "document.querySelector('#instrument-chart .js-plotly-plot')._fullLayout.xaxis.range.join()"
_PAUSE_MS: Final = 400


@dataclass(frozen=True)
class Interaction:
    """Something a reader does over and over.

    Attributes
    ----------
    on
        The page.
    steps
        Done in turn; each has an effect.
    state
        JavaScript; what it gives changes when the effect is there.
    """

    name: str
    on: Wanted
    steps: tuple[Step, ...]
    state: str


def _press(key: str, at: str) -> Step:
    return lambda page: page.locator(at).first.press(key)


def _click(at: str, **how: Any) -> Step:
    return lambda page: page.locator(at).first.click(**how)


def _choose(name: str) -> Step:
    def step(page: Any) -> None:
        page.locator("#live-model").click()
        page.get_by_role("option", name=name, exact=True).click()

    return step


_TITLE_SEEN: Final = (
    "document.querySelector('#page.kw-loading-page') ? document.querySelector('#page').dataset.title"
    " : document.querySelector('#page h1').innerText"
)
_PAGES: Final = tuple(
    _click(f"nav a:has-text('{name}')") for name in ("Jobs", "Models", "Live", "Overview", "System", "Data")
)


def _turn(by: int) -> Step:
    """Turn the wheel in the middle of the chart."""

    def step(page: Any) -> None:
        page.mouse.move(*_within(page, 0.5))
        page.mouse.wheel(0, by)

    return step


def _frame(page: Any) -> None:
    """Draw a frame around a fifth of the chart, which zooms."""
    _pull(page, 0.4, 0.6)


def _double_click(page: Any) -> None:
    page.mouse.dblclick(*_within(page, 0.5))


def _pull(page: Any, start: float, end: float, *, axis: bool = False) -> None:
    """Draw the mouse from one share of the chart's width to another; on its axis of time that pans."""
    page.mouse.move(*_within(page, start, axis=axis))
    page.mouse.down()
    page.mouse.move(*_within(page, end, axis=axis), steps=20)
    page.mouse.up()


def _within(page: Any, share: float, *, axis: bool = False) -> tuple[float, float]:
    box = page.locator("#instrument-chart .ewdrag" if axis else "#instrument-chart .nsewdrag").first.bounding_box()
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


INTERACTIONS: Final = (
    Interaction(
        "models sorted", _MODELS, (_click("#models-table .ag-header-cell[col-id=f1] .ag-header-cell-text"),), _ORDER
    ),
    Interaction(
        "models searched, a key", _MODELS, (_press("q", "#models-search"), _press("Backspace", "#models-search")), _ROWS
    ),
    Interaction(
        "models filtered by status",
        _MODELS,
        tuple(_click(f"#models-status label:has-text('{word}')") for word in ("failed", "ready", "failed", "all")),
        "document.querySelectorAll('#models-table .ag-row').length > 0",
    ),
    Interaction(
        "threshold moved",
        _MODEL,
        (_press("ArrowLeft", "[role=slider]"), _press("ArrowRight", "[role=slider]")),
        "document.querySelector('#threshold-predicted_positives').innerText",
    ),
    Interaction(
        "tab of a model opened",
        _MODEL,
        tuple(_click(f"[role=tab]:has-text('{word}')") for word in ("Specification", "Tests", "Live")),
        "document.querySelector('#page').textContent.length",
    ),
    Interaction(
        "dialog opened or closed",
        _MODEL,
        (_click("button:has-text('Delete')"), lambda page: page.keyboard.press("Escape")),
        "!!document.querySelector('[role=dialog]')",
    ),
    Interaction(
        "live filtered by model",
        _LIVE,
        tuple(_choose(f"forest-{k:02d}") for k in (1, 2, 3)),
        "document.querySelector('#live-table .ag-row [col-id=model]').innerText",
    ),
    Interaction(
        "live paused", _LIVE, (_click("#live-pause", force=True),), "document.querySelector('#live-state').innerText"
    ),
    Interaction("page changed, its name and shape", _MODELS, _PAGES, _TITLE_SEEN),
    Interaction("page changed, its content", _MODELS, _PAGES, "(document.querySelector('#page h1') || {}).innerText"),
    Interaction("chart zoomed by wheel", _COIN, (_turn(-100), _turn(100)), _SPAN),
    Interaction("chart zoomed by a frame", _COIN, (_frame, _double_click), _SPAN),
    Interaction("chart zoomed, finer candles", _COIN, (_frame, _double_click), _FIRST_CANDLE),
)


def times_ms(browser: Any, url: str, interaction: Interaction, times: int) -> Sequence[float]:
    """Return how long each of so many repetitions took, after one that is not counted."""
    with opened(browser, url, interaction.on) as page:
        page.wait_for_timeout(_PAUSE_MS)
        found = []
        for step in islice(cycle(interaction.steps), times + 1):
            found.append(effect_ms(page, interaction.state, lambda step=step: step(page)))
            page.wait_for_timeout(_PAUSE_MS)
    return found[1:]


def smoothness_ms(browser: Any, url: str) -> Sequence[float]:
    """Return how long each frame took while the long chart is dragged back and forth, close up."""
    with opened(browser, url, _COIN) as page:
        effect_ms(page, _FIRST_CANDLE, lambda: _frame(page))
        frames: list[float] = []
        for start, end in ((0.4, 0.6), (0.6, 0.4), (0.5, 0.6)):
            page.wait_for_timeout(_PAUSE_MS)
            before = page.evaluate(_SPAN)
            frames += frames_ms(page, lambda start=start, end=end: _pull(page, start, end, axis=True))
            if page.evaluate(_SPAN) == before:
                raise RuntimeError("the chart did not follow the mouse")
    return frames
