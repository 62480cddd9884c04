"""Charts of metrics with their intervals: a model against its baselines, and several models side by side."""

from collections.abc import Mapping, Sequence

from plotly import graph_objects as go

from kurswerk.reports._charts import Json, each_model
from kurswerk.reports._formats import BASELINES, METRICS, number
from kurswerk.reports._themes import LIGHT, Theme

_RATIOS = ("pr_auc", "roc_auc", "f1", "precision", "recall")


def figure_advantage(evaluations: Mapping[str, Json], metric: str = "pr_auc", *, theme: Theme = LIGHT) -> go.Figure:
    """Draw by how much each model's metric exceeds each baseline's, with the interval of the difference.

    Parameters as above; ``metric`` is one of `METRIC_NAMES`.
    """
    figure = go.Figure(layout=theme.layout(hovermode="closest"))
    names = [
        name for name in BASELINES if any((one.get("differences") or {}).get(name) for one in evaluations.values())
    ]
    for k, name, differences in each_model(evaluations, "differences"):
        estimates = [(differences.get(baseline) or {}).get(metric) for baseline in names]
        _add_intervals(figure, name, estimates, (k, len(evaluations)), theme, signed=True)
    if figure.data:
        figure.add_vline(x=0, line={"color": theme.ink, "width": 1.5})
        figure.update_xaxes(range=_around_zero([x for trace in figure.data for x in trace.x if x is not None]))
    figure.update_layout(height=120 + len(names) * max(52, 26 * len(evaluations)))
    figure.update_xaxes(title_text=f"{METRICS[metric][0]}: model minus baseline")
    _name_rows(figure, [BASELINES[name].removeprefix("ranking by ").removeprefix("the ") for name in names])
    return figure


def _around_zero(values: Sequence[float]) -> list[float]:
    """Return a range that holds all values and zero, with a margin so that no bar ends at the edge."""
    low, high = min(0.0, *values), max(0.0, *values)
    margin = 0.04 * (high - low) or 0.01
    return [low - margin, high + margin]


def figure_metrics(estimates: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw metrics of several models side by side with their intervals.

    Parameters
    ----------
    estimates
        Model name → metric → ``{value, low, high}``.
    theme
        Colours.
    """
    figure = go.Figure(layout=theme.layout(hovermode="closest"))
    for k, name, metrics in each_model(estimates):
        _add_intervals(figure, name, [metrics.get(metric) for metric in _RATIOS], (k, len(estimates)), theme)
    figure.update_layout(height=110 + len(_RATIOS) * max(46, 24 * len(estimates)))
    figure.update_xaxes(rangemode="tozero", title_text="value with interval")
    _name_rows(figure, [METRICS[metric][0] for metric in _RATIOS])
    return figure


def _add_intervals(
    figure: go.Figure,
    name: str,
    estimates: Sequence[Json | None],
    place: tuple[int, int],
    theme: Theme,
    *,
    signed: bool = False,
) -> None:
    """Add one model's dots and whiskers: row i of the chart is estimate i, models apart within it."""
    k, count = place
    known = [(i, found) for i, found in enumerate(estimates) if found and found.get("value") is not None]
    if not known:
        return
    # Models lie side by side within the row, around its middle, and never reach into the next one.
    lift = (k - (count - 1) / 2) * min(0.22, 0.7 / count)
    whiskers: dict[str, list[float | None]] = {"x": [], "y": []}
    for i, found in known:
        if found.get("low") is not None and found.get("high") is not None:
            whiskers["x"] += [found["low"], found["high"], None]
            whiskers["y"] += [i + lift, i + lift, None]
    sign = "+" if signed else ""
    figure.add_scatter(
        x=[found["value"] for _, found in known],
        y=[i + lift for i, _ in known],
        customdata=[[number(found.get("low")), number(found.get("high"))] for _, found in known],
        name=name,
        mode="markers",
        marker={"color": theme.color(k), "size": 11},
        legendgroup=name,
        hovertemplate=f"%{{x:{sign}.3f}} (%{{customdata[0]}} … %{{customdata[1]}})",
    )
    figure.add_scatter(
        x=whiskers["x"],
        y=whiskers["y"],
        name=name,
        mode="lines",
        line={"color": theme.color(k), "width": 3},
        legendgroup=name,
        showlegend=False,
        hoverinfo="skip",
    )


def _name_rows(figure: go.Figure, names: Sequence[str]) -> None:
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=list(names),
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
