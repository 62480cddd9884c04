"""Compare models: two models on identical rows, with the difference and its significance."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, redirect_to, require_scope
from kurswerk.dashboard.callbacks.model_lookup import model_names, ready_models
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets import evaluation as shown
from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.components import callout, card, page_header, scrollable
from kurswerk.dashboard.widgets.evaluation_form import (
    cost_values,
    costs_of_form,
    evaluation_form,
    model_options,
    no_ready_model,
    period_notes,
    register_training_marks,
)
from kurswerk.dashboard.widgets.period_picker import period_from_fields, register_period_picker
from kurswerk.dashboard.widgets.trade_costs import register_cost_fields
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.formats import NOTHING
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import Comparison, ModelRecord
from kurswerk.reports import figure_metrics

_SIGNIFICANT_P: Final = 0.05
_METRICS: Final = ("pr_auc", "roc_auc", "f1", "precision", "recall", "accuracy", "mcc", "brier", "log_loss")


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the form, with ``a`` and ``b`` of the address chosen, or the comparison that ``comparison`` names."""
    ready = ready_models(app)
    head = page_header(
        user.t("Compare models"),
        text=user.t("Two models on identical rows: which is better, and is the difference significant?"),
    )
    if not ready:
        return html.Div([head, no_ready_model(user)])
    if query.get("comparison", "").isdigit():
        return html.Div([head, _comparison(app, user, app.services.results.comparison(int(query["comparison"])))])
    ids = [str(record.id) for record in ready]
    a = query.get("a", "") if query.get("a") in ids else ids[0]
    b = query.get("b", "") if query.get("b") in ids else next((one for one in ids if one != a), None)
    chosen = [record for one in dict.fromkeys([a, b]) for record in ready if str(record.id) == one]
    return html.Div([head, _form(app, user, ready, (a, b), chosen), _earlier_comparisons(app, user, ready)])


def _form(
    app: DashboardApp,
    user: UserContext,
    ready: Sequence[ModelRecord],
    sides: tuple[str, str | None],
    chosen: Sequence[ModelRecord],
) -> Any:
    choices = model_options(ready)
    pair = dmc.SimpleGrid(
        [
            dmc.Select(
                id="compare-a",
                label=user.t("Model A"),
                data=choices,
                value=sides[0],
                searchable=True,
                allowDeselect=False,
            ),
            dmc.Select(
                id="compare-b",
                label=user.t("Model B"),
                data=choices,
                value=sides[1],
                searchable=True,
                allowDeselect=False,
            ),
        ],
        cols={"base": 1, "xs": 2},
    )
    return evaluation_form(
        app, user, "compare", user.t("Models, period and coins"), pair, chosen, user.t("Compare them")
    )


def _earlier_comparisons(app: DashboardApp, user: UserContext, ready: Sequence[ModelRecord]) -> Any:
    found: dict[int | None, Comparison] = {}
    for record in ready[:20]:
        found |= {one.id: one for one in app.services.results.comparisons_of(record.id, limit=10)}
    if not found:
        return html.Div()
    names = model_names(app)
    head = [user.t("Comparison"), user.t("Period"), user.t("Rows"), user.t("Winner by F1"), user.t("Significant?")]
    rows = [
        html.Tr(
            [
                html.Td(
                    dcc.Link(
                        f"{_name(names, one.model_a_id)} – {_name(names, one.model_b_id)}",
                        href=f"/dashboard/compare?comparison={one.id}",
                        className="kw-link",
                        refresh=True,
                    )
                ),
                html.Td(f"{user.date_time(one.test_start)} – {user.date_time(one.test_end)}"),
                html.Td(user.number(one.num_samples), className="kw-r"),
                html.Td(user.t("draw") if one.winner_id is None else _name(names, one.winner_id)),
                html.Td(user.t("yes") if one.significance.get("more_than_luck") else user.t("no")),
            ]
        )
        for one in sorted(found.values(), key=lambda one: -(one.id or 0))[:20]
    ]
    titles = [html.Th(text, className="kw-r" if k == 2 else "") for k, text in enumerate(head)]
    table = html.Table([html.Thead(html.Tr(titles)), html.Tbody(rows)], className="kw-table")
    return html.Div(card(user.t("Earlier comparisons"), scrollable(table)), style={"marginTop": 16})


def _name(names: Mapping[int, str], model_id: int) -> str:
    return names.get(model_id, f"#{model_id}")


def _comparison(app: DashboardApp, user: UserContext, one: Comparison) -> Any:
    names = model_names(app)
    a, b = _name(names, one.model_a_id), _name(names, one.model_b_id)
    estimates = {a: one.significance.get("a") or {}, b: one.significance.get("b") or {}}
    tests = {a: app.services.results.test(one.test_a_id), b: app.services.results.test(one.test_b_id)}
    evaluations = {name: test.evaluation for name, test in tests.items()}
    drawing = figure_metrics(estimates, theme=user.theme)
    period = f"{user.date_time(one.test_start)} – {user.date_time(one.test_end)}"
    return dmc.Stack(
        [
            card(
                user.t("{a} and {b}", a=a, b=b),
                dmc.Text(comparison_summary(user, one, a, b)),
                dmc.Text(
                    user.t("{rows} identical rows, {period}", rows=user.number(one.num_samples), period=period),
                    size="sm",
                    c="dimmed",
                ),
            ),
            dmc.Grid(
                [
                    card(user.t("Side by side"), _metric_table(user, one, a, b), span={"base": 12, "lg": 6}),
                    card(
                        user.t("With their intervals"),
                        chart(
                            user,
                            "compare-metrics",
                            drawing,
                            label=user.t("Dots with intervals: metrics of both models"),
                        ),
                        span={"base": 12, "lg": 6},
                    ),
                    *shown.trade_cards(user, evaluations),
                    *shown.chart_cards(user, evaluations),
                ]
            ),
        ]
    )


def comparison_summary(user: UserContext, one: Comparison, a: str, b: str) -> str:
    """Return which model is better, and whether the difference is significant."""
    significance = one.significance
    difference = (significance.get("differences") or {}).get("pr_auc") or {}
    value, low, high = (difference.get(key) for key in ("value", "low", "high"))
    if value is None:
        return user.t("No row is positive, so neither ranking can be evaluated.")
    if value == 0:
        return f"{user.t('Both rank equally well.')} {_error_rates(user, significance.get('mcnemar') or {}, a, b)}"
    better = a if value > 0 else b
    values = {"better": better, "difference": user.number(abs(value), 4)}
    if low is None or high is None:
        lead = user.t(
            "{better} ranks better by {difference} PR-AUC, but there are too few coins to separate it from chance.",
            **values,
        )
    else:
        low, high = (low, high) if value > 0 else (0.0 - high, 0.0 - low)  # of the lead of the better one
        values |= {"low": user.signed(low, 4), "high": user.signed(high, 4)}
        if significance.get("more_than_luck"):
            lead = user.t(
                "{better} ranks better by {difference} PR-AUC; within {low} … {high}, so this is significant.",
                **values,
            )
        else:
            lead = user.t(
                "{better} ranks better by {difference} PR-AUC; within {low} … {high}, so it may be chance.", **values
            )
    return f"{lead} {_error_rates(user, significance.get('mcnemar') or {}, a, b)}"


def _error_rates(user: UserContext, test: Mapping[str, Any], a: str, b: str) -> str:
    if not test:
        return ""
    only_a, only_b = test["only_a_right"], test["only_b_right"]
    values = {
        "a": a,
        "b": b,
        "na": user.number(only_a),
        "nb": user.number(only_b),
        "p": user.number(test["p_value"], 3),
    }
    if test["p_value"] >= _SIGNIFICANT_P:
        return user.t("They err about equally often ({na} rows only {a} has right, {nb} only {b}; p = {p}).", **values)
    values["fewer"] = a if only_a > only_b else b
    return user.t("{fewer} errs less often ({na} rows only {a} has right, {nb} only {b}; p = {p}).", **values)


def _metric_table(user: UserContext, one: Comparison, a: str, b: str) -> Any:
    significance = one.significance
    head = [html.Th(user.t("Metric")), *(html.Th(text, className="kw-r") for text in (a, b, user.t("Difference")))]
    rows = []
    for metric in _METRICS:
        name, _, digits, _ = shown.METRICS[metric]
        sides = [((significance.get(side) or {}).get(metric) or {}).get("value") for side in ("a", "b")]
        difference = (significance.get("differences") or {}).get(metric) or {}
        text: list[Any] = [user.signed(difference.get("value"), digits)]
        if difference.get("low") is not None:
            interval = f"[{user.signed(difference['low'], digits)} … {user.signed(difference['high'], digits)}]"
            text += [" ", html.Span(interval, className="kw-muted kw-nowrap")]
        cells = [
            html.Td(user.number(side, digits) if side is not None else NOTHING, className="kw-r") for side in sides
        ]
        rows.append(html.Tr([html.Td(user.t(name)), *cells, html.Td(text, className="kw-r")]))
    return scrollable(html.Table([html.Thead(html.Tr(head)), html.Tbody(rows)], className="kw-table"))


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    register_period_picker(app, "compare")
    register_cost_fields(app, "compare")
    register_training_marks(app, "compare", Input("compare-a", "value"), Input("compare-b", "value"))
    app.clientside_callback(
        "(a, b) => kurswerk.query({a, b})", Input("compare-a", "value"), Input("compare-b", "value")
    )

    @app.callback(
        Output("compare-remarks", "children"),
        Output("compare-order", "disabled"),
        Input("compare-a", "value"),
        Input("compare-b", "value"),
        Input("compare-start", "value"),
        Input("compare-end", "value"),
        *cost_values(Input, "compare"),
        initial_call=True,
    )
    def check(user: UserContext, a: str | None, b: str | None, start: str | None, end: str | None, *costs: Any) -> Any:
        if not a or not b or a == b:
            return callout(
                user.t("Choose two different models. One more is trained in a minute."), color="orange"
            ), True
        fine = user.t("The period lies outside of both trainings.")
        return period_notes(app, user, (a, b), (start, end), costs_of_form(costs), fine)

    @app.callback(
        Output("go", "data", allow_duplicate=True),
        Input("compare-order", "n_clicks"),
        State("compare-a", "value"),
        State("compare-b", "value"),
        State("compare-start", "value"),
        State("compare-end", "value"),
        State("compare-mints", "value"),
        *cost_values(State, "compare"),
        running=[(Output("compare-order", "loading"), True, False)],
    )
    def order(
        user: UserContext, _: int | None, a: str, b: str, start: str, end: str, mints: list[str] | None, *costs: Any
    ) -> Any:
        require_scope(user, "train")
        period = period_from_fields(user, start, end)
        chosen = {"mints": mints or None, "costs": costs_of_form(costs)}
        request = {"model_a_id": int(a), "model_b_id": int(b), **period.as_request(), **chosen}
        job = app.services.job_service.order("COMPARE", request)
        notify(user.t("Job created"), user.t("Job {id} is in the queue.", id=job.id))
        return redirect_to("/dashboard/jobs")


PAGE: Final = PageDefinition("/compare", N_("Compare models"), layout, register_callbacks, icon="compare", charts=True)
