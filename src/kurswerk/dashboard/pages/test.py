"""Test: judge models on a period and coins of one's choice."""

from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, redirect_to, require_scope
from kurswerk.dashboard.callbacks.model_lookup import ready_models
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets.components import callout, page_header
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
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.training import COST_PRESETS


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the form; ``models`` of the address are chosen already."""
    ready = ready_models(app)
    if not ready:
        return html.Div([page_header(user.t("Test models")), no_ready_model(user)])
    there = {str(record.id): record for record in ready}
    wanted = [one for one in dict.fromkeys(query.get("models", "").split(",")) if one in there]
    chosen = [there[one] for one in wanted]
    return html.Div(
        [
            page_header(user.t("Test models"), text=user.t("Evaluate models on rows they were not trained on.")),
            evaluation_form(
                app,
                user,
                "test",
                user.t("Models, period and coins"),
                dmc.MultiSelect(
                    id="test-models", label=user.t("Models"), data=model_options(ready), value=wanted, searchable=True
                ),
                chosen,
                user.t("Start the test"),
                query.get("costs") if query.get("costs") in COST_PRESETS else None,
            ),
        ]
    )


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    register_period_picker(app, "test")
    register_cost_fields(app, "test")
    register_training_marks(app, "test", Input("test-models", "value"))
    app.clientside_callback("(models) => kurswerk.query({models})", Input("test-models", "value"))

    @app.callback(
        Output("test-remarks", "children"),
        Output("test-order", "disabled"),
        Input("test-models", "value"),
        Input("test-start", "value"),
        Input("test-end", "value"),
        *cost_values(Input, "test"),
        initial_call=True,
    )
    def check(user: UserContext, models: list[str] | None, start: str | None, end: str | None, *costs: Any) -> Any:
        if not models:
            return callout(user.t("Choose at least one model.")), True
        fine = user.t("The period lies outside of the training.")
        return period_notes(app, user, models, (start, end), costs_of_form(costs), fine)

    @app.callback(
        Output("go", "data", allow_duplicate=True),
        Input("test-order", "n_clicks"),
        State("test-models", "value"),
        State("test-start", "value"),
        State("test-end", "value"),
        State("test-mints", "value"),
        *cost_values(State, "test"),
        running=[(Output("test-order", "loading"), True, False)],
    )
    def order(
        user: UserContext, _: int | None, models: list[str], start: str, end: str, mints: list[str] | None, *costs: Any
    ) -> Any:
        require_scope(user, "train")
        if not models:
            raise InvalidInputError("dashboard.no_model_chosen")
        period = period_from_fields(user, start, end)
        request = {**period.as_request(), "mints": mints or None, "costs": costs_of_form(costs)}
        jobs = [app.services.job_service.order("TEST", {"model_id": int(one), **request}) for one in models]
        text = user.tn("Job {id} is in the queue.", "{n} jobs are in the queue.", len(jobs), id=jobs[0].id)
        notify(user.t("Job created"), text)
        return redirect_to("/dashboard/jobs")


PAGE: Final = PageDefinition("/test", N_("Test models"), layout, register_callbacks, icon="test", charts=True)
