"""A real browser in front of the dashboard."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from benchmarks._browser import CHROMIUM, FLAGS

NO_CHROMIUM = "Chromium is not installed; apt-get install chromium"
# On a machine that does other things too.
MOST_WAIT_MS = 180_000
# Tables and charts are drawn after the page; what moves for good, such as a bar under way, is not waited for.
_UNTIL_QUIET = """() => new Promise((done) => {
    let last = performance.now();
    const began = last, watch = new MutationObserver(() => { last = performance.now(); });
    watch.observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
    const look = setInterval(() => {
        const now = performance.now();
        if (now - last < 200 && now - began < 5000) return;
        clearInterval(look);
        watch.disconnect();
        done();
    }, 50);
})"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser with a fresh profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One reader: a page, and everything that went wrong on it."""

    page: Page
    url: str
    troubles: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page and wait for its title."""
        self.page.goto(self.url + path)
        self.page.wait_for_selector("#page h1, #page .mantine-Alert-root, #page h2", timeout=MOST_WAIT_MS)

    def wait_until_still(self) -> None:
        """Look at all of the page, and wait until nothing has changed for a fifth of a second, at most five seconds."""
        for place in self.page.locator(".kw-lazy:empty").element_handles():
            place.scroll_into_view_if_needed()
            self.page.wait_for_function("(place) => place.childElementCount", arg=place)
        self.page.evaluate("scrollTo(0, 0)")
        self.page.evaluate(_UNTIL_QUIET)

    def see(self, text: str, seconds: float = 180.0) -> None:
        """Wait until a text is visible."""
        self.page.get_by_text(text).first.wait_for(state="visible", timeout=seconds * 1000)

    def press(self, name: str) -> None:
        """Press the button of this name."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def follow(self, name: str) -> None:
        """Follow the link of this name."""
        self.page.locator("#page").get_by_role("link", name=name, exact=True).first.click()

    @property
    def too_wide_by(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def shot(self, folder: Path | None, name: str) -> None:
        """Keep a picture of what is seen."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(folder / f"{name}.png"))


@contextmanager
def visit(
    browser: Browser,
    url: str,
    *,
    language: str = "en-GB",
    width: int = 1400,
    height: int = 900,
    dark: bool = False,
) -> Iterator[Visit]:
    """Open a window of a reader; what the console reports against the pages is kept."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale=language,
        timezone_id="Europe/Berlin",
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(MOST_WAIT_MS)
    page = context.new_page()
    seen = Visit(page, url)

    def record(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            seen.troubles.append(f"{message.type}: {message.text[:300]}")

    def foreign(request: Any) -> None:
        if not request.url.startswith((url, "data:", "blob:", url.replace("http", "ws", 1))):
            seen.troubles.append(f"asked another host: {request.url}")

    page.on("console", record)
    page.on("pageerror", lambda error: seen.troubles.append(f"uncaught: {str(error)[:300]}"))
    page.on("request", foreign)
    try:
        yield seen
    finally:
        context.close()
