"""What may be done with one model: test, activate, certify, download, delete, and set its alerts."""

from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, redirect_to, require_scope
from kurswerk.dashboard.widgets.alert_table import alert_table
from kurswerk.dashboard.widgets.components import callout, link_button, number_input, stat, stat_row
from kurswerk.dashboard.widgets.confirm_button import confirm_button, confirm_id
from kurswerk.dashboard.widgets.live_performance import live_performance_panel
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import ModelRecord
from kurswerk.training import specification_again

_MAX_NAME_LENGTH: Final = 255


def actions(user: UserContext, record: ModelRecord) -> list[Any]:
    """Return links and buttons for what may be done with a model."""
    ready = record.status == "READY"
    return [
        *(
            [
                link_button(user.t("Test"), f"/dashboard/test?models={record.id}"),
                link_button(user.t("Compare"), f"/dashboard/compare?a={record.id}"),
                dmc.Button(
                    user.t("Deactivate") if record.is_active else user.t("Activate"),
                    id="model-activate",
                    variant="light" if record.is_active else "filled",
                ),
            ]
            if ready
            else []
        ),
        *(
            [dmc.Button(user.t("Train again"), id="model-train-again")]
            if record.status == "NO_ARTIFACT" and record.spec
            else []
        ),
        link_button(user.t("Clone"), f"/dashboard/new?clone={record.id}", variant="default"),
        dmc.Button(user.t("Certify again"), id="model-certify", variant="default", disabled=not ready),
        dmc.Button(user.t("Download (ONNX)"), id="model-download", variant="default", disabled=not ready),
        dcc.Download(id="model-file"),
        confirm_button(
            user,
            "model-delete",
            user.t("Delete"),
            user.t("“{name}”, its tests and its live predictions disappear from all lists.", name=record.name),
        ),
    ]


def naming(user: UserContext, record: ModelRecord) -> Any:
    """Return fields for a model's name and description."""
    return dmc.Stack(
        [
            dmc.TextInput(id="model-name", label=user.t("Name"), value=record.name, maw=480),
            dmc.Textarea(
                id="model-description",
                label=user.t("Description"),
                value=record.description or "",
                autosize=True,
                maw=640,
            ),
            dmc.Group([dmc.Button(user.t("Save"), id="model-name-save", variant="light")]),
        ],
        gap="xs",
    )


def live_panel(app: DashboardApp, user: UserContext, record: ModelRecord) -> Any:
    """Return a model's live metrics, its threshold and its alerts."""
    live = app.services.live
    if live is None:
        return callout(user.t("No predictor is part of this installation."))
    predictions = live.predictions(model_id=record.id, limit=500)
    return dmc.Stack(
        [
            stat_row(
                stat(user.t("Newest predictions"), user.number(len(predictions))),
                stat(
                    user.t("Highest probability"),
                    user.percent(max((one.probability for one in predictions), default=None)),
                ),
            ),
            html.Div(id="model-live-metrics", style={"minHeight": 92}),
            dmc.Group(
                [
                    number_input(
                        user,
                        id="model-threshold",
                        label=user.t("Raise an alert from this probability, in percent"),
                        value=round(100 * record.alert_threshold, 2),
                        min=0,
                        max=100,
                        step=1,
                        w=340,
                    ),
                    dmc.Button(user.t("Save"), id="model-threshold-save", variant="light"),
                ],
                align="flex-end",
            ),
            alert_table(app, user, "model-alerts", record.id),
            dmc.Group(
                [
                    link_button(user.t("Watch its predictions"), f"/dashboard/live?model={record.id}"),
                    dmc.Button(user.t("Reload the model"), id="model-reload", variant="default"),
                ]
            ),
        ]
    )


def register_actions(app: DashboardApp) -> None:
    """Add the callbacks."""

    @app.callback(
        Output("model-live-metrics", "children"),
        Input("model-tabs", "value"),
        State("model-id", "data"),
        initial_call=True,
    )
    def evaluate_live(user: UserContext, tab: str, model_id: int) -> Any:
        if tab != "live":
            raise PreventUpdate
        if app.services.live is None:
            return None
        record = app.services.models.get(model_id)
        return live_performance_panel(user, record.name, app.services.live.performance(record))

    @app.callback(Output("model-file", "data"), Input("model-download", "n_clicks"), State("model-id", "data"))
    def download(_: UserContext, clicks: int | None, model_id: int) -> Any:
        record = app.services.models.get(model_id)
        if not clicks or record.artifact_sha256 is None:
            return None
        return dcc.send_bytes(app.services.models.artifact(record.artifact_sha256), f"{record.name}.onnx")

    @app.callback(Input("model-certify", "n_clicks"), State("model-id", "data"))
    def certify(user: UserContext, clicks: int | None, model_id: int) -> None:
        if clicks:
            require_scope(user, "train")
            job = app.services.job_service.order("CERTIFY", {"model_id": model_id})
            notify(user.t("Job created"), user.t("Job {id} is in the queue.", id=job.id))

    @app.callback(Input("model-reload", "n_clicks"), State("model-id", "data"))
    def reload(user: UserContext, clicks: int | None, model_id: int) -> None:
        if clicks and app.services.live is not None:
            require_scope(user, "admin")
            app.services.live.reload(model_id)
            notify(user.t("Job created"), user.t("Every running predictor reloads the model."))

    _register_training_again(app)
    _register_naming(app)
    _register_changes(app)


def _register_training_again(app: DashboardApp) -> None:
    @app.callback(
        Output("go", "data", allow_duplicate=True), Input("model-train-again", "n_clicks"), State("model-id", "data")
    )
    def train_again(user: UserContext, clicks: int | None, model_id: int) -> Any:
        if not clicks:
            raise PreventUpdate
        require_scope(user, "train")
        models = app.services.models
        job = app.services.job_service.order("TRAIN", specification_again(models.get(model_id), models))
        app.cache.clear()
        notify(user.t("Job created"), user.t("Job {id} is in the queue.", id=job.id))
        return redirect_to(f"/dashboard/models/{job.result_model_id}")


def _register_naming(app: DashboardApp) -> None:
    @app.callback(
        Output("go", "data", allow_duplicate=True),
        Input("model-name-save", "n_clicks"),
        State("model-name", "value"),
        State("model-description", "value"),
        State("model-id", "data"),
    )
    def rename(user: UserContext, _: int | None, name: str | None, description: str | None, model_id: int) -> Any:
        require_scope(user, "train")
        given = (name or "").strip()
        if not 0 < len(given) <= _MAX_NAME_LENGTH:
            raise InvalidInputError("dashboard.model_name_length", most=_MAX_NAME_LENGTH)
        app.services.models.update(model_id, {"name": given, "description": (description or "").strip() or None})
        app.cache.clear()
        notify(user.t("Saved"), given)
        return redirect_to(f"/dashboard/models/{model_id}?tab=specification")


def _register_changes(app: DashboardApp) -> None:
    @app.callback(
        Output("go", "data", allow_duplicate=True),
        Input(confirm_id("model-delete"), "n_clicks"),
        State("model-id", "data"),
    )
    def delete(user: UserContext, clicks: int | None, model_id: int) -> Any:
        if not clicks:
            raise PreventUpdate
        require_scope(user, "admin")
        name = app.services.models.get(model_id).name
        app.services.models.delete(model_id)
        app.cache.clear()
        notify(user.t("Deleted"), name)
        return redirect_to("/dashboard/models")

    @app.callback(
        Output("model-activate", "children"),
        Output("model-activate", "variant"),
        Input("model-activate", "n_clicks"),
        State("model-id", "data"),
    )
    def activate(user: UserContext, _: int | None, model_id: int) -> Any:
        require_scope(user, "admin")
        live = app.services.live
        if live is None:
            raise InvalidInputError("dashboard.no_predictor")
        active = app.services.models.get(model_id).is_active
        (live.deactivate if active else live.activate)(model_id)
        app.cache.clear()
        if active:
            notify(user.t("Deactivated"), user.t("The model predicts no more."))
            return user.t("Activate"), "filled"
        notify(user.t("Activated"), user.t("The model now predicts each new row; see “Live predictions”."))
        return user.t("Deactivate"), "light"

    @app.callback(
        Output("model-threshold", "value"),
        Input("model-threshold-save", "n_clicks"),
        State("model-threshold", "value"),
        State("model-id", "data"),
    )
    def save_threshold(user: UserContext, _: int | None, percent: Any, model_id: int) -> Any:
        require_scope(user, "train")
        if not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise InvalidInputError("dashboard.percent_out_of_range")
        if app.services.live is not None:
            app.services.live.set_threshold(model_id, percent / 100)
        notify(user.t("Saved"), user.t("Alerts are raised from {share}.", share=user.threshold(percent / 100)))
        return percent
