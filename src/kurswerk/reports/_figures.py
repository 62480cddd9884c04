"""Figures of evaluations as they are stored; nothing is computed from market data here.

Every function takes model name → JSON and keeps the order: the model at position k has the same colour in every figure,
also where a model before it has nothing to show. A figure without traces means that nothing could be shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from plotly import graph_objects as go
from plotly.subplots import make_subplots

from kurswerk.reports._themes import LIGHT, Theme
from kurswerk.reports._words import BASELINES, METRICS, number, percent, shortened

Json = Mapping[str, Any]

TOP_FEATURES = 20
# Baselines that decide by themselves, with their marker; the base rate is a line.
_MARKERS = {"volatility": "diamond", "persistence": "square"}
_RATIOS = ("pr_auc", "roc_auc", "f1", "precision", "recall")


def plain(text: str) -> str:
    """Return text as Plotly shows it literally: it reads a small HTML otherwise."""
    return escape(shortened(text), quote=False)


def _each(of: Mapping[str, Json], *path: str) -> Iterator[tuple[int, str, Any]]:
    """Yield position, shown name and the value at a path, for the models that have it."""
    for k, (name, value) in enumerate(of.items()):
        found: Any = value
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found:
            yield k, plain(name), found


def _height(base: int, of: Mapping[str, Json]) -> int:
    """Return a height with room for the legend of many models."""
    return base + 20 * max(len(of) - 3, 0)


def _value(evaluation: Json, metric: str) -> float | None:
    found: float | None = ((evaluation.get("metrics") or {}).get(metric) or {}).get("value")
    return found


def figure_precision_recall(evaluations: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw precision over recall, each model's threshold, the baselines' decisions and the base rate.

    Parameters
    ----------
    evaluations
        Model name → `Evaluation.as_json()`.
    theme
        Colours.

    Returns
    -------
    plotly.graph_objects.Figure
        Lines, one per model with positives; markers for its threshold and the baselines; a line per base rate.
    """
    figure = go.Figure(layout=theme.layout(height=_height(400, evaluations), hovermode="closest"))
    shown = list(_each(evaluations, "curves", "precision_recall"))
    for k, name, curve in shown:
        evaluation = list(evaluations.values())[k]
        figure.add_scatter(
            x=list(curve["recall"]),
            y=list(curve["precision"]),
            name=f"{name} (PR-AUC {number(_value(evaluation, 'pr_auc'))})",
            mode="lines",
            line=theme.line(k),
            legendgroup=name,
            hovertemplate="recall %{x:.3f}<br>precision %{y:.3f}",
        )
    _add_base_rates(figure, [list(evaluations.values())[k] for k, _, _ in shown], theme)
    for k, name, _ in shown:
        _add_decisions(figure, list(evaluations.values())[k], name, k, theme)
    figure.update_xaxes(title_text="recall: share found of what came true", range=[-0.02, 1.02])
    figure.update_yaxes(title_text="precision", rangemode="tozero")
    return figure


def _add_decisions(figure: go.Figure, evaluation: Json, name: str, k: int, theme: Theme) -> None:
    """Mark the model's threshold and where the baselines stand."""
    own = (_value(evaluation, "recall"), _value(evaluation, "precision"))
    matrix = evaluation.get("confusion_matrix") or {}
    threshold = number(evaluation.get("threshold"), 2)
    if None not in own and matrix.get("tp", 0) + matrix.get("fp", 0) > 0:
        figure.add_scatter(
            x=[own[0]],
            y=[own[1]],
            name=f"{name} at threshold {threshold}",
            mode="markers",
            marker={"color": theme.color(k), "size": 11, "line": {"color": theme.ground, "width": 2}},
            legendgroup=name,
            showlegend=False,
            hovertemplate="recall %{x:.3f}<br>precision %{y:.3f}",
        )
    for baseline, symbol in _MARKERS.items():
        metrics = (evaluation.get("baselines") or {}).get(baseline) or {}
        point = [(metrics.get(metric) or {}).get("value") for metric in ("recall", "precision")]
        if None in point or point == [0, 0]:
            continue
        figure.add_scatter(
            x=[point[0]],
            y=[point[1]],
            name=BASELINES[baseline],
            mode="markers",
            marker={"color": theme.muted, "size": 10, "symbol": symbol, "line": {"color": theme.color(k), "width": 2}},
            legendgroup=baseline,
            showlegend=not any(trace.legendgroup == baseline for trace in figure.data),
            hovertemplate=f"on the rows of {name}<br>recall %{{x:.3f}}<br>precision %{{y:.3f}}",
        )


def _add_base_rates(figure: go.Figure, evaluations: Sequence[Json], theme: Theme) -> None:
    rates = dict.fromkeys(rate for rate in (_value(evaluation, "base_rate") for evaluation in evaluations) if rate)
    for rate in rates:
        figure.add_scatter(
            x=[0, 1],
            y=[rate, rate],
            name=f"base rate {number(rate)}",
            mode="lines",
            line={"color": theme.muted, "dash": "dash", "width": 1.5},
            hovertemplate="base rate %{y:.3f}",
        )


def figure_roc(evaluations: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw the true over the false positive rate, with the diagonal of chance; parameters as above."""
    figure = go.Figure(layout=theme.layout(height=_height(400, evaluations), hovermode="closest"))
    for k, name, curve in _each(evaluations, "curves", "roc"):
        area = _value(list(evaluations.values())[k], "roc_auc")
        figure.add_scatter(
            x=list(curve["fpr"]),
            y=list(curve["tpr"]),
            name=f"{name} (ROC-AUC {number(area)})",
            mode="lines",
            line=theme.line(k),
            hovertemplate="false positive rate %{x:.3f}<br>recall %{y:.3f}",
        )
    if figure.data:
        _add_diagonal(figure, 1.0, "chance", theme)
    figure.update_xaxes(title_text="false positive rate", range=[-0.02, 1.02])
    figure.update_yaxes(title_text="recall", range=[-0.02, 1.02])
    return figure


def _add_diagonal(figure: go.Figure, end: float, name: str, theme: Theme) -> None:
    figure.add_scatter(
        x=[0, end],
        y=[0, end],
        name=name,
        mode="lines",
        line={"color": theme.muted, "dash": "dash", "width": 1.5},
        hoverinfo="skip",
    )


def figure_calibration(evaluations: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw how often predictions came true over the probability they were given; below, how many there were.

    Parameters as above. The counts stand on a logarithmic axis; empty bins are left out.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.05)
    figure.update_layout(theme.layout(height=_height(480, evaluations), hovermode="closest", barmode="group"))
    end = 0.0
    for k, name, bins in _each(evaluations, "curves", "calibration"):
        filled = [found for found in bins if found["count"]]
        if not filled:
            continue
        end = max(end, *(found["high"] for found in filled))
        figure.add_scatter(
            x=[found["mean_probability"] for found in filled],
            y=[found["positive_rate"] for found in filled],
            customdata=[found["count"] for found in filled],
            name=name,
            mode="lines+markers",
            line=theme.line(k),
            marker={"size": 8},
            legendgroup=name,
            hovertemplate="given %{x:.3f}<br>came true %{y:.3f}<br>%{customdata:,} rows",
            row=1,
            col=1,
        )
        figure.add_bar(
            x=[(found["low"] + found["high"]) / 2 for found in filled],
            y=[found["count"] for found in filled],
            name=name,
            marker={"color": theme.color(k)},
            legendgroup=name,
            showlegend=False,
            hovertemplate="%{y:,} rows",
            row=2,
            col=1,
        )
    if end:
        figure.add_scatter(
            x=[0, end],
            y=[0, end],
            name="perfect",
            mode="lines",
            line={"color": theme.muted, "dash": "dash", "width": 1.5},
            hoverinfo="skip",
            row=1,
            col=1,
        )
        figure.update_xaxes(range=[-0.02, end + 0.02])
    figure.update_yaxes(title_text="share that came true", rangemode="tozero", row=1, col=1)
    most = max((max(trace.y) for trace in figure.data if trace.type == "bar"), default=1)
    figure.update_yaxes(title_text="rows (log)", type="log", dtick=1, exponentformat="none", row=2, col=1)
    figure.update_yaxes(range=[-0.15, math.log10(most) + 0.15], row=2, col=1)
    figure.update_xaxes(title_text="probability the model gave", row=2, col=1)
    return figure


def figure_confusion(evaluation: Json, *, position: int = 0, theme: Theme = LIGHT) -> go.Figure:
    """Draw the four counts of one model's decisions; the shade is the share within what really happened.

    Parameters
    ----------
    evaluation
        `Evaluation.as_json()` of one model.
    position
        Of the model among those shown; chooses its colour.
    theme
        Colours.
    """
    figure = go.Figure(layout=theme.layout(height=280))
    counts = evaluation.get("confusion_matrix")
    if not counts:
        return figure
    rows = [[counts["fn"], counts["tp"]], [counts["tn"], counts["fp"]]]
    shares = [[count / sum(row) if sum(row) else None for count in row] for row in rows]
    figure.add_heatmap(
        x=["predicted no", "predicted yes"],
        y=["came true", "did not"],
        z=[[share or 0.0 for share in row] for row in shares],
        customdata=rows,
        zmin=0,
        zmax=1,
        xgap=3,
        ygap=3,
        showscale=False,
        colorscale=[[0, theme.grid], [1, theme.color(position)]],
        hovertemplate="%{y}, %{x}: %{customdata:,} rows<extra></extra>",
    )
    for i, truth in enumerate(figure.data[0].y):
        for j, decision in enumerate(figure.data[0].x):
            figure.add_annotation(
                x=decision,
                y=truth,
                text=f"<b>{number(rows[i][j])}</b><br>{percent(shares[i][j])}",
                showarrow=False,
                font={"color": theme.text_on(theme.grid, theme.color(position), shares[i][j] or 0.0), "size": 15},
            )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(side="top", showgrid=False)
    return figure


def figure_importance(importance: Mapping[str, float], *, position: int = 0, theme: Theme = LIGHT) -> go.Figure:
    """Draw the features one model leans on most, at most 20, the most important on top.

    Parameters
    ----------
    importance
        Feature → share in [0, 1].
    position, theme
        As in `figure_confusion`.
    """
    top = sorted(importance.items(), key=lambda item: (-item[1], item[0]))[:TOP_FEATURES]
    figure = go.Figure(layout=theme.layout(height=70 + 21 * max(len(top), 3), bargap=0.3))
    if top:
        figure.add_bar(
            x=[share for _, share in top],
            y=[plain(name) for name, _ in top],
            orientation="h",
            marker={"color": theme.color(position)},
            hovertemplate="%{y}: %{x:.4f}<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 12}, dtick=1)
    figure.update_xaxes(title_text="share of importance", rangemode="tozero", nticks=5)
    return figure


def figure_equity(evaluations: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw the running sum of net returns of the simulated trades, in percent of one stake; parameters as above."""
    figure = go.Figure(layout=theme.layout(height=_height(400, evaluations), hovermode="x unified"))
    for k, name, points in _each(evaluations, "trades", "equity"):
        figure.add_scatter(
            x=[point["timestamp"] for point in points],
            y=[point["equity_pct"] for point in points],
            name=name,
            mode="lines" if len(points) > 1 else "markers",
            line={**theme.line(k), "shape": "hv"},
            hovertemplate="%{y:+,.1f} %",
        )
    if figure.data:
        figure.add_hline(y=0, line={"color": theme.muted, "width": 1})
    figure.update_xaxes(title_text="time of exit, UTC", nticks=6)
    figure.update_yaxes(title_text="sum of net returns, % of one stake", tickformat=",")
    return figure


def figure_folds(cv_scores: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw the PR-AUC of each fold on its own training rows (thin, hollow) and on its later test rows (bold).

    Parameters
    ----------
    cv_scores
        Model name → `CvSummary.as_json()`.
    theme
        Colours.
    """
    figure = go.Figure(layout=theme.layout(height=_height(400, cv_scores), hovermode="closest"))
    for k, name, scores in _each(cv_scores):
        for side, text in (("test", "later rows"), ("train", "its training rows")):
            values = scores.get(f"{side}_pr_auc") or []
            if all(value is None for value in values):
                continue
            line = theme.line(k)
            figure.add_scatter(
                x=list(scores["test_start"]),
                y=list(values),
                name=f"{name}: {text}",
                mode="lines+markers",
                line=line if side == "test" else {**line, "dash": "dot", "width": 1.5},
                marker={"size": 9, "symbol": "circle" if side == "test" else "circle-open"},
                hovertemplate="fold from %{x|%Y-%m-%d %H:%M}<br>PR-AUC %{y:.3f}",
            )
    figure.update_xaxes(title_text="start of the fold's test, UTC", nticks=6)
    figure.update_yaxes(title_text="PR-AUC", rangemode="tozero")
    return figure


def figure_advantage(evaluations: Mapping[str, Json], metric: str = "pr_auc", *, theme: Theme = LIGHT) -> go.Figure:
    """Draw by how much each model's metric exceeds each baseline's, with the interval of the difference.

    Parameters as above; ``metric`` is one of `METRIC_NAMES`.
    """
    figure = go.Figure(layout=theme.layout(hovermode="closest"))
    names = [
        name for name in BASELINES if any((one.get("differences") or {}).get(name) for one in evaluations.values())
    ]
    for k, name, differences in _each(evaluations, "differences"):
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
    for k, name, metrics in _each(estimates):
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
