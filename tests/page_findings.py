"""What is wrong with a page in a real browser: text that is cut, and what axe reports."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe

from dashboard_browser import Visit

# Texts that are cut off, or that reach out of the window though nothing around them scrolls sideways.
_CUT = """() => {
    const found = [];
    // Drawings, texts for screen readers, and tables that scroll and shorten by themselves.
    const leftOut = 'svg, script, .ag-root-wrapper, [class*=aria-description], .kw-skip';
    const scrolls = (node) => {
        for (let one = node; one && one !== document.body; one = one.parentElement)
            if (['auto', 'scroll'].includes(getComputedStyle(one).overflowX)) return true;
        return false;
    };
    for (const node of document.querySelectorAll('body *')) {
        const own = [...node.childNodes].filter((one) => one.nodeType === 3 && one.textContent.trim());
        if (!own.length || !node.checkVisibility() || node.closest(leftOut)) continue;
        const style = getComputedStyle(node), box = node.getBoundingClientRect();
        if (!box.width || !box.height || box.right <= 0) continue;
        const hides = ['hidden', 'clip'].includes(style.overflowX) && node.scrollWidth > node.clientWidth + 1;
        const range = document.createRange();
        range.selectNodeContents(own[0]);
        const outside = range.getBoundingClientRect().right > window.innerWidth + 1 && !scrolls(node);
        if (hides || outside) found.push(own[0].textContent.trim().slice(0, 60));
    }
    return found;
}"""
_GRAVE = frozenset({"serious", "critical"})


def cut_texts(seen: Visit) -> list[str]:
    """Return the texts that are cut off or that reach out of the window."""
    found: list[str] = seen.page.evaluate(_CUT)
    return found


def serious_findings(seen: Visit) -> list[str]:
    """Return what axe calls serious or critical, each with the first element that it is about."""
    found: dict[str, Any] = Axe().run(seen.page).response
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in _GRAVE
        for node in one["nodes"][:3]
    ]
