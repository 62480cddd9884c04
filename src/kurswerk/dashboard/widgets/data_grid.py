"""Tables that sort, filter and page in the browser."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_ag_grid as dag
from dash import html

from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext

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


def data_grid(
    user: UserContext,
    name: str,
    columns: Sequence[Mapping[str, Any]],
    rows: Any,
    *,
    label: str,
    nothing: str | None = None,
    **more: Any,
) -> Any:
    """Return a table that sorts, filters and pages in the browser, and shows what ``kurswerk.filterTable`` was given.

    ``nothing`` is shown where it has no rows.
    """
    texts = {key: user.t(text) for key, text in _GRID_TEXTS.items()}
    options = {
        "pagination": True,
        "paginationPageSize": 25,
        "paginationPageSizeSelector": [10, 25, 50, 100],
        "domLayout": "autoHeight",
        "suppressCellFocus": False,
        "ensureDomOrder": True,
        "animateRows": False,
        "tooltipShowDelay": 300,
        "isExternalFilterPresent": {"function": f"kwHasFilter('{name}')"},
        "doesExternalFilterPass": {"function": f"kwPassesFilter('{name}', params.data)"},
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


def grid_column(field: str, name: str, kind: str = "", **more: Any) -> dict[str, Any]:
    """Return a column; ``kind`` is how its values are written: number, share, threshold, moment, day, status, link."""
    found: dict[str, Any] = {"field": field, "headerName": name}
    if kind == "link":
        found |= {"cellRenderer": "KwLink", "minWidth": 160, "flex": 2}
    elif kind == "status":
        found |= {"cellRenderer": "KwStatus", "minWidth": 110}
    elif kind == "moment":
        found |= {"valueFormatter": {"function": "kwMoment(params.value)"}, "minWidth": 165, "filter": False}
    elif kind == "day":
        found |= {"valueFormatter": {"function": "kwDay(params.value)"}, "minWidth": 120, "filter": False}
    elif kind.startswith(("number", "share", "threshold")):
        way, _, digits = kind.partition(":")
        found |= {
            "valueFormatter": {"function": f"kw{way.title()}(params.value, {int(digits or 0)})"},
            "filter": "agNumberColumnFilter",
            "type": "rightAligned",
        }
    return found | more
