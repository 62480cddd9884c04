"""Charts of evaluations: ranking, calibration, decisions, simulated trades."""

import math
from collections.abc import Mapping, Sequence

from plotly import graph_objects as go
from plotly.subplots import make_subplots

from kurswerk.reports._charts import Json, chart_height, each_model, metric_value
from kurswerk.reports._formats import BASELINES, number, percent
from kurswerk.reports._themes import LIGHT, Theme

# Baselines that decide by themselves, with their marker; the base rate is a line.
_MARKERS = {"volatility": "diamond", "persistence": "square"}


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
    figure = go.Figure(layout=theme.layout(height=chart_height(400, evaluations), hovermode="closest"))
    shown = list(each_model(evaluations, "curves", "precision_recall"))
    for k, name, curve in shown:
        evaluation = list(evaluations.values())[k]
        figure.add_scatter(
            x=list(curve["recall"]),
            y=list(curve["precision"]),
            name=f"{name} (PR-AUC {number(metric_value(evaluation, 'pr_auc'))})",
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
    own = (metric_value(evaluation, "recall"), metric_value(evaluation, "precision"))
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
    rates = dict.fromkeys(
        rate for rate in (metric_value(evaluation, "base_rate") for evaluation in evaluations) if rate
    )
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
    figure = go.Figure(layout=theme.layout(height=chart_height(400, evaluations), hovermode="closest"))
    for k, name, curve in each_model(evaluations, "curves", "roc"):
        area = metric_value(list(evaluations.values())[k], "roc_auc")
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
    figure.update_layout(theme.layout(height=chart_height(480, evaluations), hovermode="closest", barmode="group"))
    end = 0.0
    for k, name, bins in each_model(evaluations, "curves", "calibration"):
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


def figure_equity(evaluations: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw the running sum of net returns of the simulated trades, in percent of one stake; parameters as above."""
    figure = go.Figure(layout=theme.layout(height=chart_height(400, evaluations), hovermode="x unified"))
    for k, name, points in each_model(evaluations, "trades", "equity"):
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
