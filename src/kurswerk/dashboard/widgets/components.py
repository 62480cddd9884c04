"""Components that every page is put together from."""

from typing import Any, Final

import dash_mantine_components as dmc
from dash import dcc, html

from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext

STATUS_COLORS: Final = {
    "READY": "teal",
    "COMPLETED": "teal",
    "ok": "teal",
    "TRAINING": "blue",
    "NO_ARTIFACT": "gray",
    "RUNNING": "blue",
    "PENDING": "gray",
    "degraded": "orange",
    "CANCELLED": "gray",
    "FAILED": "red",
    "failed": "red",
}
STATUS_WORDS: Final = {
    "READY": N_("ready"),
    "TRAINING": N_("training"),
    "FAILED": N_("failed"),
    "NO_ARTIFACT": N_("no artifact"),
    "PENDING": N_("waiting"),
    "RUNNING": N_("running"),
    "COMPLETED": N_("done"),
    "CANCELLED": N_("cancelled"),
    "ok": N_("healthy"),
    "degraded": N_("degraded"),
    "failed": N_("unavailable"),
}


def icon(name: str) -> Any:
    """Return a picture that only decorates."""
    return html.Span(className=f"kw-icon kw-icon-{name}", **{"aria-hidden": "true"})


def page_header(title: str, *actions: Any, text: str = "") -> Any:
    """Return a page's title with its actions beside it."""
    lead = [dmc.Title(title, order=1, size="h2")]
    if text:
        lead.append(dmc.Text(text, c="dimmed", size="sm"))
    return dmc.Group(
        [dmc.Stack(lead, gap=2), dmc.Group(list(actions), gap="xs")],
        justify="space-between",
        align="flex-start",
        mb="md",
    )


def card(title: str, *content: Any, text: str = "", span: Any = None, **more: Any) -> Any:
    """Return a titled box; with ``span`` as a column of a grid."""
    head = [dmc.Title(title, order=2, size="h5")] if title else []
    if text:
        head.append(dmc.Text(text, size="sm", c="dimmed"))
    box = dmc.Paper(
        dmc.Stack([*head, *content], gap="sm"), withBorder=True, p="md", radius="md", className="kw-card", **more
    )
    return box if span is None else dmc.GridCol(box, span=span)


def lazy_area(name: str, height: int) -> Any:
    """Return an area of a fixed height, filled once it is scrolled to; see `DashboardApp.callback_when_visible`."""
    return html.Div(id=name, className="kw-lazy", style={"--kw-height": f"{height}px"})


def scrollable(table: Any) -> Any:
    """Return a table that scrolls sideways where it does not fit, also by keyboard."""
    return html.Div(table, className="kw-scroll", tabIndex=0)


def number_input(user: UserContext, **given: Any) -> Any:
    """Return a field for a number; decimals stand behind the mark of the user's language, a point is taken too."""
    return dmc.NumberInput(decimalSeparator=user.decimal_mark, **given)


def status_badge(user: UserContext, status: str) -> Any:
    """Return a status as a coloured word."""
    words = user.t(STATUS_WORDS.get(status, status))
    return dmc.Badge(words, color=STATUS_COLORS.get(status, "gray"), variant="light", className="kw-badge")


def stat(label: str, value: Any, *, detail: Any = None) -> Any:
    """Return one value with its name."""
    lines = [dmc.Text(label, size="xs", c="dimmed"), dmc.Text(value, fw=650, size="lg", className="kw-stat")]
    if detail is not None:
        lines.append(dmc.Text(detail, size="xs", c="dimmed"))
    return dmc.Paper(dmc.Stack(lines, gap=1), withBorder=True, p="sm", radius="md")


def stat_row(*found: Any) -> Any:
    """Return values side by side, as many as fit."""
    return html.Div(list(found), className="kw-stats")


def empty_state(title: str, text: str, *actions: Any) -> Any:
    """Return what stands where there is nothing yet: why, and the first step."""
    return dmc.Paper(
        dmc.Stack(
            [
                dmc.Title(title, order=2, size="h4", ta="center"),
                dmc.Text(text, c="dimmed", ta="center", maw=560),
                dmc.Group(list(actions), justify="center"),
            ],
            align="center",
            gap="sm",
        ),
        withBorder=True,
        p="xl",
        radius="md",
        className="kw-empty",
    )


def link_button(text: str, href: str, *, variant: str = "light", size: str = "sm") -> Any:
    """Return a link that looks like a button; ``variant`` is light, filled or default."""
    return dcc.Link(text, href=href, className=f"kw-button kw-button-{variant} kw-button-{size}")


def loading_area(target: Any, *, height: int = 0) -> Any:
    """Return content that shows it is being loaded."""
    look = {"minHeight": height} if height else {}
    return dcc.Loading(
        html.Div(target, style=look), delay_show=250, overlay_style={"visibility": "visible", "opacity": 0.5}
    )


def callout(text: Any, *, title: str = "", color: str = "blue") -> Any:
    """Return a remark."""
    return dmc.Alert(text, title=title or None, color=color, variant="light")
