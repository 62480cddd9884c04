"""Notification rules: a card with all of them, a form for a new one, and the history of deliveries."""

from collections.abc import Collection, Mapping, Sequence
from datetime import time
from functools import partial
from typing import Any, Final

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html

from kurswerk.alerts import AlertStore, ChannelKind, create_rule
from kurswerk.core.errors import InvalidInputError, KurswerkError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.callbacks.model_lookup import ModelLabels, model_labels, model_names
from kurswerk.dashboard.widgets.components import STATUS_WORDS, card, lazy_area, number_input
from kurswerk.dashboard.widgets.confirm_button import confirm_button
from kurswerk.dashboard.widgets.data_grid import data_grid, grid_column
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import ModelRecord

_MAX_NAME_LENGTH: Final = 100
_MAX_DELIVERIES: Final = 200


def rules_card(user: UserContext, ready: Sequence[ModelRecord], channels: Mapping[str, ChannelKind]) -> Any:
    """Return the card; ``ready`` are the models that rules may be about, ``channels`` the ways to send."""
    return card(
        user.t("Notification rules"),
        lazy_area("rules-all", 60),
        dmc.Group(
            [
                dmc.Button(user.t("New rule"), id="rule-new", variant="light", size="xs"),
                dmc.Button(user.t("Delivery history"), id="rule-sent", variant="default", size="xs"),
            ]
        ),
        _modal(user, "rule-form", user.t("New rule"), _form(user, ready, channels.values())),
        _modal(user, "rule-messages", user.t("Messages"), _messages(user), size="90%"),
        text=user.t("A rule sends a message when enough models reach a probability on one row."),
    )


def _modal(user: UserContext, name: str, title: str, content: Any, size: str = "lg") -> Any:
    return dmc.Modal(
        content,
        id=name,
        title=title,
        size=size,
        closeButtonProps={"aria-label": user.t("Close")},
        transitionProps={"duration": 80},
    )


def _rules(app: DashboardApp, user: UserContext) -> Any:
    names = model_names(app)
    rules = app.services.alerts.rules() if app.services.alerts is not None else ()
    if not rules:
        return dmc.Text(user.t("No rule yet: alerts are shown here, and nobody is notified."), size="sm", c="dimmed")
    cells: list[Any] = []
    for rule in rules:
        words = rule_description(user, rule, names, app.services.channels)
        cells += [
            html.Div([html.B(rule["name"]), html.Div(words, className="kw-muted")]),
            dmc.Switch(
                id={"kind": "rule-switch", "rule": rule["id"]},
                checked=rule["is_active"],
                label=user.t("sends") if rule["is_active"] else user.t("off"),
                **{"aria-label": user.t("Rule {name} sends messages", name=rule["name"])},
            ),
            confirm_button(
                user,
                f"rule-{rule['id']}",
                user.t("Delete"),
                user.t("The rule “{name}” and the record of its messages disappear.", name=rule["name"]),
                small=True,
            ),
        ]
    return html.Div(cells, className="kw-rule-list kw-notification-rules")


def rule_description(
    user: UserContext, rule: Mapping[str, Any], names: Mapping[int, str], channels: Mapping[str, ChannelKind]
) -> str:
    """Return in words when a rule sends what where.

    Examples
    --------
    >>> rule = {"model_ids": [7, 8], "least_agreeing": 2, "min_probability": 0.8, "cooldown_seconds": 300}
    >>> rule |= {"quiet_start": None, "quiet_end": None, "channel": "webhook", "target": "https://n8n.example"}
    >>> hook = ChannelKind(name="webhook", label="Webhook", summary="webhook to {target}")
    >>> rule_description(UserContext(), rule, {7: "up", 8: "rise"}, {"webhook": hook})
    '2 of: up, rise · from 80% · webhook to https://n8n.example · silent for 5 min 0 sec after a message'
    """
    models = ", ".join(names.get(model, f"#{model}") for model in rule["model_ids"]) or user.t("all active models")
    least = rule["min_probability"]
    parts = [
        user.t("{n} of: {models}", n=rule["least_agreeing"], models=models),
        user.t("from each model's own threshold")
        if least is None
        else user.t("from {share}", share=user.threshold(least)),
        _destination(user, rule, channels.get(rule["channel"])),
    ]
    if rule["cooldown_seconds"]:
        parts.append(user.t("silent for {time} after a message", time=user.duration(rule["cooldown_seconds"])))
    if rule["quiet_start"] is not None:
        hours = {"start": f"{rule['quiet_start']:%H:%M}", "end": f"{rule['quiet_end']:%H:%M}"}
        parts.append(user.t("quiet from {start} to {end} UTC", **hours))
    return " · ".join(parts)


def _destination(user: UserContext, rule: Mapping[str, Any], kind: ChannelKind | None) -> str:
    """Return where a rule sends; a channel that is not registered any more is named alone."""
    return rule["channel"] if kind is None else user.t(kind.summary, target=rule["target"] or "–")


def _form(user: UserContext, ready: Sequence[ModelRecord], kinds: Collection[ChannelKind]) -> Any:
    models = [{"value": str(one.id), "label": one.name} for one in ready]
    channels = [{"value": kind.name, "label": user.t(kind.label)} for kind in kinds]
    return dmc.Stack(
        [
            dmc.TextInput(id="rule-name", label=user.t("Name"), value="", required=True),
            dmc.MultiSelect(
                id="rule-models", label=user.t("Models"), data=models, value=[], placeholder=user.t("all active models")
            ),
            dmc.SimpleGrid(
                [
                    number_input(
                        user, id="rule-least", label=user.t("Models that must agree on a row"), value=1, min=1, max=1000
                    ),
                    number_input(
                        user,
                        id="rule-min",
                        label=user.t("From probability, %"),
                        placeholder=user.t("each model's own threshold"),
                        value="",
                        min=0,
                        max=100,
                    ),
                    number_input(
                        user,
                        id="rule-cooldown",
                        label=user.t("Silent about the coin afterwards, s"),
                        value=300,
                        min=0,
                    ),
                    dmc.Select(
                        id="rule-channel",
                        label=user.t("Channel"),
                        data=channels,
                        value=channels[0]["value"] if channels else None,
                        allowDeselect=False,
                    ),
                    dmc.TimeInput(id="rule-from", label=user.t("Quiet from (UTC)"), value=""),
                    dmc.TimeInput(id="rule-until", label=user.t("Quiet until (UTC)"), value=""),
                ],
                cols={"base": 1, "xs": 2},
            ),
            dmc.TextInput(
                id="rule-target",
                label=user.t("To"),
                value="",
                description=_by_channel(user, {kind: kind.target_example for kind in kinds}),
            ),
            dmc.PasswordInput(
                id="rule-secret",
                label=user.t("Secret (never shown again)"),
                value="",
                description=_by_channel(user, {kind: kind.secret for kind in kinds}),
            ),
            dmc.Button(user.t("Create the rule"), id="rule-make"),
        ],
        gap="sm",
    )


def _by_channel(user: UserContext, texts: Mapping[ChannelKind, str | None]) -> str:
    """Return what a field means for each channel that has it: an address as it is, a description translated."""
    return "; ".join(f"{user.t(kind.label)}: {user.t(text)}" for kind, text in texts.items() if text)


def parse_rule(user: UserContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rule that a form describes, as the REST API takes it.

    Raises
    ------
    InvalidInputError
        For a field that cannot be read; names it and what it may be.
    """
    name = str(given["name"] or "").strip()
    if not 0 < len(name) <= _MAX_NAME_LENGTH:
        raise InvalidInputError("dashboard.rule_name_length", most=_MAX_NAME_LENGTH)
    least = _whole_number(user.t("Models that must agree on a row"), given["least"], 1, 1000)
    cooldown = _whole_number(user.t("Silent about the coin afterwards, s"), given["cooldown"], 0, 2**31 - 1)
    percent = given["min"]
    if percent not in {None, ""} and not (isinstance(percent, int | float) and 0 <= percent <= 100):
        raise InvalidInputError("dashboard.percent_out_of_range")
    start, end = (time.fromisoformat(given[name]) if given[name] else None for name in ("from", "until"))
    return {
        "name": name,
        "model_ids": [int(model) for model in given["models"] or []],
        "least_agreeing": least,
        "min_probability": None if percent in {None, ""} else percent / 100,
        "cooldown_seconds": cooldown,
        "quiet_start": start,
        "quiet_end": end,
        "channel": given["channel"],
        "target": str(given["target"] or "").strip() or None,
        "secret": given["secret"] or None,
    }


def _whole_number(label: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int | float) and value == int(value) and least <= value <= most:
        return int(value)
    raise InvalidInputError("dashboard.whole_number_needed", label=label, least=least, most=most)


def _messages(user: UserContext) -> Any:
    words = {"words": {name: user.t(text) for name, text in (STATUS_WORDS | {"SENT": N_("sent")}).items()}}
    columns = [
        grid_column("created", user.t("Time"), "moment"),
        grid_column("rule", user.t("Rule"), minWidth=120),
        grid_column("coin", user.t("Coin"), "link"),
        grid_column("probability", user.t("Probability"), "share:1", minWidth=130),
        grid_column("status", user.t("Status"), "status", cellRendererParams=words),
        grid_column("attempts", user.t("Tries"), "number", minWidth=80),
        grid_column("error", user.t("Why not"), minWidth=200, flex=2, tooltipField="error"),
    ]
    table = data_grid(
        user,
        "rule-deliveries",
        columns,
        [],
        label=user.t("Messages"),
        nothing=user.t("No message yet."),
        getRowId="params.data.id",
        options={
            "rowSelection": {"mode": "multiRow", "enableClickSelection": False},
            "paginationPageSize": 10,
        },
    )
    again = dmc.Button(user.t("Send the chosen ones again"), id="rule-again", size="xs", variant="light")
    return dmc.Stack([table, dmc.Group([again])])


def _deliveries(user: UserContext, alerts: AlertStore, labels: ModelLabels) -> list[dict[str, Any]]:
    return [
        {
            "id": str(one["id"]),
            "created": one["created_at"].isoformat(),
            "rule": one["rule"],
            # What a notice reports has no coin; where the service is inspected, more is known of it.
            "coin": one["coin_id"] if one["notice"] is None else user.message(one["notice"]),
            "href": "/dashboard/system"
            if one["notice"] is not None
            else labels.instrument_path(one["model_ids"][0], one["coin_id"]),
            "probability": one["probability"],
            "status": one["status"],
            "attempts": one["attempts"],
            "error": user.message(one["error_detail"] or one["error"] or ""),
        }
        for one in alerts.deliveries(_MAX_DELIVERIES)
    ]


def register_rules(app: DashboardApp) -> None:
    """Add the callbacks."""
    if app.services.alerts is not None:
        app.callback_when_visible("rules-all")(partial(_rules, app))
        _register_form(app, app.services.alerts)
        _register_switches(app, app.services.alerts)
        _register_messages(app, app.services.alerts)


def _register_form(app: DashboardApp, alerts: AlertStore) -> None:
    app.clientside_callback("(clicks) => !!clicks", Output("rule-form", "opened"), Input("rule-new", "n_clicks"))

    fields = ("name", "models", "least", "min", "cooldown", "from", "until", "channel", "target", "secret")

    @app.callback(
        Output("rules-all", "children", allow_duplicate=True),
        Output("rule-form", "opened", allow_duplicate=True),
        Output("rule-name", "value"),
        Output("rule-secret", "value"),
        Input("rule-make", "n_clicks"),
        *(State(f"rule-{name}", "value") for name in fields),
    )
    def make(user: UserContext, _: int | None, *values: Any) -> Any:
        require_scope(user, "train")
        rule = parse_rule(user, dict(zip(fields, values, strict=True)))
        create_rule(rule, alerts, app.services.models, app.services.channels)
        notify(user.t("Saved"), rule["name"])
        return _rules(app, user), False, "", ""


def _register_switches(app: DashboardApp, alerts: AlertStore) -> None:
    @app.callback(
        Output("rules-all", "children", allow_duplicate=True),
        Input({"kind": "rule-switch", "rule": ALL}, "checked"),
        State("rules-all", "id"),
    )
    def switch(user: UserContext, _: list[bool], __: str) -> Any:
        if len(ctx.triggered) != 1 or not ctx.triggered_id:
            return dash.no_update
        require_scope(user, "train")
        number, active = int(ctx.triggered_id["rule"]), bool(ctx.triggered[0]["value"])
        known = next((rule for rule in alerts.rules() if rule["id"] == number), None)
        if known is not None and known["is_active"] == active:
            return dash.no_update
        rule = alerts.switch_rule(number, active=active)
        notify(user.t("Switched on") if active else user.t("Switched off"), rule["name"])
        return _rules(app, user)

    @app.callback(
        Output("rules-all", "children", allow_duplicate=True),
        Input({"kind": "danger-do", "what": ALL}, "n_clicks"),
    )
    def delete(user: UserContext, clicks: list[int | None]) -> Any:
        what = str((ctx.triggered_id or {}).get("what", ""))
        if not any(clicks) or not what.startswith("rule-"):
            return dash.no_update
        require_scope(user, "admin")
        alerts.delete_rule(int(what.removeprefix("rule-")))
        notify(user.t("Deleted"))
        return _rules(app, user)


def _register_messages(app: DashboardApp, alerts: AlertStore) -> None:
    @app.callback(
        Output("rule-messages", "opened"), Output("rule-deliveries", "rowData"), Input("rule-sent", "n_clicks")
    )
    def show(user: UserContext, clicks: int | None) -> Any:
        return bool(clicks), _deliveries(user, alerts, model_labels(app))

    @app.callback(
        Output("rule-deliveries", "rowData", allow_duplicate=True),
        Input("rule-again", "n_clicks"),
        State("rule-deliveries", "selectedRows"),
    )
    def again(user: UserContext, _: int | None, rows: list[dict[str, Any]] | None) -> Any:
        require_scope(user, "train")
        if not rows:
            raise InvalidInputError("dashboard.no_delivery_chosen")
        refused = []
        for row in rows:
            try:
                alerts.retry(int(row["id"]))
            except KurswerkError as error:
                refused.append(user.message(error))
        if refused:
            words = user.t("{n} of {all} are sent again", n=len(rows) - len(refused), all=len(rows))
            notify(words, " ".join(refused), success=False)
        else:
            notify(user.t("They are sent again"))
        return _deliveries(user, alerts, model_labels(app))
