"""Overview: is everything well, and what is the next step."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.timestamps import to_datetime
from kurswerk.dashboard._components import (
    STATUS_COLORS,
    alert,
    badge,
    card,
    empty,
    fact,
    facts,
    heading,
    link_button,
    wide,
)
from kurswerk.dashboard._kit import Kit, Page, demand, notify
from kurswerk.dashboard._listings import job_title, model_names
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.dashboard.ports import Prediction
from kurswerk.registry import ModelRecord
from kurswerk.training import Availability, Job

_EVERY_MS: Final = 4000
_SHOWN: Final = 8
_PARTS: Final = {
    "database": N_("Database"),
    "migrations": N_("Schema"),
    "disk": N_("Disk"),
    "memory": N_("Memory"),
    "workers": N_("Workers"),
    "predictors": N_("Predictors"),
}


def build(kit: Kit, view: View, _: dict[str, str]) -> Any:
    """Return the frame; what changes is renewed by itself."""
    return html.Div(
        [
            heading(view.t("Overview"), text=view.t("Is everything well, and what comes next?")),
            html.Div(_content(kit, view), id="overview-content"),
            dcc.Interval(id="overview-tick", interval=_EVERY_MS),
        ]
    )


def register(kit: Kit) -> None:
    """Add the callbacks."""

    @kit.on(Output("overview-content", "children"), Input("overview-tick", "n_intervals"))
    def renew(view: View, _: int) -> Any:
        return _content(kit, view)

    @kit.on(
        Output("overview-tick", "n_intervals"),
        Output("first-simulate", "loading"),
        Input("first-simulate", "n_clicks"),
        State("overview-tick", "n_intervals"),
        running=[
            (Output("first-simulate", "loading"), True, False),
            (Output("overview-tick", "disabled"), True, False),
        ],
    )
    def simulate(view: View, clicks: int | None, ticks: int | None) -> Any:
        if clicks:
            demand(view, "train")
            rows = kit.services.provision.simulate(60, 24.0, 42, lambda *_: None)
            kit.memory.forget()
            notify(
                view.t("The market is filled"),
                view.t("{rows} rows of 60 simulated coins are stored.", rows=view.number(rows)),
            )
        return (ticks or 0) + 1, False


def _content(kit: Kit, view: View) -> Any:
    services = kit.services
    there = kit.memory.get("availability", services.market.availability, seconds=5)
    if not there.rows:
        return _first_steps(view)
    models = kit.memory.get("models", lambda: services.models.find(limit=1000), seconds=2)
    jobs = services.jobs.find(limit=50)
    return dmc.Stack(
        [
            _health(kit, view),
            _figures(kit, view, there, models, jobs),
            *_next_step(view, models),
            dmc.Grid(
                [
                    card(view.t("Jobs under way"), _jobs(kit, view, jobs), span={"base": 12, "lg": 6}),
                    card(view.t("Strongest predictions now"), _strongest(kit, view), span={"base": 12, "lg": 6}),
                    card(view.t("Newest models"), _models(view, models), span={"base": 12, "lg": 6}),
                    card(view.t("Recent alerts"), _alerts(kit, view), span={"base": 12, "lg": 6}),
                ]
            ),
        ]
    )


def _first_steps(view: View) -> Any:
    return empty(
        view.t("Welcome. There are no market data yet."),
        view.t(
            "Start with a simulated market: 60 coins over 24 hours, made in a few seconds. "
            "Or bring in candles of your own. Then train a first model on them."
        ),
        dmc.Button(view.t("Simulate a market"), id="first-simulate"),
        link_button(view.t("Bring in a file"), "/dashboard/data?open=ingest", variant="default"),
    )


def _health(kit: Kit, view: View) -> Any:
    report = kit.memory.get("health", lambda: kit.services.health().as_json(), seconds=2)
    well = report.get("status") == "healthy"
    parts = [
        dmc.Tooltip(
            dmc.Badge(
                view.t(_PARTS.get(name, name)),
                color=STATUS_COLORS.get(str(check.get("status")), "gray"),
                variant="dot",
                className="kw-badge",
                size="lg",
            ),
            label=view.say(check.get("message", "")) or view.t("no details"),
        )
        for name, check in (report.get("checks") or {}).items()
    ]
    text = view.t("Everything is well.") if well else view.t("Something needs attention.")
    troubles = [
        f"{view.t(_PARTS.get(name, name))}: {view.say(check.get('message', ''))}"
        for name, check in (report.get("checks") or {}).items()
        if check.get("status") != "ok"
    ]
    lines = dmc.Stack(
        [
            dmc.Group([dmc.Text(text, fw=600), *parts], gap="sm"),
            *(dmc.Text(trouble, size="sm", c="dimmed") for trouble in troubles),
        ],
        gap=4,
    )
    return html.Div(dmc.Paper(lines, withBorder=True, p="md", radius="md"), role="status")


def _figures(kit: Kit, view: View, there: Availability, models: Any, jobs: Any) -> Any:
    ready = [record for record in models if record.status == "READY"]
    active = [record for record in ready if record.is_active]
    under_way = [job for job in jobs if job.status in {"RUNNING", "PENDING"}]
    newest = None if there.last_us is None else to_datetime(there.last_us)
    live = kit.services.live
    per_minute = None if live is None else kit.memory.get("per-minute", live.per_minute, seconds=3)
    lag = None if newest is None else (datetime.now(UTC) - newest).total_seconds()
    return facts(
        fact(view.t("Market rows"), view.number(there.rows), detail=view.t("{n} coins", n=view.number(there.coins))),
        fact(
            view.t("Newest row"),
            view.t("in the future") if lag is not None and lag < 0 else view.ago(newest),
            detail=view.moment(newest),
        ),
        fact(
            view.t("Models"),
            view.number(len(models)),
            detail=view.t("{ready} ready, {active} active", ready=len(ready), active=len(active)),
        ),
        fact(view.t("Jobs under way"), view.number(len(under_way))),
        fact(view.t("Predictions per minute"), view.number(per_minute, 1)),
    )


def _next_step(view: View, models: Sequence[ModelRecord]) -> list[Any]:
    if not models:
        return [
            empty(
                view.t("Next: train a first model"),
                view.t(
                    "The data are here. A form with sensible defaults leads you to a model that foresees rising prices."
                ),
                link_button(view.t("Train a model"), "/dashboard/new", variant="filled"),
            )
        ]
    if not any(record.status == "READY" for record in models):
        return []
    if not any(record.is_active for record in models):
        ready = next(record for record in models if record.status == "READY")
        text = view.t("No model predicts live yet. Test one on later data, then activate it on its page.")
        return [
            alert(
                dmc.Group(
                    [
                        dmc.Text(text, size="sm"),
                        link_button(view.t("Open {name}", name=ready.name), f"/dashboard/models/{ready.id}"),
                    ]
                ),
                title=view.t("Next: put a model to work"),
            )
        ]
    return []


def _jobs(kit: Kit, view: View, jobs: Any) -> Any:
    under_way: list[Job] = [job for job in jobs if job.status in {"RUNNING", "PENDING"}][:_SHOWN]
    if not under_way:
        return _quiet(
            view.t("Nothing is being worked on."), link_button(view.t("All jobs"), "/dashboard/jobs", size="xs")
        )
    names = model_names(kit)
    return dmc.Stack(
        [
            dmc.Stack(
                [
                    dmc.Group(
                        [dmc.Text(job_title(view, job, names), size="sm", fw=500), badge(view, job.status)],
                        justify="space-between",
                    ),
                    dmc.Progress(
                        value=100 * job.progress,
                        animated=job.status == "RUNNING",
                        **{"aria-label": view.t("Progress")},
                    ),
                    dmc.Text(view.say(job.progress_msg or ""), size="xs", c="dimmed"),
                ],
                gap=4,
            )
            for job in under_way
        ]
    )


def _strongest(kit: Kit, view: View) -> Any:
    live = kit.services.live
    if live is None:
        return _quiet(view.t("No predictor is part of this installation."))
    strongest: dict[str, Prediction] = {}  # of each coin
    for one in sorted(live.predictions(limit=200), key=lambda one: -one.probability):
        strongest.setdefault(one.coin_id, one)
    if not strongest:
        return _quiet(view.t("No predictions yet. Activate a model to see them here."))
    found = list(strongest.values())[:_SHOWN]
    return _coins(kit, view, [(one, one.timestamp) for one in found], view.t("Row"))


def _alerts(kit: Kit, view: View) -> Any:
    live = kit.services.live
    found = [] if live is None else live.alerts(limit=_SHOWN)
    if not found:
        return _quiet(view.t("No alerts. A model raises one when its probability reaches its threshold."))
    return _coins(kit, view, [(one, one.created_at) for one in found], view.t("Raised"))


def _coins(kit: Kit, view: View, found: Sequence[tuple[Any, datetime]], when: str) -> Any:
    """Show predictions or alerts, each with the moment that counts."""
    names = model_names(kit)
    rows = [
        html.Tr(
            [
                html.Td(dcc.Link(_short(one.coin_id), href=f"/dashboard/data/{one.coin_id}", className="kw-link")),
                html.Td(names.get(one.model_id, str(one.model_id))),
                html.Td(view.percent(one.probability), className="kw-r"),
                html.Td(view.ago(moment), className="kw-r kw-muted"),
            ]
        )
        for one, moment in found
    ]
    return _table((view.t("Coin"), view.t("Model"), view.t("Probability"), when), rows)


def _models(view: View, models: Sequence[ModelRecord]) -> Any:
    if not models:
        return _quiet(view.t("No model yet."))
    rows = [
        html.Tr(
            [
                html.Td(dcc.Link(one.name, href=f"/dashboard/models/{one.id}", className="kw-link")),
                html.Td(badge(view, one.status)),
                html.Td(view.ago(one.created_at), className="kw-r kw-muted"),
            ]
        )
        for one in models[:_SHOWN]
    ]
    return _table((view.t("Model"), view.t("Status"), view.t("Made")), rows)


def _table(head: tuple[str, ...], rows: list[Any]) -> Any:
    titles = html.Thead(
        html.Tr([html.Th(text, className="" if k == 0 else "kw-r" if k > 1 else "") for k, text in enumerate(head)])
    )
    return wide(html.Table([titles, html.Tbody(rows)], className="kw-table"))


def _quiet(text: str, *more: Any) -> Any:
    return dmc.Group([dmc.Text(text, c="dimmed", size="sm"), *more])


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:6]}…{name[-6:]}"


PAGE: Final = Page("/", N_("Overview"), build, register, icon="overview")
