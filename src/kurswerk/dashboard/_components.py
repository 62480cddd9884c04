"""What several pages show."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import dcc, html

from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View

STATUS_COLORS: Final = {
    "READY": "teal",
    "COMPLETED": "teal",
    "ok": "teal",
    "TRAINING": "blue",
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
    "PENDING": N_("waiting"),
    "RUNNING": N_("running"),
    "COMPLETED": N_("done"),
    "CANCELLED": N_("cancelled"),
    "ok": N_("fine"),
    "degraded": N_("strained"),
    "failed": N_("down"),
}
# Without names of months, of which the browser knows the English ones only.
_GERMAN_DATES: Final = (
    ([None, 1_000], "%H:%M:%S.%L"),
    ([1_000, 60_000], "%H:%M:%S"),
    ([60_000, 86_400_000], "%H:%M\n%d.%m.%Y"),
    ([86_400_000, "M1"], "%d.%m.\n%Y"),
    (["M1", "M12"], "%m.%Y"),
    (["M12", None], "%Y"),
)
_GERMAN_MOMENT: Final = "%d.%m.%Y, %H:%M:%S"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_CONFIG: Final = {"displaylogo": False, "responsive": True, "displayModeBar": False}


def icon(name: str) -> Any:
    """Return a picture that only decorates."""
    return html.Span(className=f"kw-icon kw-icon-{name}", **{"aria-hidden": "true"})


def heading(title: str, *actions: Any, text: str = "") -> Any:
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


def later(name: str, height: int) -> Any:
    """Return a place of so many pixels that is filled as soon as it comes into sight; see `Kit.when_seen`."""
    return html.Div(id=name, className="kw-later", style={"--kw-height": f"{height}px"})


def figure(view: View, name: str, drawing: Any, *, label: str, height: int | None = None, **more: Any) -> Any:
    """Return a chart with a label for those who do not see it; its place is kept until it is drawn."""
    look = {}
    if drawing is not None:
        if height:
            drawing.update_layout(height=height)
        localise(view, drawing)
        look = {"minHeight": drawing.layout.height} if drawing.layout.height else {}
    graph = dcc.Graph(
        id=name, figure=drawing, config={**_CONFIG, **more.pop("config", {})}, className="kw-graph", **more
    )
    return html.Div(graph, role="img", style=look, **{"aria-label": label})


def wide(table: Any) -> Any:
    """Return a table that scrolls sideways where it does not fit, also by keyboard."""
    return html.Div(table, className="kw-scroll", tabIndex=0)


def number_field(view: View, **given: Any) -> Any:
    """Return a field for a number; decimals stand behind the mark of the reader's language, a point is taken too."""
    return dmc.NumberInput(decimalSeparator=view.decimal_mark, **given)


def localise(view: View, drawing: Any) -> None:
    """Put titles, numbers and dates of a figure into the reader's language."""
    if view.language == "en":
        return
    drawing.update_layout(separators=",.")
    stops = [{"dtickrange": span, "value": form} for span, form in _GERMAN_DATES]
    for name in {trace.xaxis or "x" for trace in drawing.data if _of_dates(trace)}:
        axis = {"tickformatstops": stops, "hoverformat": _GERMAN_MOMENT}
        drawing.update_layout({name.replace("x", "xaxis"): axis})
    for axis in (*drawing.select_xaxes(), *drawing.select_yaxes()):
        if axis.title.text:
            axis.title.text = view.t(axis.title.text)
        if axis.ticktext:
            axis.ticktext = [view.t(text) for text in axis.ticktext]
    for trace in drawing.data:
        if trace.name:
            trace.name = view.t(trace.name)


def _of_dates(trace: Any) -> bool:
    """Whether a trace lies on an axis of time; forms of dates would make nonsense of the numbers of another."""
    x = getattr(trace, "x", None)
    return x is not None and len(x) > 0 and bool(_DATE.match(str(x[0])))


def badge(view: View, status: str) -> Any:
    """Return a status as a coloured word."""
    words = view.t(STATUS_WORDS.get(status, status))
    return dmc.Badge(words, color=STATUS_COLORS.get(status, "gray"), variant="light", className="kw-badge")


def fact(label: str, value: Any, *, detail: Any = None) -> Any:
    """Return one figure with its name."""
    lines = [dmc.Text(label, size="xs", c="dimmed"), dmc.Text(value, fw=650, size="lg", className="kw-figure")]
    if detail is not None:
        lines.append(dmc.Text(detail, size="xs", c="dimmed"))
    return dmc.Paper(dmc.Stack(lines, gap=1), withBorder=True, p="sm", radius="md")


def facts(*found: Any) -> Any:
    """Return figures side by side, as many as fit."""
    return html.Div(list(found), className="kw-facts")


def empty(title: str, text: str, *actions: Any) -> Any:
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


def grid(
    view: View,
    name: str,
    columns: Sequence[Mapping[str, Any]],
    rows: Any,
    *,
    label: str,
    nothing: str | None = None,
    **more: Any,
) -> Any:
    """Return a table that sorts, filters and pages in the browser, and shows what ``kurswerk.sift`` was told to.

    ``nothing`` is said where it has no rows.
    """
    texts = {key: view.t(text) for key, text in _GRID_TEXTS.items()}
    options = {
        "pagination": True,
        "paginationPageSize": 25,
        "paginationPageSizeSelector": [10, 25, 50, 100],
        "domLayout": "autoHeight",
        "suppressCellFocus": False,
        "ensureDomOrder": True,
        "animateRows": False,
        "tooltipShowDelay": 300,
        "isExternalFilterPresent": {"function": f"kwSeeks('{name}')"},
        "doesExternalFilterPass": {"function": f"kwFits('{name}', params.data)"},
        "localeText": texts if nothing is None else texts | {"noRowsToShow": nothing},
        **more.pop("options", {}),
    }
    table = dag.AgGrid(
        id=name,
        columnDefs=list(columns),
        rowData=rows,
        defaultColDef={"sortable": True, "resizable": True, "filter": True, "minWidth": 90, "flex": 1},
        dashGridOptions=options,
        style=more.pop("style", {"width": "100%", "height": None}),
        className="kw-grid",
        **more,
    )
    return html.Div(table, role="region", **{"aria-label": label})


def column(field: str, name: str, kind: str = "", **more: Any) -> dict[str, Any]:
    """Return a column; ``kind`` is how its values are written: number, share, threshold, moment, status, link."""
    found: dict[str, Any] = {"field": field, "headerName": name}
    if kind == "link":
        found |= {"cellRenderer": "KwLink", "minWidth": 160, "flex": 2}
    elif kind == "status":
        found |= {"cellRenderer": "KwStatus", "minWidth": 110}
    elif kind == "moment":
        found |= {"valueFormatter": {"function": "kwMoment(params.value)"}, "minWidth": 165, "filter": False}
    elif kind.startswith(("number", "share", "threshold")):
        way, _, digits = kind.partition(":")
        found |= {
            "valueFormatter": {"function": f"kw{way.title()}(params.value, {int(digits or 0)})"},
            "filter": "agNumberColumnFilter",
            "type": "rightAligned",
        }
    return found | more


def danger(view: View, name: str, label: str, question: str, *, disabled: bool = False, small: bool = False) -> Any:
    """Return a button for what cannot be undone; it asks first. The answer is ``n_clicks`` of ``danger_id(name)``."""
    return html.Div(
        [
            dmc.Button(
                label,
                id={"kind": "danger-open", "what": name},
                color="red",
                variant="light",
                size="xs" if small else "sm",
                disabled=disabled,
            ),
            dmc.Modal(
                [
                    dmc.Text(question, id={"kind": "danger-text", "what": name}, mb="md"),
                    dmc.Group(
                        [
                            dmc.Button(view.t("Keep"), id={"kind": "danger-close", "what": name}, variant="default"),
                            dmc.Button(label, id=danger_id(name), color="red"),
                        ],
                        justify="flex-end",
                    ),
                ],
                id={"kind": "danger-modal", "what": name},
                title=view.t("Are you sure?"),
                closeButtonProps={"aria-label": view.t("Close")},
                transitionProps={"duration": 80},
            ),
        ]
    )


def danger_id(name: str) -> dict[str, str]:
    """Return the id of the button that does it."""
    return {"kind": "danger-do", "what": name}


def waiting(target: Any, *, height: int = 0) -> Any:
    """Return content that shows it is being loaded."""
    look = {"minHeight": height} if height else {}
    return dcc.Loading(
        html.Div(target, style=look), delay_show=250, overlay_style={"visibility": "visible", "opacity": 0.5}
    )


def alert(text: Any, *, title: str = "", color: str = "blue") -> Any:
    """Return a remark."""
    return dmc.Alert(text, title=title or None, color=color, variant="light")


_GRID_TEXTS: Final = {
    "page": N_("Page"),
    "to": N_("to"),
    "of": N_("of"),
    "more": N_("more"),
    "pageSizeSelectorLabel": N_("Rows per page:"),
    "ariaPageSizeSelectorLabel": N_("Rows per page"),
    "firstPage": N_("First page"),
    "previousPage": N_("Previous page"),
    "nextPage": N_("Next page"),
    "lastPage": N_("Last page"),
    "filterOoo": N_("Filter…"),
    "contains": N_("contains"),
    "notContains": N_("does not contain"),
    "equals": N_("is"),
    "notEqual": N_("is not"),
    "startsWith": N_("starts with"),
    "endsWith": N_("ends with"),
    "blank": N_("is empty"),
    "notBlank": N_("is not empty"),
    "lessThan": N_("less than"),
    "greaterThan": N_("greater than"),
    "lessThanOrEqual": N_("at most"),
    "greaterThanOrEqual": N_("at least"),
    "inRange": N_("between"),
    "inRangeStart": N_("from"),
    "inRangeEnd": N_("to"),
    "andCondition": N_("and"),
    "orCondition": N_("or"),
    "loadingOoo": N_("Loading…"),
    "noRowsToShow": N_("Nothing to show"),
    "noMatchingRows": N_("Nothing matches"),
    "ariaChecked": N_("chosen"),
    "ariaUnchecked": N_("not chosen"),
    "ariaRowSelect": N_("Press space to choose this row"),
    "ariaRowToggleSelection": N_("Press space to choose or drop this row"),
    "ariaRowSelectAll": N_("Press space to choose all rows"),
}
