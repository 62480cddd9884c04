"""A stored evaluation as tables, charts and a threshold to move."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.components import callout, card, scrollable
from kurswerk.dashboard.widgets.trade_costs import cost_words, other_costs, trades_table
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.formats import NOTHING
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import TestResult
from kurswerk.reports import (
    figure_advantage,
    figure_calibration,
    figure_equity,
    figure_precision_recall,
    figure_roc,
)

Json = Mapping[str, Any]

# Metric → name, whether more is better, decimals, and its meaning.
METRICS: Final[dict[str, tuple[str, bool, int, str]]] = {
    "pr_auc": (N_("PR-AUC"), True, 3, N_("how many of the rows ranked high come true; chance gives the base rate")),
    "roc_auc": (
        N_("ROC-AUC"),
        True,
        3,
        N_("how often a row that comes true ranks above one that does not; chance is 0.5"),
    ),
    "precision": (N_("Precision"), True, 3, N_("share of the predicted rows that came true")),
    "recall": (N_("Recall"), True, 3, N_("share of the rows that came true which were predicted")),
    "f1": ("F1", True, 3, N_("balance of precision and recall at the threshold")),
    "mcc": ("MCC", True, 3, N_("correlation of decision and truth, from −1 to 1; chance is 0")),
    "accuracy": (N_("Accuracy"), True, 3, N_("share of all rows decided rightly; flatters where few come true")),
    "brier": (N_("Brier score"), False, 4, N_("mean squared error of the probability; lower is better")),
    "log_loss": (N_("Log loss"), False, 4, N_("mean surprise of the truth; lower is better")),
    "simulated_profit_pct": (
        N_("Return per trade, %"),
        True,
        2,
        N_("mean over simulated trades, after fee and slippage"),
    ),
}
BASELINES: Final = {
    "volatility": N_("Ranking by recent volatility"),
    "persistence": N_("Persistence"),
    "base_rate": N_("Base rate"),
}
_PART_IDS: Final = ("precision", "recall", "f1", "predicted_positives", "profit", "trades", "tp", "fp", "fn", "tn")
THRESHOLD_DEPENDENCIES: Final = (
    *(Output(f"threshold-{part}", "children") for part in _PART_IDS),
    Input("threshold", "value"),
    Input("threshold-costs", "value"),
    State("threshold-table", "data"),
)
UPDATE_THRESHOLD: Final = """(percent, costs, table) => {
    const k = kurswerk.place(table.threshold, percent / 100);
    const [scale, offset] = (costs || '1,0').split(',').map(Number);
    const mean = table.profit_pct ? table.profit_pct[k] : null;
    const tp = table.tp[k], fp = table.fp[k], fn = table.positive - tp, tn = table.negative - fp;
    const share = (a, b) => (b > 0 ? a / b : null);
    kurswerk.query({threshold: percent === 50 ? null : percent});
    return [
        kurswerk.share(share(tp, tp + fp), 1), kurswerk.share(share(tp, tp + fn), 1),
        kurswerk.number(share(2 * tp, 2 * tp + fp + fn), 3), kurswerk.number(tp + fp, 0),
        mean === null ? '–' : kurswerk.signed(scale * mean + offset, 2, kurswerk.percentSign()),
        table.trades ? kurswerk.number(table.trades[k], 0) : '–',
        kurswerk.number(tp, 0), kurswerk.number(fp, 0), kurswerk.number(fn, 0), kurswerk.number(tn, 0),
    ];
}"""


def metric_table(user: UserContext, evaluation: Json) -> Any:
    """Return each metric with its interval, and the baselines beside it."""
    metrics = evaluation.get("metrics") or {}
    baselines = [name for name in BASELINES if (evaluation.get("baselines") or {}).get(name)]
    if not metrics:
        return callout(user.t("No metrics are stored."))
    head = [html.Th(user.t("Metric")), html.Th(user.t("Model"), className="kw-r")] + [
        html.Th(user.t(BASELINES[name]), className="kw-r") for name in baselines
    ]
    rows = []
    for metric, (name, _, digits, meaning) in METRICS.items():
        cells = [
            html.Td(_with_interval(user, (evaluation["baselines"][one] or {}).get(metric), digits), className="kw-r")
            for one in baselines
        ]
        own = _with_interval(user, metrics.get(metric), digits, strong=True)
        title = dmc.Tooltip(
            html.Span(user.t(name), tabIndex=0, className="kw-hint"), label=user.t(meaning), multiline=True, w=260
        )
        rows.append(html.Tr([html.Td(title), html.Td(own, className="kw-r"), *cells]))
    return scrollable(html.Table([html.Thead(html.Tr(head)), html.Tbody(rows)], className="kw-table"))


def _with_interval(user: UserContext, estimate: Json | None, digits: int, *, strong: bool = False) -> Any:
    if not estimate or estimate.get("value") is None:
        return NOTHING
    value = user.number(estimate["value"], digits)
    parts: list[Any] = [html.Strong(value) if strong else value]
    if estimate.get("low") is not None and estimate.get("high") is not None:
        low, high = user.number(estimate["low"], digits), user.number(estimate["high"], digits)
        parts += [" ", html.Span(f"[{low} … {high}]", className="kw-muted kw-nowrap")]
    return parts


def threshold_table(evaluation: Json) -> dict[str, Any] | None:
    """Return what each threshold decides: as stored, or from the bins of calibration in steps of a tenth.

    Examples
    --------
    >>> bins = [{"low": k / 10, "count": 1, "positive_rate": float(k > 4)} for k in range(10)]
    >>> found = threshold_table({"num_positive": 5, "num_negative": 5, "curves": {"calibration": bins}})
    >>> found["tp"][5], found["fp"][5], found["tp"][0], found["fp"][0]
    (5, 0, 5, 5)
    """
    positive, negative = evaluation.get("num_positive"), evaluation.get("num_negative")
    curves = evaluation.get("curves") or {}
    if positive is None or negative is None:
        return None
    totals = {"positive": positive, "negative": negative}
    if curves.get("thresholds"):
        return {**curves["thresholds"], **totals}
    bins = curves.get("calibration")
    if not bins:
        return None
    true_positives = [round(one["count"] * (one["positive_rate"] or 0)) for one in bins]
    false_positives = [one["count"] - n for one, n in zip(bins, true_positives, strict=True)]
    return {
        "threshold": [one["low"] for one in bins],
        "tp": [sum(true_positives[k:]) for k in range(len(bins))],
        "fp": [sum(false_positives[k:]) for k in range(len(bins))],
        **totals,
    }


def threshold_panel(user: UserContext, evaluation: Json, threshold: str | None = None) -> Any:
    """Return a threshold to move, with what it decides."""
    table = threshold_table(evaluation)
    if table is None:
        return callout(user.t("This evaluation holds no values for other thresholds."))
    step = 1 if len(table["threshold"]) > 20 else 10
    value = (
        int(threshold) if threshold and threshold.isascii() and threshold.isdigit() and int(threshold) <= 100 else 50
    )
    numbers = {part: html.Span(NOTHING, id=f"threshold-{part}") for part in _PART_IDS}
    slider = dmc.Slider(
        id="threshold",
        value=value,
        min=0,
        max=100 if step == 1 else 90,
        step=step,
        updatemode="drag",
        marks=[{"value": k, "label": user.percent(k / 100, 0)} for k in (0, 25, 50, 75)] if step == 1 else None,
        thumbLabel=user.t("Threshold in percent"),
        mb="xl",
    )
    words = [
        (user.t("Precision"), "precision"),
        (user.t("Recall"), "recall"),
        ("F1", "f1"),
        (user.t("Predicted positives"), "predicted_positives"),
        (user.t("Return per trade"), "profit"),
        (user.t("Trades"), "trades"),
    ]
    results = html.Div(
        [
            html.Div([dmc.Text(name, size="xs", c="dimmed"), dmc.Text(numbers[part], fw=650, size="lg")])
            for name, part in words
        ],
        className="kw-stats kw-stats-dense",
        role="status",
    )
    parts = [
        slider,
        _choice_of_costs(user, evaluation),
        results,
        *_costs_of_curve(user, evaluation),
        _confusion(user, numbers),
    ]
    return dmc.Stack([dcc.Store(id="threshold-table", data=table), *parts])


def _choice_of_costs(user: UserContext, evaluation: Json) -> Any:
    """Return the costs to see returns after; hidden where there is nothing to choose."""
    choices = other_costs(user, evaluation.get("trades") or {})
    return dmc.Select(
        id="threshold-costs",
        label=user.t("Return per trade after costs on each side"),
        data=choices,
        value="1,0",
        allowDeselect=False,
        maw=520,
        display="none" if len(choices) < 2 else None,
    )


def _costs_of_curve(user: UserContext, evaluation: Json) -> list[Any]:
    """Return what the returns at all thresholds are after, and what they leave out."""
    trades, ended = evaluation.get("trades"), evaluation.get("ended_within_horizon") or {}
    if not trades:
        return []
    lines = [user.t("Returns after costs on each side: {costs}.", costs=cost_words(user, trades))]
    if ended.get("rows"):
        lines.append(
            user.tn(
                "{n} row is left out because trading ended within the horizon.",
                "{n} rows are left out because trading ended within the horizon.",
                int(ended["rows"]),
            )
        )
        if (mean := (ended.get("trades") or {}).get("simulated_profit_pct")) is not None:
            lines.append(
                user.t(
                    "With those, left at the last price, the mean at {threshold} is {mean}%.",
                    threshold=user.threshold(evaluation.get("threshold")),
                    mean=user.signed(mean, 2),
                )
            )
    return [dmc.Text(" ".join(lines), size="sm", c="dimmed")]


def _confusion(user: UserContext, numbers: Mapping[str, Any]) -> Any:
    head = html.Tr(
        [
            html.Th(""),
            html.Th(user.t("predicted positive"), className="kw-r"),
            html.Th(user.t("predicted negative"), className="kw-r"),
        ]
    )
    true = html.Tr(
        [
            html.Th(user.t("actually positive")),
            html.Td(numbers["tp"], className="kw-r kw-good"),
            html.Td(numbers["fn"], className="kw-r kw-bad"),
        ]
    )
    false = html.Tr(
        [
            html.Th(user.t("actually negative")),
            html.Td(numbers["fp"], className="kw-r kw-bad"),
            html.Td(numbers["tn"], className="kw-r kw-good"),
        ]
    )
    return html.Table([html.Thead(head), html.Tbody([true, false])], className="kw-table")


def trade_cards(user: UserContext, evaluations: Mapping[str, Json]) -> list[Any]:
    """Return simulated trades of evaluations with their costs, by their models' names, as a column of a grid."""
    table = trades_table(user, evaluations)
    if table is None:
        return []
    text = user.t("Each predicted positive is traded, entered at its close and left at its horizon.")
    return [card(user.t("Simulated trades and their costs"), table, text=text, span=12)]


def chart_cards(user: UserContext, evaluations: Mapping[str, Json]) -> list[Any]:
    """Return charts of evaluations, by their models' names, each as a column of a grid."""
    half = {"base": 12, "lg": 6}
    drawn = [
        ("pr", user.t("Precision and recall"), figure_precision_recall, user.t("Lines: precision at each recall")),
        ("roc", user.t("ROC"), figure_roc, user.t("Lines: recall at each false positive rate")),
        (
            "calibration",
            user.t("Calibration"),
            figure_calibration,
            user.t("Dots: share that came true at each probability"),
        ),
        ("equity", user.t("Simulated trades"), figure_equity, user.t("Lines: running sum of net returns")),
        (
            "advantage",
            user.t("Advantage over baselines"),
            figure_advantage,
            user.t("Dots with intervals: model minus baseline"),
        ),
    ]
    return [
        card(title, chart(user, f"chart-{key}", draw(evaluations, theme=user.theme), label=label), span=half)
        for key, title, draw, label in drawn
    ]


def test_table(user: UserContext, tests: Sequence[TestResult]) -> Any:
    """Return a model's tests, the newest first."""
    head = [
        user.t("Test"),
        user.t("Period"),
        user.t("Rows"),
        "PR-AUC",
        "F1",
        "ROC-AUC",
        user.t("Return per trade, %"),
        user.t("Remarks"),
    ]
    rows = []
    for test in tests:
        estimates = test.evaluation.get("metrics") or {}
        link = dcc.Link(
            f"#{test.id}", href=f"/dashboard/models/{test.model_id}?test={test.id}", className="kw-link", refresh=True
        )
        cells = [
            user.number(test.num_samples),
            _with_interval(user, estimates.get("pr_auc"), 3),
            user.number(test.metrics.f1, 3),
            user.number(test.metrics.roc_auc, 3),
            user.signed(test.metrics.simulated_profit_pct, 2),
        ]
        period_notes = [user.t("overlaps the training period")] if test.has_overlap else []
        period_notes += [user.t("looks overfitted")] if test.is_overfitted else []
        rows.append(
            html.Tr(
                [
                    html.Td(link),
                    html.Td(f"{user.date_time(test.test_start)} – {user.date_time(test.test_end)}"),
                    *(html.Td(cell, className="kw-r") for cell in cells),
                    html.Td(", ".join(period_notes) or NOTHING),
                ]
            )
        )
    titles = [html.Th(text, className="kw-r" if 2 <= k <= 6 else "") for k, text in enumerate(head)]
    return scrollable(html.Table([html.Thead(html.Tr(titles)), html.Tbody(rows)], className="kw-table"))


def certificate_table(user: UserContext, certificate: Json | None) -> Any:
    """Return the result of a certification."""
    if certificate is None:
        return callout(
            user.t("Not certified yet. “Certify again” above does it; only certified models can be activated.")
        )
    passed = bool(certificate.get("certified"))
    verdict = (
        user.t("No look-ahead was found, and batch and live values agree in every bit.")
        if passed
        else user.t("Certification failed. Do not trust its metrics until the cause is found.")
    )
    rows = [
        (user.t("Values compared bit by bit"), user.number(certificate.get("values_compared"))),
        (user.t("Values that differ"), user.number(certificate.get("differing_bits"))),
        (user.t("Look-ahead probes"), user.number(certificate.get("leak_probes"))),
        (user.t("Failed probes"), user.number(certificate.get("leaks_found"))),
    ]
    return dmc.Stack([callout(verdict, color="teal" if passed else "red"), key_value_table(rows)])


def key_value_table(rows: Sequence[tuple[str, Any]]) -> Any:
    """Return names with their values."""
    body = [html.Tr([html.Th(name, scope="row"), html.Td(value)]) for name, value in rows]
    return scrollable(html.Table(html.Tbody(body), className="kw-table kw-pairs"))
