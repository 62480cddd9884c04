"""Live predictions: predictions as they are stored, alerts, and the models that raise them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html

from kurswerk.core.errors import ConflictError, InvalidInputError, KurswerkError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.callbacks.model_lookup import ready_models
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets.alert_rules import register_rules, rules_card
from kurswerk.dashboard.widgets.alert_table import MAX_ALERTS, alert_table
from kurswerk.dashboard.widgets.components import (
    callout,
    card,
    empty_state,
    lazy_area,
    link_button,
    number_input,
    page_header,
)
from kurswerk.dashboard.widgets.data_grid import data_grid, grid_column
from kurswerk.dashboard.widgets.prediction_stream import TABLE, newest_rows, parse_filter, register_stream
from kurswerk.dashboard.widgets.watchlist_choice import chosen_watchlist, watchlist_select, watchlists
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import ModelRecord

# As many as the window shows below the predictions.
_FIRST_MODELS: Final = 6
_TABLE_PX: Final = 430
_ALERTS: Final = "live-alerts"


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the page; ``coin``, ``model``, ``min`` (percent) and ``watchlist`` of the address are its filters."""
    head = page_header(user.t("Live predictions"), text=user.t("Predictions appear here the moment they are stored."))
    ready = ready_models(app)
    if app.services.live is None or not ready:
        return html.Div([head, _empty_page(app, user)])
    active, rest = [one for one in ready if one.is_active], ready[_FIRST_MODELS:]
    hint = (
        []
        if active
        else [callout(user.t("No model predicts yet. Switch one on below; it then predicts each new row."))]
    )
    return html.Div(
        [
            head,
            # What comes over the socket comes without the user's cookies.
            dcc.Store(
                id="live-user",
                data={"language": user.language, "zone": user.time_zone, "connected": user.t("connected")},
            ),
            dcc.Store(
                id="live-watched",
                data={str(one.id): [list(found) for found in one.instruments] for one in watchlists(app)},
            ),
            dcc.Store(id="live-offline-filter"),  # the filter while nothing comes over the socket
            dcc.Store(id="live-offline-rows"),  # and what comes of it
            dcc.Store(id="live-new-alerts"),  # alerts raised since, the newest first
            dmc.Stack(
                [
                    html.Div(hint, id="live-hint"),
                    card(
                        "",
                        _filters(app, user, ready, query),
                        _prediction_table(app, user, query),
                    ),
                    card(
                        user.t("Active models and alert thresholds"),
                        lazy_area("live-rules", 36 * (1 + min(len(ready), _FIRST_MODELS))),
                        *([lazy_area("live-rules-rest", 36 * len(rest))] if rest else []),
                        text=user.t("A model raises an alert when its probability reaches its threshold."),
                    ),
                    card(user.t("Alerts"), lazy_area("live-alert-area", 430)),
                    *([] if app.services.alerts is None else [rules_card(user, ready, app.services.channels)]),
                ]
            ),
        ]
    )


def _empty_page(app: DashboardApp, user: UserContext) -> Any:
    if app.services.live is None:
        return callout(user.t("No predictor is part of this installation."))
    return empty_state(
        user.t("No model is ready"),
        user.t("First train one; then it can be switched on here and predict each new row."),
        link_button(user.t("New model"), "/dashboard/new", variant="filled"),
    )


def _filters(app: DashboardApp, user: UserContext, ready: Sequence[ModelRecord], query: Mapping[str, str]) -> Any:
    models = [
        {"value": "", "label": user.t("all models")},
        *({"value": str(one.id), "label": one.name} for one in ready),
    ]
    least = parse_filter(query)[2] or 0.0
    return dmc.Group(
        [
            dmc.TextInput(
                id="live-coin",
                label=user.t("Coin"),
                value=query.get("coin", ""),
                placeholder=user.t("all"),
                debounce=300,
                w=230,
            ),
            dmc.Select(
                id="live-model",
                label=user.t("Model"),
                data=models,
                value=query.get("model", ""),
                allowDeselect=False,
                w=220,
            ),
            number_input(
                user,
                id="live-min",
                label=user.t("From probability, %"),
                value=round(100 * least, 6),
                min=0,
                max=100,
                step=5,
                w=200,
            ),
            watchlist_select(app, user, "live-watchlist", chosen_watchlist(app, query)),
            dmc.Switch(id="live-pause", label=user.t("Pause"), checked=False, mb=8),
            dmc.Text("", id="live-state", size="sm", c="dimmed", mb=8),
            dmc.Text("", id="live-skipped", size="sm", c="dimmed", mb=8),
        ],
        align="flex-end",
    )


def _prediction_table(app: DashboardApp, user: UserContext, query: Mapping[str, str]) -> Any:
    chosen = {name: query.get(name) for name in ("coin", "model", "min", "watchlist")}
    columns = [
        grid_column("coin", user.t("Coin"), "link", minWidth=220, sortable=False),
        grid_column("model", user.t("Model"), minWidth=150, sortable=False),
        grid_column("probability", user.t("Probability"), "share:1", minWidth=120, sortable=False),
        grid_column("predicted", user.t("Predicted"), minWidth=90, sortable=False),
        grid_column("forecast", user.t("Forecast, %"), minWidth=190, sortable=False),
        grid_column("time", user.t("Row time"), "moment", minWidth=190, sortable=False),
    ]
    table = data_grid(
        user,
        TABLE,
        columns,
        newest_rows(app, user, chosen),
        label=user.t("Predictions"),
        getRowId="params.data.id",
        options={"pagination": False, "domLayout": "normal"},
        style={"height": _TABLE_PX, "width": "100%"},
    )
    # Its place is kept until it is drawn; else what lies below would be in sight for a moment.
    return html.Div(table, style={"minHeight": _TABLE_PX})


def _model_rows(user: UserContext, ready: Sequence[ModelRecord], *, head: bool = False) -> Any:
    # Few parts for each model: Dash asks all parts of a page after each change of one.
    titles = (N_("Model"), N_("Predicts"), N_("Alert from, %")) if head else ()
    cells: list[Any] = [html.B(user.t(text)) for text in titles]
    for one in ready:
        certified = bool((one.certificate or {}).get("certified"))
        cells += [
            html.A(one.name, href=f"/dashboard/models/{one.id}", className="kw-link"),
            dmc.Switch(
                id={"kind": "live-switch", "model": one.id},
                checked=one.is_active,
                disabled=not certified and not one.is_active,
                label=user.t("certified") if certified else user.t("not certified; it cannot be switched on"),
                **{"aria-label": user.t("{name} predicts", name=one.name)},
            ),
            number_input(
                user,
                id={"kind": "live-threshold", "model": one.id},
                value=round(100 * one.alert_threshold, 2),
                min=0,
                max=100,
                step=1,
                debounce=400,
                w=110,
                size="xs",
                **{"aria-label": user.t("Alert threshold of {name} in percent", name=one.name)},
            ),
        ]
    return html.Div(cells, className="kw-rule-list")


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    # Rows that are there already are filtered at once; the rest comes over the socket, if there is one.
    app.clientside_callback(
        """(coin, model, min, watchlist, paused, reader, watched, state) => {
            kurswerk.query({coin, model, min: min || null, watchlist});
            const [name, number, least] = [(coin || '').trim(), Number(model), Number(min) / 100];
            const list = watchlist ? new Set((watched[watchlist] || []).map((one) => one.join('\\n'))) : null;
            const fits = (row) => row.probability >= least
                && (!name || row.coin === name) && (!number || row.model_id === number)
                && (!list || list.has(`${row.market}\\n${row.coin}`));
            kurswerk.filterTable('live-table', kurswerk.anyRow('live-table', fits) ? fits : null);
            const {connected, ...filter} = {...reader, coin, model, min, watchlist, paused};
            const {triggered_id} = dash_clientside.callback_context;
            const offline = triggered_id && triggered_id !== 'live-pause' && state !== connected;
            return [filter, offline ? filter : dash_clientside.no_update];
        }""",
        Output("live-filter", "data"),
        Output("live-offline-filter", "data"),
        Input("live-coin", "value"),
        Input("live-model", "value"),
        Input("live-min", "value"),
        Input("live-watchlist", "value"),
        Input("live-pause", "checked"),
        State("live-user", "data"),
        State("live-watched", "data"),
        State("live-state", "children"),
        initial_call=True,
    )
    app.clientside_callback(
        "(path) => (path && path.endsWith('/live') ? dash_clientside.no_update : null)",
        Output("live-filter", "data", allow_duplicate=True),
        Input("url", "pathname"),
    )

    @app.callback(Output("live-offline-rows", "data"), Input("live-offline-filter", "data"))
    def renew(user: UserContext, chosen: dict[str, Any]) -> Any:
        return {"filter": chosen, "rows": newest_rows(app, user, chosen)}

    # The socket may be there by now, and its rows with it.
    app.clientside_callback(
        """({filter, rows}, now) =>
            (JSON.stringify(filter) === JSON.stringify(now) ? rows : dash_clientside.no_update)""",
        Output(TABLE, "rowData"),
        Input("live-offline-rows", "data"),
        State("live-filter", "data"),
    )

    @app.callback_when_visible("live-rules")
    def active_models(user: UserContext) -> Any:
        return _model_rows(user, ready_models(app)[:_FIRST_MODELS], head=True)

    @app.callback_when_visible("live-rules-rest")
    def further_models(user: UserContext) -> Any:
        return _model_rows(user, ready_models(app)[_FIRST_MODELS:])

    @app.callback_when_visible("live-alert-area")
    def alerts(user: UserContext) -> Any:
        return alert_table(app, user, _ALERTS)

    # The table may be there before the alerts or after them.
    app.clientside_callback(
        f"(rows) => {{ kurswerk.addRows('{_ALERTS}', rows || [], {MAX_ALERTS}); }}",
        Input("live-new-alerts", "data"),
        Input("live-alert-area", "children"),
    )
    _register_thresholds(app)
    register_rules(app)
    register_stream(app)


def _register_thresholds(app: DashboardApp) -> None:
    @app.callback(Input({"kind": "live-switch", "model": ALL}, "checked"), State("live-rules", "id"))
    def switch(user: UserContext, _: list[bool], __: str) -> None:
        require_scope(user, "admin")
        live, model_id = app.services.live, int((ctx.triggered_id or {"model": 0})["model"])
        if live is None or not model_id or len(ctx.triggered) > 1:
            return
        record = app.services.models.get(model_id)
        wanted = bool(ctx.triggered[0]["value"])
        if wanted == record.is_active:
            return
        try:
            (live.activate if wanted else live.deactivate)(model_id)
        except KurswerkError as error:
            dash.set_props({"kind": "live-switch", "model": model_id}, {"checked": record.is_active})
            raise ConflictError(str(error)) from error
        app.cache.clear()
        if wanted:
            dash.set_props("live-hint", {"children": []})
        notify(user.t("Activated") if wanted else user.t("Deactivated"), record.name)

    @app.callback(Input({"kind": "live-threshold", "model": ALL}, "value"), State("live-rules", "id"))
    def set_threshold(user: UserContext, _: list[Any], __: str) -> None:
        if len(ctx.triggered) != 1 or not ctx.triggered_id:
            return
        model_id, percent = int(ctx.triggered_id["model"]), ctx.triggered[0]["value"]
        record = app.services.models.get(model_id)
        if percent == round(100 * record.alert_threshold, 2):  # as it is shown
            return
        require_scope(user, "train")
        if not isinstance(percent, int | float) or not 0 <= percent <= 100 or app.services.live is None:
            raise InvalidInputError("dashboard.percent_out_of_range")
        app.services.live.set_threshold(model_id, percent / 100)
        notify(
            user.t("Saved"),
            user.t("{name} raises alerts from {share}.", name=record.name, share=user.threshold(percent / 100)),
        )


PAGE: Final = PageDefinition("/live", N_("Live predictions"), layout, register_callbacks, icon="live", tables=True)
