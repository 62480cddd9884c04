"""What may be done with one model: test, activate, certify, download, delete, and set its alerts."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import to_us
from kurswerk.dashboard._alerts import alert_table
from kurswerk.dashboard._components import alert, danger, danger_id, fact, facts, link_button, number_field
from kurswerk.dashboard._kit import Kit, demand, notify, to
from kurswerk.dashboard._view import View
from kurswerk.registry import ModelRecord
from kurswerk.training import order_certificate, outcomes_of

_LONGEST_NAME: Final = 255
_MOST_JUDGED: Final = 2000


def actions(view: View, record: ModelRecord) -> list[Any]:
    """Return links and buttons for what may be done with a model."""
    ready = record.status == "READY"
    return [
        *(
            [
                link_button(view.t("Test"), f"/dashboard/test?models={record.id}"),
                link_button(view.t("Compare"), f"/dashboard/compare?a={record.id}"),
                dmc.Button(
                    view.t("Deactivate") if record.is_active else view.t("Activate"),
                    id="model-activate",
                    variant="light" if record.is_active else "filled",
                ),
            ]
            if ready
            else []
        ),
        link_button(view.t("Clone"), f"/dashboard/new?clone={record.id}", variant="default"),
        dmc.Button(view.t("Certify again"), id="model-certify", variant="default", disabled=not ready),
        dmc.Button(view.t("Download (ONNX)"), id="model-download", variant="default", disabled=not ready),
        dcc.Download(id="model-file"),
        danger(
            view,
            "model-delete",
            view.t("Delete"),
            view.t("“{name}”, its tests and its live predictions disappear from all lists.", name=record.name),
        ),
    ]


def naming(view: View, record: ModelRecord) -> Any:
    """Return fields for a model's name and description."""
    return dmc.Stack(
        [
            dmc.TextInput(id="model-name", label=view.t("Name"), value=record.name, maw=480),
            dmc.Textarea(
                id="model-description",
                label=view.t("Description"),
                value=record.description or "",
                autosize=True,
                maw=640,
            ),
            dmc.Group([dmc.Button(view.t("Save"), id="model-name-save", variant="light")]),
        ],
        gap="xs",
    )


def live_panel(kit: Kit, view: View, record: ModelRecord) -> Any:
    """Return how a model does at work, and from when it raises alerts."""
    live = kit.services.live
    if live is None:
        return alert(view.t("No predictor is part of this installation."))
    predictions = live.predictions(model_id=record.id, limit=500)
    return dmc.Stack(
        [
            facts(
                fact(view.t("Newest predictions"), view.number(len(predictions))),
                fact(
                    view.t("Strongest of them"),
                    view.percent(max((one.probability for one in predictions), default=None)),
                ),
            ),
            html.Div(id="model-came", style={"minHeight": 92}),
            dmc.Group(
                [
                    number_field(
                        view,
                        id="model-threshold",
                        label=view.t("Raise an alert from this probability, in percent"),
                        value=round(100 * record.alert_threshold, 2),
                        min=0,
                        max=100,
                        step=1,
                        w=340,
                    ),
                    dmc.Button(view.t("Save"), id="model-threshold-save", variant="light"),
                ],
                align="flex-end",
            ),
            alert_table(kit, view, "model-alerts", record.id),
            dmc.Group(
                [
                    link_button(view.t("Watch its predictions"), f"/dashboard/live?model={record.id}"),
                    dmc.Button(view.t("Load it anew"), id="model-reload", variant="default"),
                ]
            ),
        ]
    )


def _came(kit: Kit, view: View, record: ModelRecord) -> Any:
    """Return how often its live predictions came true, as far as it is known by now."""
    if kit.services.live is None:
        return None
    horizon = timedelta(minutes=record.spec.get("future_minutes") or 0)
    old = kit.services.live.predictions(model_id=record.id, until=datetime.now(UTC) - horizon, limit=_MOST_JUDGED)
    said = [(one.coin_id, to_us(one.timestamp), one.prediction) for one in old]
    came = outcomes_of(record, said, kit.services.market)
    return facts(
        fact(
            view.t("Came true where it said yes"),
            view.percent(came.precision),
            detail=view.t("{n} of {all}", n=view.number(came.hits), all=view.number(came.said)),
        ),
        fact(
            view.t("Came true at all"),
            view.percent(came.base_rate),
            detail=view.t("of its newest {n} with a known outcome", n=view.number(came.known)),
        ),
    )


def register_actions(kit: Kit) -> None:
    """Add the callbacks."""

    @kit.on(Output("model-came", "children"), Input("model-tabs", "value"), State("model-id", "data"), at_start=True)
    def judge_live(view: View, tab: str, model_id: int) -> Any:
        if tab != "live":
            raise PreventUpdate
        return _came(kit, view, kit.services.models.get(model_id))

    @kit.on(Output("model-file", "data"), Input("model-download", "n_clicks"), State("model-id", "data"))
    def download(_: View, clicks: int | None, model_id: int) -> Any:
        record = kit.services.models.get(model_id)
        if not clicks or record.artifact_sha256 is None:
            return None
        return dcc.send_bytes(kit.services.models.artifact(record.artifact_sha256), f"{record.name}.onnx")

    @kit.on(Input("model-certify", "n_clicks"), State("model-id", "data"))
    def certify(view: View, clicks: int | None, model_id: int) -> None:
        if clicks:
            demand(view, "train")
            job = order_certificate(model_id, kit.services.desk)
            notify(view.t("Ordered"), view.t("Job {id} is in the queue.", id=job.id))

    @kit.on(Input("model-reload", "n_clicks"), State("model-id", "data"))
    def reload(view: View, clicks: int | None, model_id: int) -> None:
        if clicks and kit.services.live is not None:
            demand(view, "admin")
            kit.services.live.reload(model_id)
            notify(view.t("Ordered"), view.t("Every running predictor loads the model anew."))

    _register_naming(kit)
    _register_changes(kit)


def _register_naming(kit: Kit) -> None:
    @kit.on(
        Output("go", "data", allow_duplicate=True),
        Input("model-name-save", "n_clicks"),
        State("model-name", "value"),
        State("model-description", "value"),
        State("model-id", "data"),
    )
    def rename(view: View, _: int | None, name: str | None, description: str | None, model_id: int) -> Any:
        demand(view, "train")
        given = (name or "").strip()
        if not 0 < len(given) <= _LONGEST_NAME:
            raise InvalidInputError(view.t("Give the model a name of 1 to {most} characters.", most=_LONGEST_NAME))
        kit.services.models.update(model_id, {"name": given, "description": (description or "").strip() or None})
        kit.memory.forget()
        notify(view.t("Saved"), given)
        return to(f"/dashboard/models/{model_id}?tab=specification")


def _register_changes(kit: Kit) -> None:
    @kit.on(
        Output("go", "data", allow_duplicate=True),
        Input(danger_id("model-delete"), "n_clicks"),
        State("model-id", "data"),
    )
    def delete(view: View, clicks: int | None, model_id: int) -> Any:
        if not clicks:
            raise PreventUpdate
        demand(view, "admin")
        name = kit.services.models.get(model_id).name
        kit.services.models.delete(model_id)
        kit.memory.forget()
        notify(view.t("Deleted"), name)
        return to("/dashboard/models")

    @kit.on(
        Output("model-activate", "children"),
        Output("model-activate", "variant"),
        Input("model-activate", "n_clicks"),
        State("model-id", "data"),
    )
    def activate(view: View, _: int | None, model_id: int) -> Any:
        demand(view, "admin")
        live = kit.services.live
        if live is None:
            raise InvalidInputError(view.t("No predictor is part of this installation."))
        active = kit.services.models.get(model_id).is_active
        (live.deactivate if active else live.activate)(model_id)
        kit.memory.forget()
        if active:
            notify(view.t("Deactivated"), view.t("The model predicts no more."))
            return view.t("Activate"), "filled"
        notify(view.t("Activated"), view.t("The model now predicts each new row; watch it under Live."))
        return view.t("Deactivate"), "light"

    @kit.on(
        Output("model-threshold", "value"),
        Input("model-threshold-save", "n_clicks"),
        State("model-threshold", "value"),
        State("model-id", "data"),
    )
    def save_threshold(view: View, _: int | None, percent: Any, model_id: int) -> Any:
        demand(view, "train")
        if not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise InvalidInputError(view.t("Give a probability from 0 to 100 percent."))
        if kit.services.live is not None:
            kit.services.live.set_threshold(model_id, percent / 100)
        notify(view.t("Saved"), view.t("Alerts are raised from {share}.", share=view.threshold(percent / 100)))
        return percent
