"""A real browser: the machine's Chromium, and when what it shows has been painted."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kurswerk.core.errors import InvalidInputError

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_MOST_WAIT_MS: Final = 60_000
# What is there in a frame has been painted when a message sent in that frame arrives.
_WATCH: Final = """(() => {
  const wanted = __WANTED__;
  const seen = window.seen = {largest: 0, words: '', at: {}, input: 0, frames: []};
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
    seen.largest = entry.startTime;
    if (entry.element) seen.words = entry.element.textContent.slice(0, 60);
  })).observe({type: 'largest-contentful-paint', buffered: true});
  const when = (is_so, name) => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => { seen.at[name] = performance.now(); };
    const look = () => (is_so() ? port2.postMessage(0) : requestAnimationFrame(look));
    requestAnimationFrame(look);
  };
  const shown = (selector) => {
    const found = document.querySelector(selector);
    return !!found && found.getClientRects().length > 0;
  };
  when(() => wanted.content.every(shown), 'content');
  when(() => seen.at.content && document.querySelectorAll('.main-svg').length >= wanted.charts, 'drawn');
  for (const kind of ['pointerdown', 'pointerup', 'keydown', 'wheel']) {
    const note = (event) => { seen.input = event.timeStamp; };
    window.addEventListener(kind, note, {capture: true, passive: true});
  }
  // From the last input until what ``state`` returns is another.
  seen.arm = (state) => {
    const before = JSON.stringify(state());
    delete seen.at.effect;
    seen.input = 0;
    when(() => seen.input && JSON.stringify(state()) !== before, 'effect');
  };
  seen.film = () => {
    seen.frames = [];
    let last = performance.now();
    const step = (now) => {
      seen.frames.push(now - last);
      last = now;
      if (seen.filming) requestAnimationFrame(step);
    };
    seen.filming = true;
    requestAnimationFrame(step);
  };
})()"""


@dataclass(frozen=True)
class Wanted:
    """A page and what it is for: it has been shown when all of ``content`` and so many charts are painted."""

    path: str
    content: tuple[str, ...]
    charts: int = 0


@dataclass(frozen=True)
class Paint:
    """Milliseconds from the start of navigation.

    Attributes
    ----------
    largest
        The browser's Largest Contentful Paint: the largest text or picture.
    content
        Heading and first values, rows or fields are painted.
    drawn
        All charts are, too.
    words
        What the largest was, to see that it was no "Loading…".
    """

    largest: float
    content: float
    drawn: float
    words: str

    @property
    def meaningful(self) -> float:
        """What the page is for is there, and the largest of it."""
        return max(self.largest, self.content)


@contextmanager
def reader(profile: Path) -> Iterator[Any]:
    """Start the browser with a profile that keeps scripts, as a returning reader's does, and give its context.

    Raises
    ------
    InvalidInputError
        Where Playwright or Chromium is missing.
    """
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only this benchmark needs it
    except ImportError as error:
        raise InvalidInputError("Playwright is not installed; pip install 'kurswerk[dev]'") from error
    if CHROMIUM is None:
        raise InvalidInputError("Chromium is not installed; apt-get install chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=CHROMIUM,
            args=list(FLAGS),
            viewport={"width": 1400, "height": 900},
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        try:
            yield context
        finally:
            context.close()


@contextmanager
def opened(context: Any, url: str, wanted: Wanted) -> Iterator[Any]:
    """Open a page in a tab of its own and give it once all of it is painted."""
    page = context.new_page()
    try:
        words = json.dumps({"content": wanted.content, "charts": wanted.charts})
        page.add_init_script(_WATCH.replace("__WANTED__", words))
        page.goto(url + wanted.path, wait_until="commit")
        page.wait_for_function("() => 'drawn' in seen.at", timeout=_MOST_WAIT_MS)
        yield page
    finally:
        page.close()


def paint_of(context: Any, url: str, wanted: Wanted) -> Paint:
    """Open a page and return when it was painted."""
    with opened(context, url, wanted) as page:
        page.wait_for_timeout(300)  # what is larger and comes last
        found = page.evaluate("({largest: seen.largest, words: seen.words, ...seen.at})")
    return Paint(found["largest"], found["content"], found["drawn"], found["words"])


def effect_ms(page: Any, state: str, interact: Any) -> float:
    """Do something and return how long after the last input what ``state``, JavaScript, gives was painted anew."""
    page.evaluate(f"seen.arm(() => {state})")
    interact()
    page.wait_for_function("() => 'effect' in seen.at", timeout=_MOST_WAIT_MS)
    return float(page.evaluate("seen.at.effect - seen.input"))


def frames_ms(page: Any, interact: Any) -> Sequence[float]:
    """Do something and return how long each frame took meanwhile."""
    page.evaluate("seen.film()")
    interact()
    found: list[float] = page.evaluate("(seen.filming = false, seen.frames)")
    return found


def heap_bytes(session: Any) -> int:
    """Return what a page's scripts keep after all rubbish is collected; ``session`` is one of DevTools."""
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    return int(session.send("Runtime.getHeapUsage")["usedSize"])
