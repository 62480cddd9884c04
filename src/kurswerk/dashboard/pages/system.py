"""System: the machine and the service over time, settings in force, API keys."""

from collections.abc import Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets.charts import chart, localise_chart
from kurswerk.dashboard.widgets.components import callout, card, page_header, scrollable, stat, stat_row
from kurswerk.dashboard.widgets.confirm_button import confirm_button
from kurswerk.dashboard.widgets.evaluation import key_value_table
from kurswerk.dashboard.widgets.prediction_rate import minute_counts, prediction_rate_stat
from kurswerk.dashboard.widgets.utilisation_chart import TIME_SPANS, utilisation_chart
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.observability import ResourceSample

_REFRESH_MS: Final = 5000
_SCOPES: Final = {
    "read": N_("read – see everything"),
    "train": N_("train – start and cancel jobs"),
    "admin": N_("admin – delete, activate, manage keys"),
}


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the page; ``minutes`` of the address is how far back it looks."""
    links = [
        html.A(user.t("REST API"), href="/docs", className="kw-button kw-button-default kw-button-sm"),
        html.A(user.t("Metrics"), href="/metrics", className="kw-button kw-button-default kw-button-sm"),
    ]
    settings = key_value_table([(name, value) for name, value in app.services.settings.items()])
    return html.Div(
        [
            page_header(
                user.t("System"),
                *links,
                text=user.t("Utilisation of the machine and the service, settings and API keys."),
            ),
            dmc.Stack(
                [
                    html.Div(_current_values(app, user, app.services.resource_samples()), id="system-now"),
                    _utilisation(app, user, _parse_span(query.get("minutes"))),
                    dmc.Grid(
                        [
                            card(
                                user.t("Effective settings"),
                                settings,
                                text=user.t("Secrets are masked."),
                                span={"base": 12, "lg": 6},
                            ),
                            card(
                                user.t("API keys"),
                                html.Div(_keys(app, user), id="system-keys"),
                                span={"base": 12, "lg": 6},
                            ),
                        ]
                    ),
                ]
            ),
            dcc.Interval(id="system-tick", interval=_REFRESH_MS),
        ]
    )


def _current_values(app: DashboardApp, user: UserContext, loads: Sequence[ResourceSample]) -> Any:
    if not loads:
        return dmc.Text(user.t("The first measurement is taken a second after the start."), size="sm", c="dimmed")
    now = loads[-1]
    each_ms = 1000 * now.request_seconds / now.requests if now.requests else None
    return stat_row(
        stat(user.t("Processor"), user.percent(now.processor, 0)),
        stat(
            user.t("Memory"),
            user.percent(now.memory, 0),
            detail=user.t("this process {size}", size=user.size(now.process_bytes)),
        ),
        stat(user.t("Disk"), user.percent(now.disk, 0)),
        stat(user.t("Uptime"), user.duration(now.uptime_s)),
        stat(
            user.t("API calls"),
            user.number(now.requests),
            detail=None if each_ms is None else user.t("{ms} ms each", ms=user.number(each_ms, 1)),
        ),
        stat(user.t("Predictions in total"), user.number(now.predictions)),
        prediction_rate_stat(app, user),
    )


def _utilisation(app: DashboardApp, user: UserContext, minutes: int) -> Any:
    spans = [{"value": str(span), "label": user.t(words)} for span, words in TIME_SPANS.items()]
    return card(
        user.t("Over time"),
        dmc.Group(
            dmc.SegmentedControl(
                id="system-span", data=spans, value=str(minutes), size="xs", **{"aria-label": user.t("Time span")}
            )
        ),
        chart(
            user,
            "system-load",
            utilisation_chart(user, app.services.resource_samples(), minute_counts(app, minutes), minutes),
            label=user.t("Lines: shares of the machine in use, API calls and predictions per minute"),
        ),
        text=user.t("Measured every five seconds; the last day is kept."),
    )


def _parse_span(given: str | None) -> int:
    return next((span for span in TIME_SPANS if str(span) == given), 60)


def _keys(app: DashboardApp, user: UserContext) -> Any:
    keys = app.services.keys
    if keys is None or not user.may("admin"):
        return callout(user.t("Only a key with the scope “admin” lists and creates keys."))
    rows = [
        html.Tr(
            [
                html.Td(one.name),
                html.Td(html.Code(f"{one.prefix}…")),
                html.Td(", ".join(one.scopes)),
                html.Td(user.t("revoked") if one.is_revoked else user.date_time(one.last_used_at)),
                html.Td(
                    ""
                    if one.is_revoked
                    else confirm_button(
                        user,
                        f"key-{one.id}",
                        user.t("Revoke"),
                        user.t("Requests with the key “{name}” are refused from now on.", name=one.name),
                        small=True,
                    )
                ),
            ]
        )
        for one in keys.all()
    ]
    head = [user.t("Name"), user.t("Prefix"), user.t("Scopes"), user.t("Last used"), ""]
    table = html.Table([html.Thead(html.Tr([html.Th(text) for text in head])), html.Tbody(rows)], className="kw-table")
    none = dmc.Text(
        user.t("No keys. Without one, everybody who reaches this address may do everything."), size="sm", c="dimmed"
    )
    return dmc.Stack(
        [
            scrollable(table) if rows else none,
            dmc.Group(
                [
                    dmc.TextInput(id="key-name", label=user.t("Name"), w=180),
                    dmc.Select(
                        id="key-scope",
                        label=user.t("Scope"),
                        data=[{"value": name, "label": user.t(text)} for name, text in _SCOPES.items()],
                        value="read",
                        allowDeselect=False,
                        w=260,
                    ),
                    dmc.Button(user.t("Create a key"), id="key-make", variant="light"),
                ],
                align="flex-end",
            ),
            html.Div(id="key-made", role="status"),
        ]
    )


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    app.clientside_callback("(minutes) => kurswerk.query({minutes})", Input("system-span", "value"))

    @app.callback(
        Output("system-now", "children"),
        Output("system-load", "figure"),
        Input("system-tick", "n_intervals"),
        Input("system-span", "value"),
    )
    def renew(user: UserContext, _: int | None, minutes: str | None) -> Any:
        loads = app.services.resource_samples()
        span = _parse_span(minutes)
        drawing = utilisation_chart(user, loads, minute_counts(app, span), span)
        localise_chart(user, drawing)
        return _current_values(app, user, loads), drawing

    @app.callback(
        Output("key-made", "children"),
        Input("key-make", "n_clicks"),
        State("key-name", "value"),
        State("key-scope", "value"),
    )
    def make(user: UserContext, _: int | None, name: str | None, scope: str) -> Any:
        require_scope(user, "admin")
        if app.services.keys is None or not (name or "").strip():
            raise InvalidInputError("dashboard.key_name_needed")
        names = list(_SCOPES)
        key = app.services.keys.create(str(name).strip(), names[: names.index(scope) + 1])
        text = [
            dmc.Text(user.t("Copy it now; nobody can read it again."), size="sm"),
            html.Pre(key, className="kw-code", tabIndex=0),
        ]
        return callout(dmc.Stack(text, gap=4), title=user.t("The key"), color="teal")

    @app.callback(Output("system-keys", "children"), Input({"kind": "danger-do", "what": ALL}, "n_clicks"))
    def revoke(user: UserContext, clicks: list[int | None]) -> Any:
        what = str((ctx.triggered_id or {}).get("what", ""))
        if any(clicks) and what.startswith("key-") and app.services.keys is not None:
            require_scope(user, "admin")
            app.services.keys.revoke(int(what.removeprefix("key-")))
            notify(user.t("Revoked"))
        return _keys(app, user)


PAGE: Final = PageDefinition("/system", N_("System"), layout, register_callbacks, icon="system", charts=True)
