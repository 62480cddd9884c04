"""Rules that send messages: a card with all of them, a form for a new one, and what became of the messages."""

from collections.abc import Mapping, Sequence
from datetime import time
from functools import partial
from typing import Any, Final

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html

from kurswerk.core.errors import InvalidInputError, KurswerkError
from kurswerk.dashboard._components import STATUS_WORDS, card, column, danger, grid, later, number_field
from kurswerk.dashboard._kit import Kit, demand, notify
from kurswerk.dashboard._listings import model_names
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.registry import ModelRecord
from kurswerk.serving import AlertDesk, create_rule

_CHANNELS: Final = {
    "webhook": N_("Webhook, such as n8n"),
    "smtp": N_("E-mail"),
    "log": N_("The service's log"),
    "database": N_("Only kept here"),
}
_TO: Final = {
    "webhook": N_("webhook to {target}"),
    "smtp": N_("e-mail to {target}"),
    "log": N_("into the log"),
    "database": N_("only kept here"),
}
_LONGEST_NAME: Final = 100
_MOST_MESSAGES: Final = 200


def rules_card(view: View, ready: Sequence[ModelRecord]) -> Any:
    """Return the card; ``ready`` are the models that rules may be about."""
    return card(
        view.t("Messages"),
        later("rules-all", 60),
        dmc.Group(
            [
                dmc.Button(view.t("New rule"), id="rule-new", variant="light", size="xs"),
                dmc.Button(view.t("What became of them"), id="rule-sent", variant="default", size="xs"),
            ]
        ),
        _modal(view, "rule-form", view.t("New rule"), _form(view, ready)),
        _modal(view, "rule-messages", view.t("Messages"), _messages(view), size="90%"),
        text=view.t("A rule sends a message when enough models reach a probability on one row."),
    )


def _modal(view: View, name: str, title: str, content: Any, size: str = "lg") -> Any:
    return dmc.Modal(
        content,
        id=name,
        title=title,
        size=size,
        closeButtonProps={"aria-label": view.t("Close")},
        transitionProps={"duration": 80},
    )


def _rules(kit: Kit, view: View) -> Any:
    names = model_names(kit)
    rules = kit.services.alerts.rules() if kit.services.alerts is not None else ()
    if not rules:
        return dmc.Text(view.t("No rule yet: alerts are shown here, and nobody is told."), size="sm", c="dimmed")
    cells: list[Any] = []
    for rule in rules:
        cells += [
            html.Div([html.B(rule["name"]), html.Div(rule_words(view, rule, names), className="kw-muted")]),
            dmc.Switch(
                id={"kind": "rule-switch", "rule": rule["id"]},
                checked=rule["is_active"],
                label=view.t("sends") if rule["is_active"] else view.t("off"),
                **{"aria-label": view.t("Rule {name} sends messages", name=rule["name"])},
            ),
            danger(
                view,
                f"rule-{rule['id']}",
                view.t("Delete"),
                view.t("The rule “{name}” and the record of its messages disappear.", name=rule["name"]),
                small=True,
            ),
        ]
    return html.Div(cells, className="kw-rules kw-senders")


def rule_words(view: View, rule: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """Say when a rule sends what where.

    Examples
    --------
    >>> rule = {"model_ids": [7, 8], "least_agreeing": 2, "min_probability": 0.8, "cooldown_seconds": 300}
    >>> rule |= {"quiet_start": None, "quiet_end": None, "channel": "webhook", "target": "https://n8n.example"}
    >>> rule_words(View(), rule, {7: "up", 8: "rise"})
    '2 of: up, rise · from 80 % · webhook to https://n8n.example · silent for 5 min 0 s after a message'
    """
    models = ", ".join(names.get(model, f"#{model}") for model in rule["model_ids"]) or view.t("all active models")
    least = rule["min_probability"]
    parts = [
        view.t("{n} of: {models}", n=rule["least_agreeing"], models=models),
        view.t("from each model's own threshold")
        if least is None
        else view.t("from {share}", share=view.threshold(least)),
        view.t(_TO[rule["channel"]], target=rule["target"] or "–"),
    ]
    if rule["cooldown_seconds"]:
        parts.append(view.t("silent for {time} after a message", time=view.duration(rule["cooldown_seconds"])))
    if rule["quiet_start"] is not None:
        hours = {"start": f"{rule['quiet_start']:%H:%M}", "end": f"{rule['quiet_end']:%H:%M}"}
        parts.append(view.t("quiet from {start} to {end} UTC", **hours))
    return " · ".join(parts)


def _form(view: View, ready: Sequence[ModelRecord]) -> Any:
    models = [{"value": str(one.id), "label": one.name} for one in ready]
    channels = [{"value": name, "label": view.t(text)} for name, text in _CHANNELS.items()]
    return dmc.Stack(
        [
            dmc.TextInput(id="rule-name", label=view.t("Name"), value="", required=True),
            dmc.MultiSelect(
                id="rule-models", label=view.t("Models"), data=models, value=[], placeholder=view.t("all active models")
            ),
            dmc.SimpleGrid(
                [
                    number_field(
                        view, id="rule-least", label=view.t("So many must agree on a row"), value=1, min=1, max=1000
                    ),
                    number_field(
                        view,
                        id="rule-min",
                        label=view.t("From probability, %"),
                        placeholder=view.t("each model's own threshold"),
                        value="",
                        min=0,
                        max=100,
                    ),
                    number_field(
                        view,
                        id="rule-cooldown",
                        label=view.t("Silent about the coin afterwards, s"),
                        value=300,
                        min=0,
                    ),
                    dmc.Select(
                        id="rule-channel",
                        label=view.t("Way"),
                        data=channels,
                        value="webhook",
                        allowDeselect=False,
                    ),
                    dmc.TimeInput(id="rule-from", label=view.t("Quiet from (UTC)"), value=""),
                    dmc.TimeInput(id="rule-until", label=view.t("Quiet until (UTC)"), value=""),
                ],
                cols={"base": 1, "xs": 2},
            ),
            dmc.TextInput(
                id="rule-target",
                label=view.t("To"),
                value="",
                description=view.t("https://… of a webhook, or smtp://host:port/recipient@example.org"),
            ),
            dmc.PasswordInput(
                id="rule-secret",
                label=view.t("Secret"),
                value="",
                description=view.t("Signs a webhook's messages; for e-mail user:password. Never shown again."),
            ),
            dmc.Button(view.t("Make the rule"), id="rule-make"),
        ],
        gap="sm",
    )


def rule_of(view: View, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rule that a form describes, as the REST API takes it.

    Raises
    ------
    InvalidInputError
        For a field that cannot be read; names it and what it may be.
    """
    name = str(given["name"] or "").strip()
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidInputError(view.t("Give the rule a name of 1 to {most} characters.", most=_LONGEST_NAME))
    least = _whole(view, view.t("So many must agree on a row"), given["least"], 1, 1000)
    cooldown = _whole(view, view.t("Silent about the coin afterwards, s"), given["cooldown"], 0, 2**31 - 1)
    percent = given["min"]
    if percent not in {None, ""} and not (isinstance(percent, int | float) and 0 <= percent <= 100):
        raise InvalidInputError(view.t("Give a probability from 0 to 100 percent."))
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


def _whole(view: View, label: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int | float) and value == int(value) and least <= value <= most:
        return int(value)
    raise InvalidInputError(
        view.t("{label}: give a whole number from {least} to {most}.", label=label, least=least, most=most)
    )


def _messages(view: View) -> Any:
    words = {"words": {name: view.t(text) for name, text in (STATUS_WORDS | {"SENT": N_("sent")}).items()}}
    columns = [
        column("created", view.t("Time"), "moment"),
        column("rule", view.t("Rule"), minWidth=120),
        column("coin", view.t("Coin"), "link"),
        column("probability", view.t("Probability"), "share:1", minWidth=130),
        column("status", view.t("Status"), "status", cellRendererParams=words),
        column("attempts", view.t("Tries"), "number", minWidth=80),
        column("error", view.t("Why not"), minWidth=200, flex=2, tooltipField="error"),
    ]
    table = grid(
        view,
        "rule-deliveries",
        columns,
        [],
        label=view.t("Messages"),
        nothing=view.t("No message yet."),
        getRowId="params.data.id",
        options={
            "rowSelection": {"mode": "multiRow", "enableClickSelection": False},
            "paginationPageSize": 10,
        },
    )
    again = dmc.Button(view.t("Send the chosen ones again"), id="rule-again", size="xs", variant="light")
    return dmc.Stack([table, dmc.Group([again])])


def _sent(desk: AlertDesk) -> list[dict[str, Any]]:
    return [
        {
            "id": str(one["id"]),
            "created": one["created_at"].isoformat(),
            "rule": one["rule"],
            "coin": one["coin_id"],
            "href": f"/dashboard/data/{one['coin_id']}",
            "probability": one["probability"],
            "status": one["status"],
            "attempts": one["attempts"],
            "error": one["error"] or "",
        }
        for one in desk.deliveries(_MOST_MESSAGES)
    ]


def register_rules(kit: Kit) -> None:
    """Add the callbacks."""
    if kit.services.alerts is not None:
        kit.when_seen("rules-all")(partial(_rules, kit))
        _register_form(kit, kit.services.alerts)
        _register_switches(kit, kit.services.alerts)
        _register_messages(kit, kit.services.alerts)


def _register_form(kit: Kit, desk: AlertDesk) -> None:
    kit.in_browser("(clicks) => !!clicks", Output("rule-form", "opened"), Input("rule-new", "n_clicks"))

    fields = ("name", "models", "least", "min", "cooldown", "from", "until", "channel", "target", "secret")

    @kit.on(
        Output("rules-all", "children", allow_duplicate=True),
        Output("rule-form", "opened", allow_duplicate=True),
        Output("rule-name", "value"),
        Output("rule-secret", "value"),
        Input("rule-make", "n_clicks"),
        *(State(f"rule-{name}", "value") for name in fields),
    )
    def make(view: View, _: int | None, *values: Any) -> Any:
        demand(view, "train")
        rule = rule_of(view, dict(zip(fields, values, strict=True)))
        create_rule(rule, desk, kit.services.models)
        notify(view.t("Saved"), rule["name"])
        return _rules(kit, view), False, "", ""


def _register_switches(kit: Kit, desk: AlertDesk) -> None:
    @kit.on(
        Output("rules-all", "children", allow_duplicate=True),
        Input({"kind": "rule-switch", "rule": ALL}, "checked"),
        State("rules-all", "id"),
    )
    def switch(view: View, _: list[bool], __: str) -> Any:
        if len(ctx.triggered) != 1 or not ctx.triggered_id:
            return dash.no_update
        demand(view, "train")
        number, active = int(ctx.triggered_id["rule"]), bool(ctx.triggered[0]["value"])
        known = next((rule for rule in desk.rules() if rule["id"] == number), None)
        if known is not None and known["is_active"] == active:
            return dash.no_update
        rule = desk.switch_rule(number, active=active)
        notify(view.t("Switched on") if active else view.t("Switched off"), rule["name"])
        return _rules(kit, view)

    @kit.on(
        Output("rules-all", "children", allow_duplicate=True),
        Input({"kind": "danger-do", "what": ALL}, "n_clicks"),
    )
    def delete(view: View, clicks: list[int | None]) -> Any:
        what = str((ctx.triggered_id or {}).get("what", ""))
        if not any(clicks) or not what.startswith("rule-"):
            return dash.no_update
        demand(view, "admin")
        desk.delete_rule(int(what.removeprefix("rule-")))
        notify(view.t("Deleted"))
        return _rules(kit, view)


def _register_messages(kit: Kit, desk: AlertDesk) -> None:
    @kit.on(Output("rule-messages", "opened"), Output("rule-deliveries", "rowData"), Input("rule-sent", "n_clicks"))
    def show(_: View, clicks: int | None) -> Any:
        return bool(clicks), _sent(desk)

    @kit.on(
        Output("rule-deliveries", "rowData", allow_duplicate=True),
        Input("rule-again", "n_clicks"),
        State("rule-deliveries", "selectedRows"),
    )
    def again(view: View, _: int | None, rows: list[dict[str, Any]] | None) -> Any:
        demand(view, "train")
        if not rows:
            raise InvalidInputError(view.t("No message is chosen; tick the boxes at the left of the table."))
        refused = []
        for row in rows:
            try:
                desk.retry(int(row["id"]))
            except KurswerkError as error:
                refused.append(view.say(str(error)))
        if refused:
            words = view.t("{n} of {all} are sent again", n=len(rows) - len(refused), all=len(rows))
            notify(words, " ".join(refused), good=False)
        else:
            notify(view.t("They are sent again"))
        return _sent(desk)
