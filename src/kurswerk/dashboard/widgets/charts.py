"""Plotly charts in a frame of their own, with texts, numbers and dates in the user's language."""

import re
from typing import Any, Final

from dash import dcc, html

from kurswerk.dashboard.words.user_context import UserContext

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


def chart(user: UserContext, name: str, drawing: Any, *, label: str, height: int | None = None, **more: Any) -> Any:
    """Return a chart with a label for those who do not see it; its place is kept until it is drawn."""
    look = {}
    if drawing is not None:
        if height:
            drawing.update_layout(height=height)
        localise_chart(user, drawing)
        look = {"minHeight": drawing.layout.height} if drawing.layout.height else {}
    graph = dcc.Graph(
        id=name, figure=drawing, config={**_CONFIG, **more.pop("config", {})}, className="kw-graph", **more
    )
    return html.Div(graph, role="img", style=look, **{"aria-label": label})


def localise_chart(user: UserContext, drawing: Any) -> None:
    """Put titles, numbers and dates of a figure into the user's language."""
    if user.language == "en":
        return
    drawing.update_layout(separators=",.")
    stops = [{"dtickrange": span, "value": form} for span, form in _GERMAN_DATES]
    for name in {trace.xaxis or "x" for trace in drawing.data if _of_dates(trace)}:
        axis = drawing.layout[name.replace("x", "xaxis")]
        axis.update(tickformatstops=stops, hoverformat=axis.hoverformat or _GERMAN_MOMENT)
    for axis in (*drawing.select_xaxes(), *drawing.select_yaxes()):
        if axis.title.text:
            axis.title.text = user.t(axis.title.text)
        if axis.ticktext:
            axis.ticktext = [user.t(text) for text in axis.ticktext]
    for trace in drawing.data:
        if trace.name:
            trace.name = user.t(trace.name)


def _of_dates(trace: Any) -> bool:
    """Whether a trace lies on an axis of time; forms of dates would make nonsense of the numbers of another."""
    x = getattr(trace, "x", None)
    return x is not None and len(x) > 0 and bool(_DATE.match(str(x[0])))
