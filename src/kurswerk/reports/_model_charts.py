"""Charts of what is stored with a model: feature importance, and scores of the folds."""

from collections.abc import Mapping

from plotly import graph_objects as go

from kurswerk.reports._charts import Json, chart_height, each_model, plain
from kurswerk.reports._themes import LIGHT, Theme

TOP_FEATURES = 20


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


def figure_folds(cv_scores: Mapping[str, Json], *, theme: Theme = LIGHT) -> go.Figure:
    """Draw the PR-AUC of each fold on its own training rows (thin, hollow) and on its later test rows (bold).

    Parameters
    ----------
    cv_scores
        Model name → `CvSummary.as_json()`.
    theme
        Colours.
    """
    figure = go.Figure(layout=theme.layout(height=chart_height(400, cv_scores), hovermode="closest"))
    for k, name, scores in each_model(cv_scores):
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
