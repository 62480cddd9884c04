"""Overview: health, activity and the next step."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from kurswerk.core.timestamps import to_datetime
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.callbacks.model_lookup import model_labels, model_names
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.ports import Prediction
from kurswerk.dashboard.widgets.components import (
    STATUS_COLORS,
    callout,
    card,
    empty_state,
    link_button,
    page_header,
    scrollable,
    stat,
    stat_row,
    status_badge,
)
from kurswerk.dashboard.widgets.market_choice import availability
from kurswerk.dashboard.widgets.prediction_rate import prediction_rate_stat
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.labels import job_title
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.jobs import Job
from kurswerk.market import market_named
from kurswerk.registry import ModelRecord
from kurswerk.training import Availability

_REFRESH_MS: Final = 4000
_MAX_SHOWN: Final = 8
_COMPONENTS: Final = {
    "database": N_("Database"),
    "migrations": N_("Schema"),
    "disk": N_("Disk"),
    "memory": N_("Memory"),
    "workers": N_("Workers"),
    "predictors": N_("Predictors"),
    "inputs": N_("Inputs"),
}


def layout(app: DashboardApp, user: UserContext, _: dict[str, str]) -> Any:
    """Return the frame; what changes is renewed by itself."""
    return html.Div(
        [
            page_header(user.t("Overview"), text=user.t("Health, activity and the next step.")),
            html.Div(_content(app, user), id="overview-content"),
            dcc.Interval(id="overview-tick", interval=_REFRESH_MS),
        ]
    )


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""

    @app.callback(Output("overview-content", "children"), Input("overview-tick", "n_intervals"))
    def renew(user: UserContext, _: int) -> Any:
        return _content(app, user)

    @app.callback(
        Output("overview-tick", "n_intervals"),
        Output("first-simulate", "loading"),
        Input("first-simulate", "n_clicks"),
        State("overview-tick", "n_intervals"),
        running=[
            (Output("first-simulate", "loading"), True, False),
            (Output("overview-tick", "disabled"), True, False),
        ],
    )
    def simulate(user: UserContext, clicks: int | None, ticks: int | None) -> Any:
        if clicks:
            require_scope(user, "train")
            rows = app.services.ingestion.simulate(60, 24.0, 42, lambda *_: None)
            app.cache.clear()
            notify(
                user.t("Market data stored"),
                user.tn("{n} row of 60 simulated coins is stored.", "{n} rows of 60 simulated coins are stored.", rows),
            )
        return (ticks or 0) + 1, False


def _content(app: DashboardApp, user: UserContext) -> Any:
    services = app.services
    there = availability(app, market_named())
    if not there.rows:
        return _first_steps(user)
    models = app.cache.get("models", lambda: services.models.find(limit=1000), max_age_s=2)
    jobs = services.jobs.find(limit=50)
    return dmc.Stack(
        [
            _health(app, user),
            _metrics(app, user, there, models, jobs),
            *_next_step(user, models),
            dmc.Grid(
                [
                    card(user.t("Running and waiting jobs"), _jobs(app, user, jobs), span={"base": 12, "lg": 6}),
                    card(user.t("Strongest predictions now"), _strongest(app, user), span={"base": 12, "lg": 6}),
                    card(user.t("Newest models"), _models(user, models), span={"base": 12, "lg": 6}),
                    card(user.t("Recent alerts"), _alerts(app, user), span={"base": 12, "lg": 6}),
                ]
            ),
        ]
    )


def _first_steps(user: UserContext) -> Any:
    return empty_state(
        user.t("Welcome. There are no market data yet."),
        user.t(
            "Start with a simulated market: 60 coins over 24 hours, made in a few seconds. "
            "Or import candles of your own. Then train a first model on them."
        ),
        dmc.Button(user.t("Simulate a market"), id="first-simulate"),
        link_button(user.t("Import a file"), "/dashboard/data?open=ingest", variant="default"),
    )


def _health(app: DashboardApp, user: UserContext) -> Any:
    report = app.cache.get("health", app.services.health, max_age_s=2)
    well = report.status == "healthy"
    parts = [
        dmc.Tooltip(
            dmc.Badge(
                user.t(_COMPONENTS.get(name, name)),
                color=STATUS_COLORS.get(check.status, "gray"),
                variant="dot",
                className="kw-badge",
                size="lg",
            ),
            label=user.message(check.message) or user.t("no details"),
        )
        for name, check in report.checks.items()
    ]
    text = user.t("All components are healthy.") if well else user.t("Something needs attention.")
    troubles = [
        f"{user.t(_COMPONENTS.get(name, name))}: {user.message(check.message)}"
        for name, check in report.checks.items()
        if check.status != "ok"
    ]
    lines = dmc.Stack(
        [
            dmc.Group([dmc.Text(text, fw=600), *parts], gap="sm"),
            *(dmc.Text(trouble, size="sm", c="dimmed") for trouble in troubles),
        ],
        gap=4,
    )
    return html.Div(dmc.Paper(lines, withBorder=True, p="md", radius="md"), role="status")


def _metrics(app: DashboardApp, user: UserContext, there: Availability, models: Any, jobs: Any) -> Any:
    ready = [record for record in models if record.status == "READY"]
    active = [record for record in ready if record.is_active]
    under_way = [job for job in jobs if job.status in {"RUNNING", "PENDING"}]
    newest = None if there.last_us is None else to_datetime(there.last_us)
    lag = None if newest is None else (datetime.now(UTC) - newest).total_seconds()
    return stat_row(
        stat(user.t("Market rows"), user.number(there.rows), detail=user.tn("{n} coin", "{n} coins", there.coins)),
        stat(
            user.t("Newest row"),
            user.t("in the future") if lag is not None and lag < 0 else user.ago(newest),
            detail=user.date_time(newest),
        ),
        stat(
            user.t("Models"),
            user.number(len(models)),
            detail=user.t("{ready} ready, {active} active", ready=len(ready), active=len(active)),
        ),
        stat(user.t("Running and waiting jobs"), user.number(len(under_way))),
        prediction_rate_stat(app, user),
    )


def _next_step(user: UserContext, models: Sequence[ModelRecord]) -> list[Any]:
    if not models:
        return [
            empty_state(
                user.t("Next: train a first model"),
                user.t(
                    "The data are here. A form with sensible defaults leads you to a model that predicts rising prices."
                ),
                link_button(user.t("Train a model"), "/dashboard/new", variant="filled"),
            )
        ]
    if not any(record.status == "READY" for record in models):
        return []
    if not any(record.is_active for record in models):
        ready = next(record for record in models if record.status == "READY")
        text = user.t("No model predicts live yet. Test one on later data, then activate it on its page.")
        return [
            callout(
                dmc.Group(
                    [
                        dmc.Text(text, size="sm"),
                        link_button(user.t("Open {name}", name=ready.name), f"/dashboard/models/{ready.id}"),
                    ]
                ),
                title=user.t("Next: activate a model"),
            )
        ]
    return []


def _jobs(app: DashboardApp, user: UserContext, jobs: Any) -> Any:
    under_way: list[Job] = [job for job in jobs if job.status in {"RUNNING", "PENDING"}][:_MAX_SHOWN]
    if not under_way:
        return _empty_note(
            user.t("No job is running or waiting."), link_button(user.t("All jobs"), "/dashboard/jobs", size="xs")
        )
    names = model_names(app)

    def title(job: Job) -> str:
        return job_title(user, job, names, app.services.job_service.kinds)

    return dmc.Stack(
        [
            dmc.Stack(
                [
                    dmc.Group(
                        [
                            dmc.Text(title(job), size="sm", fw=500),
                            status_badge(user, job.status),
                        ],
                        justify="space-between",
                    ),
                    dmc.Progress(
                        value=100 * job.progress,
                        animated=job.status == "RUNNING",
                        **{"aria-label": user.t("Progress")},
                    ),
                    dmc.Text(user.message(job.progress_detail or job.progress_msg or ""), size="xs", c="dimmed"),
                ],
                gap=4,
            )
            for job in under_way
        ]
    )


def _strongest(app: DashboardApp, user: UserContext) -> Any:
    live = app.services.live
    if live is None:
        return _empty_note(user.t("No predictor is part of this installation."))
    strongest: dict[str, Prediction] = {}  # of each coin
    for one in sorted(live.predictions(limit=200), key=lambda one: -one.probability):
        strongest.setdefault(one.coin_id, one)
    if not strongest:
        return _empty_note(user.t("No predictions yet. Activate a model to see them here."))
    found = list(strongest.values())[:_MAX_SHOWN]
    return _coins(app, user, [(one, one.timestamp) for one in found], user.t("Row"))


def _alerts(app: DashboardApp, user: UserContext) -> Any:
    live = app.services.live
    found = [] if live is None else live.alerts(limit=_MAX_SHOWN)
    if not found:
        return _empty_note(user.t("No alerts. A model raises one when its probability reaches its threshold."))
    return _coins(app, user, [(one, one.created_at) for one in found], user.t("Raised"))


def _coins(app: DashboardApp, user: UserContext, found: Sequence[tuple[Any, datetime]], when: str) -> Any:
    """Show predictions or alerts, each with the moment that counts."""
    labels = model_labels(app)
    rows = [
        html.Tr(
            [
                html.Td(
                    dcc.Link(
                        _short(one.coin_id), href=labels.instrument_path(one.model_id, one.coin_id), className="kw-link"
                    )
                ),
                html.Td(labels.name(one.model_id)),
                html.Td(user.percent(one.probability), className="kw-r"),
                html.Td(user.ago(moment), className="kw-r kw-muted"),
            ]
        )
        for one, moment in found
    ]
    return _table((user.t("Coin"), user.t("Model"), user.t("Probability"), when), rows)


def _models(user: UserContext, models: Sequence[ModelRecord]) -> Any:
    if not models:
        return _empty_note(user.t("No model yet."))
    rows = [
        html.Tr(
            [
                html.Td(dcc.Link(one.name, href=f"/dashboard/models/{one.id}", className="kw-link")),
                html.Td(status_badge(user, one.status)),
                html.Td(user.ago(one.created_at), className="kw-r kw-muted"),
            ]
        )
        for one in models[:_MAX_SHOWN]
    ]
    return _table((user.t("Model"), user.t("Status"), user.t("Created")), rows)


def _table(head: tuple[str, ...], rows: list[Any]) -> Any:
    titles = html.Thead(
        html.Tr([html.Th(text, className="" if k == 0 else "kw-r" if k > 1 else "") for k, text in enumerate(head)])
    )
    return scrollable(html.Table([titles, html.Tbody(rows)], className="kw-table"))


def _empty_note(text: str, *more: Any) -> Any:
    return dmc.Group([dmc.Text(text, c="dimmed", size="sm"), *more])


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:6]}…{name[-6:]}"


PAGE: Final = PageDefinition("/", N_("Overview"), layout, register_callbacks, icon="overview")
