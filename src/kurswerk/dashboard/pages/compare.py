"""Compare: two models on the identical rows, with the difference in words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.dashboard import _evaluations as shown
from kurswerk.dashboard._components import alert, card, figure, heading, wide
from kurswerk.dashboard._kit import Kit, Page, demand, notify, to
from kurswerk.dashboard._listings import model_names, ready_models
from kurswerk.dashboard._periods import period_of, register_period
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._trials import model_choices, no_ready_model, order_form, register_marks, remarks
from kurswerk.dashboard._view import NOTHING, View
from kurswerk.registry import Comparison, ModelRecord
from kurswerk.reports import figure_metrics
from kurswerk.training import order_comparison

_SURE_P: Final = 0.05
_FIGURES: Final = ("pr_auc", "roc_auc", "f1", "precision", "recall", "accuracy", "mcc", "brier", "log_loss")


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return the form, with ``a`` and ``b`` of the address chosen, or the comparison that ``comparison`` names."""
    ready = ready_models(kit)
    head = heading(
        view.t("Compare"), text=view.t("Two models on the identical rows: which is better, and is it more than luck?")
    )
    if not ready:
        return html.Div([head, no_ready_model(view)])
    if query.get("comparison", "").isdigit():
        return html.Div([head, _shown(kit, view, kit.services.results.comparison(int(query["comparison"])))])
    ids = [str(record.id) for record in ready]
    a = query.get("a", "") if query.get("a") in ids else ids[0]
    b = query.get("b", "") if query.get("b") in ids else next((one for one in ids if one != a), None)
    chosen = [record for one in dict.fromkeys([a, b]) for record in ready if str(record.id) == one]
    return html.Div([head, _form(kit, view, ready, (a, b), chosen), _earlier(kit, view, ready)])


def _form(
    kit: Kit, view: View, ready: Sequence[ModelRecord], sides: tuple[str, str | None], chosen: Sequence[ModelRecord]
) -> Any:
    choices = model_choices(ready)
    pair = dmc.SimpleGrid(
        [
            dmc.Select(
                id="compare-a",
                label=view.t("Model A"),
                data=choices,
                value=sides[0],
                searchable=True,
                allowDeselect=False,
            ),
            dmc.Select(
                id="compare-b",
                label=view.t("Model B"),
                data=choices,
                value=sides[1],
                searchable=True,
                allowDeselect=False,
            ),
        ],
        cols={"base": 1, "xs": 2},
    )
    return order_form(kit, view, "compare", view.t("Which two, on what?"), pair, chosen, view.t("Compare them"))


def _earlier(kit: Kit, view: View, ready: Sequence[ModelRecord]) -> Any:
    found: dict[int | None, Comparison] = {}
    for record in ready[:20]:
        found |= {one.id: one for one in kit.services.results.comparisons_of(record.id, limit=10)}
    if not found:
        return html.Div()
    names = model_names(kit)
    head = [view.t("Comparison"), view.t("Period"), view.t("Rows"), view.t("Winner by F1"), view.t("More than luck?")]
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
                html.Td(f"{view.moment(one.test_start)} – {view.moment(one.test_end)}"),
                html.Td(view.number(one.num_samples), className="kw-r"),
                html.Td(view.t("draw") if one.winner_id is None else _name(names, one.winner_id)),
                html.Td(view.t("yes") if one.significance.get("more_than_luck") else view.t("no")),
            ]
        )
        for one in sorted(found.values(), key=lambda one: -(one.id or 0))[:20]
    ]
    titles = [html.Th(text, className="kw-r" if k == 2 else "") for k, text in enumerate(head)]
    table = html.Table([html.Thead(html.Tr(titles)), html.Tbody(rows)], className="kw-table")
    return html.Div(card(view.t("Earlier comparisons"), wide(table)), style={"marginTop": 16})


def _name(names: Mapping[int, str], model_id: int) -> str:
    return names.get(model_id, f"#{model_id}")


def _shown(kit: Kit, view: View, one: Comparison) -> Any:
    names = model_names(kit)
    a, b = _name(names, one.model_a_id), _name(names, one.model_b_id)
    estimates = {a: one.significance.get("a") or {}, b: one.significance.get("b") or {}}
    tests = {a: kit.services.results.test(one.test_a_id), b: kit.services.results.test(one.test_b_id)}
    evaluations = {name: test.evaluation for name, test in tests.items()}
    drawing = figure_metrics(estimates, theme=view.theme)
    period = f"{view.moment(one.test_start)} – {view.moment(one.test_end)}"
    return dmc.Stack(
        [
            card(
                view.t("{a} and {b}", a=a, b=b),
                dmc.Text(sentence(view, one, a, b)),
                dmc.Text(
                    view.t("{rows} identical rows, {period}", rows=view.number(one.num_samples), period=period),
                    size="sm",
                    c="dimmed",
                ),
            ),
            dmc.Grid(
                [
                    card(view.t("Side by side"), _table(view, one, a, b), span={"base": 12, "lg": 6}),
                    card(
                        view.t("With their intervals"),
                        figure(
                            view,
                            "compare-metrics",
                            drawing,
                            label=view.t("Dots with intervals: figures of both models"),
                        ),
                        span={"base": 12, "lg": 6},
                    ),
                    *shown.curve_cards(view, evaluations),
                ]
            ),
        ]
    )


def sentence(view: View, one: Comparison, a: str, b: str) -> str:
    """Say which model is better, and whether the difference may be luck."""
    significance = one.significance
    difference = (significance.get("differences") or {}).get("pr_auc") or {}
    value, low, high = (difference.get(key) for key in ("value", "low", "high"))
    if value is None:
        return view.t("No row is positive, so neither ranking can be judged.")
    if value == 0:
        return f"{view.t('Both rank equally well.')} {_errors(view, significance.get('mcnemar') or {}, a, b)}"
    better = a if value > 0 else b
    values = {"better": better, "difference": view.number(abs(value), 4)}
    if low is None or high is None:
        lead = view.t(
            "{better} ranks better by {difference} PR-AUC, but there are too few coins to tell it from luck.", **values
        )
    else:
        low, high = (low, high) if value > 0 else (0.0 - high, 0.0 - low)  # of the lead of the better one
        values |= {"low": view.signed(low, 4), "high": view.signed(high, 4)}
        if significance.get("more_than_luck"):
            lead = view.t(
                "{better} ranks better by {difference} PR-AUC; within {low} … {high}, so it is more than luck.",
                **values,
            )
        else:
            lead = view.t(
                "{better} ranks better by {difference} PR-AUC; within {low} … {high}, so it may be luck.", **values
            )
    return f"{lead} {_errors(view, significance.get('mcnemar') or {}, a, b)}"


def _errors(view: View, test: Mapping[str, Any], a: str, b: str) -> str:
    if not test:
        return ""
    only_a, only_b = test["only_a_right"], test["only_b_right"]
    values = {
        "a": a,
        "b": b,
        "na": view.number(only_a),
        "nb": view.number(only_b),
        "p": view.number(test["p_value"], 3),
    }
    if test["p_value"] >= _SURE_P:
        return view.t("They err about equally often ({na} rows only {a} has right, {nb} only {b}; p = {p}).", **values)
    values["fewer"] = a if only_a > only_b else b
    return view.t("{fewer} errs less often ({na} rows only {a} has right, {nb} only {b}; p = {p}).", **values)


def _table(view: View, one: Comparison, a: str, b: str) -> Any:
    significance = one.significance
    head = [html.Th(view.t("Figure")), *(html.Th(text, className="kw-r") for text in (a, b, view.t("Difference")))]
    rows = []
    for metric in _FIGURES:
        name, _, digits, _ = shown.METRICS[metric]
        sides = [((significance.get(side) or {}).get(metric) or {}).get("value") for side in ("a", "b")]
        difference = (significance.get("differences") or {}).get(metric) or {}
        text: list[Any] = [view.signed(difference.get("value"), digits)]
        if difference.get("low") is not None:
            interval = f"[{view.signed(difference['low'], digits)} … {view.signed(difference['high'], digits)}]"
            text += [" ", html.Span(interval, className="kw-muted kw-nowrap")]
        cells = [
            html.Td(view.number(side, digits) if side is not None else NOTHING, className="kw-r") for side in sides
        ]
        rows.append(html.Tr([html.Td(view.t(name)), *cells, html.Td(text, className="kw-r")]))
    return wide(html.Table([html.Thead(html.Tr(head)), html.Tbody(rows)], className="kw-table"))


def register(kit: Kit) -> None:
    """Add the callbacks."""
    register_period(kit, "compare")
    register_marks(kit, "compare", Input("compare-a", "value"), Input("compare-b", "value"))
    kit.in_browser("(a, b) => kurswerk.query({a, b})", Input("compare-a", "value"), Input("compare-b", "value"))

    @kit.on(
        Output("compare-remarks", "children"),
        Output("compare-order", "disabled"),
        Input("compare-a", "value"),
        Input("compare-b", "value"),
        Input("compare-start", "value"),
        Input("compare-end", "value"),
        at_start=True,
    )
    def check(view: View, a: str | None, b: str | None, start: str | None, end: str | None) -> Any:
        if not a or not b or a == b:
            return alert(view.t("Choose two different models. One more is trained in a minute."), color="orange"), True
        return remarks(kit, view, (a, b), (start, end), view.t("The period lies outside of both trainings."))

    @kit.on(
        Output("go", "data", allow_duplicate=True),
        Input("compare-order", "n_clicks"),
        State("compare-a", "value"),
        State("compare-b", "value"),
        State("compare-start", "value"),
        State("compare-end", "value"),
        State("compare-mints", "value"),
        running=[(Output("compare-order", "loading"), True, False)],
    )
    def order(view: View, _: int | None, a: str, b: str, start: str, end: str, mints: list[str] | None) -> Any:
        demand(view, "train")
        period = period_of(view, start, end)
        job = order_comparison(int(a), int(b), period, mints or None, kit.services.desk)
        notify(view.t("Ordered"), view.t("Job {id} is in the queue.", id=job.id))
        return to("/dashboard/jobs")


PAGE: Final = Page("/compare", N_("Compare"), build, register, icon="compare", charts=True)
