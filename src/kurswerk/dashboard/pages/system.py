"""System: the machine and the service over time, settings in force, API keys."""

from collections.abc import Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard._components import alert, card, danger, fact, facts, figure, heading, localise, wide
from kurswerk.dashboard._evaluations import pair_table
from kurswerk.dashboard._kit import Kit, Page, demand, notify
from kurswerk.dashboard._load import SPANS, load_figure
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.observability import Load

_EVERY_MS: Final = 5000
_SCOPES: Final = {
    "read": N_("read – see everything"),
    "train": N_("train – order and cancel work"),
    "admin": N_("admin – delete, activate, manage keys"),
}


def build(kit: Kit, view: View, query: dict[str, str]) -> Any:
    """Return the page; ``minutes`` of the address is how far back it looks."""
    links = [
        html.A(view.t("REST API"), href="/docs", className="kw-button kw-button-default kw-button-sm"),
        html.A(view.t("Metrics"), href="/metrics", className="kw-button kw-button-default kw-button-sm"),
    ]
    settings = pair_table([(name, value) for name, value in kit.services.settings.items()])
    return html.Div(
        [
            heading(view.t("System"), *links, text=view.t("The machine, the service, and how both are set up.")),
            dmc.Stack(
                [
                    html.Div(_now(view, kit.services.loads()), id="system-now"),
                    _over_time(kit, view, _span_of(query.get("minutes"))),
                    dmc.Grid(
                        [
                            card(
                                view.t("Settings in force"),
                                settings,
                                text=view.t("Secrets are masked."),
                                span={"base": 12, "lg": 6},
                            ),
                            card(
                                view.t("API keys"),
                                html.Div(_keys(kit, view), id="system-keys"),
                                span={"base": 12, "lg": 6},
                            ),
                        ]
                    ),
                ]
            ),
            dcc.Interval(id="system-tick", interval=_EVERY_MS),
        ]
    )


def _now(view: View, loads: Sequence[Load]) -> Any:
    if not loads:
        return dmc.Text(view.t("The first measurement is taken a second after the start."), size="sm", c="dimmed")
    now = loads[-1]
    each_ms = 1000 * now.request_seconds / now.requests if now.requests else None
    return facts(
        fact(view.t("Processor"), view.percent(now.processor, 0)),
        fact(
            view.t("Memory"),
            view.percent(now.memory, 0),
            detail=view.t("this process {size}", size=view.size(now.process_bytes)),
        ),
        fact(view.t("Disk"), view.percent(now.disk, 0)),
        fact(view.t("Running for"), view.duration(now.uptime_s)),
        fact(
            view.t("API calls"),
            view.number(now.requests),
            detail=None if each_ms is None else view.t("{ms} ms each", ms=view.number(each_ms, 1)),
        ),
        fact(view.t("Predictions in all"), view.number(now.predictions)),
    )


def _over_time(kit: Kit, view: View, minutes: int) -> Any:
    spans = [{"value": str(span), "label": view.t(words)} for span, words in SPANS.items()]
    return card(
        view.t("Over time"),
        dmc.Group(
            dmc.SegmentedControl(
                id="system-span", data=spans, value=str(minutes), size="xs", **{"aria-label": view.t("How far back")}
            )
        ),
        figure(
            view,
            "system-load",
            load_figure(view, kit.services.loads(), minutes),
            label=view.t("Lines: shares of the machine in use, API calls and predictions per minute"),
        ),
        text=view.t("Measured every five seconds; the last day is kept."),
    )


def _span_of(given: str | None) -> int:
    return next((span for span in SPANS if str(span) == given), 60)


def _keys(kit: Kit, view: View) -> Any:
    keys = kit.services.keys
    if keys is None or not view.may("admin"):
        return alert(view.t("Only a key with the scope “admin” sees and makes keys."))
    rows = [
        html.Tr(
            [
                html.Td(one.name),
                html.Td(html.Code(f"{one.prefix}…")),
                html.Td(", ".join(one.scopes)),
                html.Td(view.t("revoked") if one.revoked_at else view.moment(one.last_used_at)),
                html.Td(
                    ""
                    if one.revoked_at
                    else danger(
                        view,
                        f"key-{one.id}",
                        view.t("Revoke"),
                        view.t("Who uses “{name}” is refused from now on.", name=one.name),
                        small=True,
                    )
                ),
            ]
        )
        for one in keys.all()
    ]
    head = [view.t("Name"), view.t("Begins with"), view.t("Scopes"), view.t("Last used"), ""]
    table = html.Table([html.Thead(html.Tr([html.Th(text) for text in head])), html.Tbody(rows)], className="kw-table")
    none = dmc.Text(
        view.t("No keys. Without one, everybody who reaches this address may do everything."), size="sm", c="dimmed"
    )
    return dmc.Stack(
        [
            wide(table) if rows else none,
            dmc.Group(
                [
                    dmc.TextInput(id="key-name", label=view.t("Name"), w=180),
                    dmc.Select(
                        id="key-scope",
                        label=view.t("Scope"),
                        data=[{"value": name, "label": view.t(text)} for name, text in _SCOPES.items()],
                        value="read",
                        allowDeselect=False,
                        w=260,
                    ),
                    dmc.Button(view.t("Make a key"), id="key-make", variant="light"),
                ],
                align="flex-end",
            ),
            html.Div(id="key-made", role="status"),
        ]
    )


def register(kit: Kit) -> None:
    """Add the callbacks."""
    kit.in_browser("(minutes) => kurswerk.query({minutes})", Input("system-span", "value"))

    @kit.on(
        Output("system-now", "children"),
        Output("system-load", "figure"),
        Input("system-tick", "n_intervals"),
        Input("system-span", "value"),
    )
    def renew(view: View, _: int | None, minutes: str | None) -> Any:
        loads = kit.services.loads()
        drawing = load_figure(view, loads, _span_of(minutes))
        localise(view, drawing)
        return _now(view, loads), drawing

    @kit.on(
        Output("key-made", "children"),
        Input("key-make", "n_clicks"),
        State("key-name", "value"),
        State("key-scope", "value"),
    )
    def make(view: View, _: int | None, name: str | None, scope: str) -> Any:
        demand(view, "admin")
        if kit.services.keys is None or not (name or "").strip():
            raise InvalidInputError(view.t("Give the key a name, so that you know later whose it is."))
        names = list(_SCOPES)
        key = kit.services.keys.create(str(name).strip(), names[: names.index(scope) + 1])
        text = [
            dmc.Text(view.t("Copy it now; nobody can read it again."), size="sm"),
            html.Pre(key, className="kw-code", tabIndex=0),
        ]
        return alert(dmc.Stack(text, gap=4), title=view.t("The key"), color="teal")

    @kit.on(Output("system-keys", "children"), Input({"kind": "danger-do", "what": ALL}, "n_clicks"))
    def revoke(view: View, clicks: list[int | None]) -> Any:
        what = str((ctx.triggered_id or {}).get("what", ""))
        if any(clicks) and what.startswith("key-") and kit.services.keys is not None:
            demand(view, "admin")
            kit.services.keys.revoke(int(what.removeprefix("key-")))
            notify(view.t("Revoked"))
        return _keys(kit, view)


PAGE: Final = Page("/system", N_("System"), build, register, icon="system", charts=True)
