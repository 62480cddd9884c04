"""Live: predictions as they are stored, alerts, and which models raise them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html

from kurswerk.core.errors import ConflictError, InvalidInputError, KurswerkError
from kurswerk.dashboard._alert_rules import register_rules, rules_card
from kurswerk.dashboard._alerts import alert_table
from kurswerk.dashboard._components import alert, card, column, empty, grid, heading, later, link_button, number_field
from kurswerk.dashboard._kit import Kit, Page, demand, notify
from kurswerk.dashboard._listings import ready_models
from kurswerk.dashboard._live_feed import TABLE, newest_rows, register_stream, wish_of
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.registry import ModelRecord

# As many as the window shows below the predictions.
_FIRST_MODELS: Final = 6
_FEED_PX: Final = 430
_ALERTS: Final = "live-alerts"


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return the page; ``coin``, ``model`` and ``min`` (percent) of the address are its filters."""
    head = heading(view.t("Live"), text=view.t("Predictions appear here the moment they are stored."))
    ready = ready_models(kit)
    if kit.services.live is None or not ready:
        return html.Div([head, _nothing(kit, view)])
    active, rest = [one for one in ready if one.is_active], ready[_FIRST_MODELS:]
    hint = (
        [] if active else [alert(view.t("No model predicts yet. Switch one on below; it then predicts each new row."))]
    )
    return html.Div(
        [
            head,
            # What comes over the socket comes without the reader's cookies.
            dcc.Store(
                id="live-reader",
                data={"language": view.language, "zone": view.time_zone, "connected": view.t("connected")},
            ),
            dcc.Store(id="live-alone"),  # what is wished while nothing comes over the socket
            dcc.Store(id="live-renewed"),  # and what comes of it
            dcc.Store(id="live-alerted"),  # the newest alerts, whether or not anybody has seen the table
            dmc.Stack(
                [
                    html.Div(hint, id="live-hint"),
                    card(
                        "",
                        _filters(view, ready, query),
                        _feed(kit, view, query),
                    ),
                    card(
                        view.t("Who predicts, and who raises alerts?"),
                        later("live-rules", 36 * (1 + min(len(ready), _FIRST_MODELS))),
                        *([later("live-rules-rest", 36 * len(rest))] if rest else []),
                        text=view.t("A model raises an alert when its probability reaches its threshold."),
                    ),
                    card(view.t("Alerts"), later("live-raised", 430)),
                    *([] if kit.services.alerts is None else [rules_card(view, ready)]),
                ]
            ),
        ]
    )


def _nothing(kit: Kit, view: View) -> Any:
    if kit.services.live is None:
        return alert(view.t("No predictor is part of this installation."))
    return empty(
        view.t("No model is ready"),
        view.t("First train one; then it can be switched on here and predict each new row."),
        link_button(view.t("New model"), "/dashboard/new", variant="filled"),
    )


def _filters(view: View, ready: Sequence[ModelRecord], query: Mapping[str, str]) -> Any:
    models = [
        {"value": "", "label": view.t("all models")},
        *({"value": str(one.id), "label": one.name} for one in ready),
    ]
    least = wish_of(query)[2] or 0.0
    return dmc.Group(
        [
            dmc.TextInput(
                id="live-coin",
                label=view.t("Coin"),
                value=query.get("coin", ""),
                placeholder=view.t("all"),
                debounce=300,
                w=230,
            ),
            dmc.Select(
                id="live-model",
                label=view.t("Model"),
                data=models,
                value=query.get("model", ""),
                allowDeselect=False,
                w=220,
            ),
            number_field(
                view,
                id="live-min",
                label=view.t("From probability, %"),
                value=round(100 * least, 6),
                min=0,
                max=100,
                step=5,
                w=200,
            ),
            dmc.Switch(id="live-pause", label=view.t("Pause"), checked=False, mb=8),
            dmc.Text("", id="live-state", size="sm", c="dimmed", mb=8),
        ],
        align="flex-end",
    )


def _feed(kit: Kit, view: View, query: Mapping[str, str]) -> Any:
    wish = {"coin": query.get("coin"), "model": query.get("model"), "min": query.get("min")}
    columns = [
        column("coin", view.t("Coin"), "link", minWidth=220, sortable=False),
        column("model", view.t("Model"), minWidth=150, sortable=False),
        column("probability", view.t("Probability"), "share:1", minWidth=120, sortable=False),
        column("says", view.t("Says"), minWidth=90, sortable=False),
        column("time", view.t("Row of"), "moment", minWidth=190, sortable=False),
    ]
    table = grid(
        view,
        TABLE,
        columns,
        newest_rows(kit, view, wish),
        label=view.t("Predictions"),
        getRowId="params.data.id",
        options={"pagination": False, "domLayout": "normal"},
        style={"height": _FEED_PX, "width": "100%"},
    )
    # Its place is kept until it is drawn; else what lies below would be in sight for a moment.
    return html.Div(table, style={"minHeight": _FEED_PX})


def _rules(view: View, ready: Sequence[ModelRecord], *, head: bool = False) -> Any:
    # Few parts for each model: Dash asks all parts of a page after each change of one.
    titles = (N_("Model"), N_("Predicts"), N_("Alert from, %")) if head else ()
    cells: list[Any] = [html.B(view.t(text)) for text in titles]
    for one in ready:
        certified = bool((one.certificate or {}).get("certified"))
        cells += [
            html.A(one.name, href=f"/dashboard/models/{one.id}", className="kw-link"),
            dmc.Switch(
                id={"kind": "live-switch", "model": one.id},
                checked=one.is_active,
                disabled=not certified and not one.is_active,
                label=view.t("certified") if certified else view.t("not certified; it cannot be switched on"),
                **{"aria-label": view.t("{name} predicts", name=one.name)},
            ),
            number_field(
                view,
                id={"kind": "live-threshold", "model": one.id},
                value=round(100 * one.alert_threshold, 2),
                min=0,
                max=100,
                step=1,
                debounce=400,
                w=110,
                size="xs",
                **{"aria-label": view.t("Alert threshold of {name} in percent", name=one.name)},
            ),
        ]
    return html.Div(cells, className="kw-rules")


def register(kit: Kit) -> None:
    """Add the callbacks."""
    # What is there already is sifted at once, if any of it is wanted; the rest comes over the socket, if there is one.
    kit.in_browser(
        """(coin, model, min, paused, reader, state) => {
            kurswerk.query({coin, model, min: min || null});
            const [name, number, least] = [(coin || '').trim(), Number(model), Number(min) / 100];
            const fits = (row) => row.probability >= least
                && (!name || row.coin === name) && (!number || row.model_id === number);
            kurswerk.sift('live-table', kurswerk.some('live-table', fits) ? fits : null);
            const {connected, ...wish} = {...reader, coin, model, min, paused};
            const {triggered_id} = dash_clientside.callback_context;
            const alone = triggered_id && triggered_id !== 'live-pause' && state !== connected;
            return [wish, alone ? wish : dash_clientside.no_update];
        }""",
        Output("live-wish", "data"),
        Output("live-alone", "data"),
        Input("live-coin", "value"),
        Input("live-model", "value"),
        Input("live-min", "value"),
        Input("live-pause", "checked"),
        State("live-reader", "data"),
        State("live-state", "children"),
        at_start=True,
    )
    kit.in_browser(
        "(path) => (path && path.endsWith('/live') ? dash_clientside.no_update : null)",
        Output("live-wish", "data", allow_duplicate=True),
        Input("url", "pathname"),
    )

    @kit.on(Output("live-renewed", "data"), Input("live-alone", "data"))
    def renew(view: View, wish: dict[str, Any]) -> Any:
        return {"wish": wish, "rows": newest_rows(kit, view, wish)}

    # The socket may be there by now, and its rows with it.
    kit.in_browser(
        """({wish, rows}, now) =>
            (JSON.stringify(wish) === JSON.stringify(now) ? rows : dash_clientside.no_update)""",
        Output(TABLE, "rowData"),
        Input("live-renewed", "data"),
        State("live-wish", "data"),
    )

    @kit.when_seen("live-rules")
    def who(view: View) -> Any:
        return _rules(view, ready_models(kit)[:_FIRST_MODELS], head=True)

    @kit.when_seen("live-rules-rest")
    def who_else(view: View) -> Any:
        return _rules(view, ready_models(kit)[_FIRST_MODELS:])

    @kit.when_seen("live-raised")
    def raised(view: View) -> Any:
        return alert_table(kit, view, _ALERTS)

    kit.in_browser(
        f"""(rows) => {{
            if (document.getElementById('{_ALERTS}')) dash_clientside.set_props('{_ALERTS}', {{rowData: rows}});
        }}""",
        Input("live-alerted", "data"),
    )
    _register_thresholds(kit)
    register_rules(kit)
    register_stream(kit)


def _register_thresholds(kit: Kit) -> None:
    @kit.on(Input({"kind": "live-switch", "model": ALL}, "checked"), State("live-rules", "id"))
    def switch(view: View, _: list[bool], __: str) -> None:
        demand(view, "admin")
        live, model_id = kit.services.live, int((ctx.triggered_id or {"model": 0})["model"])
        if live is None or not model_id or len(ctx.triggered) > 1:
            return
        record = kit.services.models.get(model_id)
        wanted = bool(ctx.triggered[0]["value"])
        if wanted == record.is_active:
            return
        try:
            (live.activate if wanted else live.deactivate)(model_id)
        except KurswerkError as error:
            dash.set_props({"kind": "live-switch", "model": model_id}, {"checked": record.is_active})
            raise ConflictError(str(error)) from error
        kit.memory.forget()
        if wanted:
            dash.set_props("live-hint", {"children": []})
        notify(view.t("Activated") if wanted else view.t("Deactivated"), record.name)

    @kit.on(Input({"kind": "live-threshold", "model": ALL}, "value"), State("live-rules", "id"))
    def set_threshold(view: View, _: list[Any], __: str) -> None:
        if len(ctx.triggered) != 1 or not ctx.triggered_id:
            return
        model_id, percent = int(ctx.triggered_id["model"]), ctx.triggered[0]["value"]
        record = kit.services.models.get(model_id)
        if percent == round(100 * record.alert_threshold, 2):  # as it is shown
            return
        demand(view, "train")
        if not isinstance(percent, int | float) or not 0 <= percent <= 100 or kit.services.live is None:
            raise InvalidInputError(view.t("Give a probability from 0 to 100 percent."))
        kit.services.live.set_threshold(model_id, percent / 100)
        notify(
            view.t("Saved"),
            view.t("{name} raises alerts from {share}.", name=record.name, share=view.threshold(percent / 100)),
        )


PAGE: Final = Page("/live", N_("Live"), build, register, icon="live", tables=True)
