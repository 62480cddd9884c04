"""System: the machine and the service over time, settings in force, API keys."""

import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html
from plotly import graph_objects as go

from kurswerk.core.errors import InvalidInputError
from kurswerk.dashboard._components import alert, card, danger, fact, facts, figure, heading, localise, wide
from kurswerk.dashboard._evaluations import pair_table
from kurswerk.dashboard._kit import Kit, Page, demand, notify
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View

_EVERY_MS: Final = 5000
_KEPT: Final = 720
_LEAST_SHOWN: Final = timedelta(minutes=1)
_SAMPLE: Final = re.compile(r"^([a-z_]+)(\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)
_SCOPES: Final = {
    "read": N_("read – see everything"),
    "train": N_("train – order and cancel work"),
    "admin": N_("admin – delete, activate, manage keys"),
}
_HISTORY: Final[deque[tuple[datetime, Mapping[str, float]]]] = deque(maxlen=_KEPT)


def build(kit: Kit, view: View, _: dict[str, str]) -> Any:
    """Return the page."""
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
                    html.Div(_now(kit, view), id="system-now"),
                    card(
                        view.t("Load over time"),
                        figure(
                            view,
                            "system-load",
                            load_figure(view),
                            label=view.t("Lines: shares of processor, memory and disk in use"),
                        ),
                        text=view.t("Since this page or another was first opened."),
                    ),
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


def _sample(kit: Kit) -> Mapping[str, float]:
    def ask() -> Mapping[str, float]:
        found = kit.services.machine()
        _HISTORY.append((datetime.now(UTC), found))
        return found

    return kit.memory.get("machine", ask, seconds=4)


def _now(kit: Kit, view: View) -> Any:
    machine = _sample(kit)
    metrics = samples_of(kit.services.metrics_text().decode("utf-8", "replace"))
    requests = sum(value for name, value in metrics if name == "api_requests_total")
    values = dict(metrics)
    seconds = values.get("request_duration_seconds_sum", 0.0)
    counted = values.get("request_duration_seconds_count", 0.0)
    return facts(
        fact(view.t("Processor"), view.percent(machine["cpu"], 0)),
        fact(
            view.t("Memory"),
            view.percent(machine["memory"], 0),
            detail=view.t("this process {size}", size=view.size(machine["process_bytes"])),
        ),
        fact(view.t("Disk"), view.percent(machine["disk"], 0)),
        fact(view.t("Running for"), view.duration(values.get("ml_service_uptime_seconds"))),
        fact(
            view.t("API calls"),
            view.number(requests),
            detail=view.t("{ms} ms each", ms=view.number(1000 * seconds / counted, 1)) if counted else None,
        ),
        fact(view.t("Predictions in all"), view.number(values.get("ml_predictions_total"))),
    )


def samples_of(text: str) -> list[tuple[str, float]]:
    r"""Read name and value of each sample of Prometheus's text format.

    Examples
    --------
    >>> samples_of('# HELP a b\nml_x{y="1"} 2.0\nml_z 3')
    [('ml_x', 2.0), ('ml_z', 3.0)]
    """
    return [(name, float(value)) for name, _, value in _SAMPLE.findall(text)]


def load_figure(view: View) -> Any:
    """Draw the load of the machine since it is watched."""
    drawing = go.Figure(layout=view.theme.layout(height=260, hovermode="x unified"))
    form = "%Y-%m-%d %H:%M:%S"
    times = [view.local(moment).strftime(form) for moment, _ in _HISTORY]
    for k, (name, words) in enumerate(
        (("cpu", view.t("processor")), ("memory", view.t("memory")), ("disk", view.t("disk")))
    ):
        shares = [found[name] for _, found in _HISTORY]
        drawing.add_scatter(
            x=times, y=shares, name=words, mode="lines+markers" if len(times) < 3 else "lines", line=view.theme.line(k)
        )
    drawing.update_yaxes(range=[0, 1.02], tickformat=".0%")
    if _HISTORY:  # one moment by itself would stand between fractions of milliseconds
        (first, _), (last, _) = _HISTORY[0], _HISTORY[-1]
        drawing.update_xaxes(range=[view.local(min(first, last - _LEAST_SHOWN)).strftime(form), times[-1]])
    return drawing


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

    @kit.on(Output("system-now", "children"), Output("system-load", "figure"), Input("system-tick", "n_intervals"))
    def renew(view: View, _: int | None) -> Any:
        drawing = load_figure(view)
        localise(view, drawing)
        return _now(kit, view), drawing

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
