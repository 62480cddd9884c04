"""Utilisation of machine and service until now, as a chart."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from statistics import fmean
from typing import Any, Final

from plotly.subplots import make_subplots

from kurswerk.dashboard.ports import MinuteCount
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.observability import ResourceSample

# Minutes before now → how that is called.
TIME_SPANS: Final = {15: N_("15 minutes"), 60: N_("1 hour"), 1440: N_("1 day")}
# More could not be distinguished.
_MAX_INTERVALS: Final = 180
_MIN_SHOWN: Final = timedelta(minutes=1)
_FORM: Final = "%Y-%m-%d %H:%M:%S"


def utilisation_chart(
    user: UserContext, loads: Sequence[ResourceSample], counts: Sequence[MinuteCount], minutes: int
) -> Any:
    """Draw the last minutes: shares of the machine in use, and what the service did each minute.

    API calls are those of this machine, between two measurements; predictions are those of all predictors, in each full
    minute since the first measurement shown.
    """
    drawing = make_subplots(
        rows=3,
        shared_xaxes=True,
        vertical_spacing=0.1,
        row_heights=[0.46, 0.27, 0.27],
        subplot_titles=["", user.t("API calls per minute"), user.t("Predictions per minute")],
    )
    intervals = _intervals(loads, minutes)
    times = [user.local(whole[-1].moment).strftime(_FORM) for whole in intervals]
    lines = [
        (1, user.t("processor"), [fmean(one.processor for one in whole[1:]) for whole in intervals]),
        (1, user.t("memory"), [whole[-1].memory for whole in intervals]),
        (1, user.t("disk"), [whole[-1].disk for whole in intervals]),
        (2, user.t("API calls per minute"), [_per_minute(whole, "requests") for whole in intervals]),
    ]
    begin = max(loads[0].moment, loads[-1].moment - timedelta(minutes=minutes)) if loads else None
    shown = [one for one in counts if begin is not None and one.minute >= begin]
    ends = [user.local(one.minute + timedelta(minutes=1)).strftime(_FORM) for one in shown]
    drawn = [
        *((row, name, times, values) for row, name, values in lines),
        (3, user.t("Predictions per minute"), ends, [one.predictions for one in shown]),
    ]
    for k, (row, name, x, y) in enumerate(drawn):
        mode = "lines+markers" if len(x) < 3 else "lines"
        line = user.theme.line(k)
        drawing.add_scatter(x=x, y=y, name=name, mode=mode, line=line, showlegend=row == 1, row=row, col=1)
    drawing.update_layout(user.theme.layout(height=440, hovermode="x unified", uirevision=minutes))
    drawing.update_annotations(font_size=12, x=0, xanchor="left")
    drawing.update_yaxes(range=[0, 1.02], tickformat=".0%", row=1)
    drawing.update_yaxes(rangemode="tozero", row=2)
    drawing.update_yaxes(rangemode="tozero", row=3)
    if intervals:  # one moment by itself would stand between fractions of milliseconds
        first, last = intervals[0][0].moment, intervals[-1][-1].moment
        drawing.update_xaxes(range=[user.local(min(first, last - _MIN_SHOWN)).strftime(_FORM), times[-1]])
    return drawing


def _intervals(loads: Sequence[ResourceSample], minutes: int) -> list[Sequence[ResourceSample]]:
    """Part the last minutes into intervals; each begins with the measurement that ends the one before."""
    if not loads:
        return []
    begin = loads[-1].moment - timedelta(minutes=minutes)
    shown = [one for one in loads if one.moment >= begin]
    step = max(1, -(-len(shown) // _MAX_INTERVALS))
    last = len(shown) - 1
    return [shown[first : end + 1] for first, end in pairwise(range(last % step, last + 1, step))]


def _per_minute(whole: Sequence[ResourceSample], name: str) -> float | None:
    """Return what was counted in an interval, per minute; None where counting began anew."""
    counted = getattr(whole[-1], name) - getattr(whole[0], name)
    passed_s = whole[-1].uptime_s - whole[0].uptime_s  # the clock may have been set meanwhile
    return None if counted < 0 or passed_s <= 0 else 60 * counted / passed_s
