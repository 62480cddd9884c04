"""Test: judge models on a period and coins of one's choice."""

from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard._components import alert, heading
from kurswerk.dashboard._kit import Kit, Page, demand, notify, to
from kurswerk.dashboard._listings import ready_models
from kurswerk.dashboard._periods import period_of, register_period
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._trials import model_choices, no_ready_model, order_form, register_marks, remarks
from kurswerk.dashboard._view import View
from kurswerk.training import order_test


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return the form; ``models`` of the address are chosen already."""
    ready = ready_models(kit)
    if not ready:
        return html.Div([heading(view.t("Test")), no_ready_model(view)])
    there = {str(record.id): record for record in ready}
    wanted = [one for one in dict.fromkeys(query.get("models", "").split(",")) if one in there]
    chosen = [there[one] for one in wanted]
    return html.Div(
        [
            heading(view.t("Test"), text=view.t("Judge models on rows they have not learnt from.")),
            order_form(
                kit,
                view,
                "test",
                view.t("What is tested on what?"),
                dmc.MultiSelect(
                    id="test-models", label=view.t("Models"), data=model_choices(ready), value=wanted, searchable=True
                ),
                chosen,
                view.t("Start the test"),
            ),
        ]
    )


def register(kit: Kit) -> None:
    """Add the callbacks."""
    register_period(kit, "test")
    register_marks(kit, "test", Input("test-models", "value"))
    kit.in_browser("(models) => kurswerk.query({models})", Input("test-models", "value"))

    @kit.on(
        Output("test-remarks", "children"),
        Output("test-order", "disabled"),
        Input("test-models", "value"),
        Input("test-start", "value"),
        Input("test-end", "value"),
        at_start=True,
    )
    def check(view: View, models: list[str] | None, start: str | None, end: str | None) -> Any:
        if not models:
            return alert(view.t("Choose at least one model.")), True
        return remarks(kit, view, models, (start, end), view.t("The period lies outside of the training."))

    @kit.on(
        Output("go", "data", allow_duplicate=True),
        Input("test-order", "n_clicks"),
        State("test-models", "value"),
        State("test-start", "value"),
        State("test-end", "value"),
        State("test-mints", "value"),
        running=[(Output("test-order", "loading"), True, False)],
    )
    def order(view: View, _: int | None, models: list[str], start: str, end: str, mints: list[str] | None) -> Any:
        demand(view, "train")
        if not models:
            raise InvalidInputError(view.t("Choose at least one model."))
        period = period_of(view, start, end)
        jobs = [order_test(int(one), period, mints or None, kit.services.desk) for one in models]
        one = view.t("Job {id} is in the queue.", id=jobs[0].id)
        notify(view.t("Ordered"), one if len(jobs) == 1 else view.t("{n} jobs are in the queue.", n=len(jobs)))
        return to("/dashboard/jobs")


PAGE: Final = Page("/test", N_("Test"), build, register, icon="test", charts=True)
