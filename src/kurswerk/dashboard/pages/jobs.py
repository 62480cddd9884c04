"""Jobs: what is being worked on, what waits, what failed and why."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.model_lookup import model_names
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets.components import (
    STATUS_WORDS,
    callout,
    empty_state,
    link_button,
    page_header,
    status_badge,
)
from kurswerk.dashboard.widgets.evaluation import key_value_table
from kurswerk.dashboard.widgets.job_status import actions, progress, reason, register_actions, summary
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.labels import job_title, kind_label
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.jobs import Job

_REFRESH_MS: Final = 1000
_MAX_JOBS: Final = 50
_PLACE: Final = "job"
_STATUSES: Final = ("RUNNING", "PENDING", "COMPLETED", "FAILED", "CANCELLED")


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the list; ``status`` and ``kind`` of the address are its filters."""
    status = query.get("status", "") if query.get("status") in _STATUSES else ""
    kinds = app.services.job_service.kinds
    kind = query.get("kind", "") if query.get("kind") in kinds.names else ""
    choices = [{"value": "", "label": user.t("all")}] + [
        {"value": one, "label": user.t(STATUS_WORDS[one])} for one in _STATUSES
    ]
    return html.Div(
        [
            page_header(
                user.t("Jobs"),
                link_button(user.t("New model"), "/dashboard/new"),
                text=user.t("Everything that runs in the background, the newest first."),
            ),
            dmc.Group(
                [
                    html.Div(
                        dmc.SegmentedControl(
                            id="jobs-status", value=status, data=choices, **{"aria-label": user.t("Status")}
                        ),
                        className="kw-scroll",
                    ),
                    dmc.Select(
                        id="jobs-kind",
                        value=kind,
                        data=[
                            {"value": "", "label": user.t("all kinds")},
                            *({"value": one.name, "label": kind_label(user, one)} for one in kinds),
                        ],
                        allowDeselect=False,
                        w=220,
                        **{"aria-label": user.t("Kind of job")},
                    ),
                ],
                mb="sm",
            ),
            html.Div(_list(app, user, status, kind), id="jobs-list"),
            dcc.Store(id="jobs-seen"),
            dcc.Interval(id="jobs-tick", interval=_REFRESH_MS),
            dcc.Interval(id="jobs-tick-watch", interval=_REFRESH_MS),
        ]
    )


def _list(app: DashboardApp, user: UserContext, status: str, kind: str) -> Any:
    jobs = app.services.jobs.find(status=status or None, job_type=kind or None, limit=_MAX_JOBS)
    if not jobs:
        return empty_state(
            user.t("No jobs here"),
            user.t("Jobs appear here as soon as they are created."),
            link_button(user.t("New model"), "/dashboard/new", variant="filled"),
        )
    waiting = any(job.status == "PENDING" for job in jobs) and not any(job.status == "RUNNING" for job in jobs)
    names = model_names(app)
    cards: list[Any] = [_card(app, user, job, names) for job in jobs]
    if waiting and _oldest_wait_s(jobs) > 15:
        text = user.t("No worker is running, so jobs wait. Start one with: kurswerk worker")
        cards.insert(0, callout(text, color="orange"))
    return dmc.Stack(cards, gap="xs")


def _fingerprint(jobs: Sequence[Job], *filters: str | None) -> str:
    """Return what decides whether the list looks different; its waiting time is renewed every quarter of a minute."""
    waiting = any(job.status == "PENDING" for job in jobs)
    parts = [(job.id, job.status, round(job.progress, 3), job.progress_msg, job.error_msg) for job in jobs]
    return repr((filters, parts, int(datetime.now(UTC).timestamp() // 15) if waiting else 0))


def _oldest_wait_s(jobs: Sequence[Job]) -> float:
    return max((datetime.now(UTC) - job.created_at).total_seconds() for job in jobs if job.status == "PENDING")


def _card(app: DashboardApp, user: UserContext, job: Job, names: Mapping[int, str]) -> Any:
    title = dmc.Group(
        [
            dmc.Text(f"#{job.id}", size="sm", c="dimmed"),
            dmc.Text(job_title(user, job, names, app.services.job_service.kinds), fw=600, size="sm"),
            status_badge(user, job.status),
        ],
        gap="xs",
    )
    log = link_button(user.t("Log"), f"/dashboard/jobs/{job.id}", size="xs", variant="default")
    head = dmc.Group([title, dmc.Group([log, *actions(app, user, job, _PLACE)], gap="xs")], justify="space-between")
    return dmc.Paper(
        dmc.Stack([head, *progress(user, job), *reason(user, job), _details(user, job)], gap=6),
        withBorder=True,
        p="sm",
        radius="md",
    )


def _details(user: UserContext, job: Job) -> Any:
    body = html.Pre(json.dumps(dict(job.request), indent=2, ensure_ascii=False), className="kw-code", tabIndex=0)
    found = [
        dmc.Text(user.t("History"), size="sm", fw=600, mt="xs"),
        key_value_table(history(user, job)),
        dmc.Text(
            user.t("Lines of the service's log about this job carry job_id {id}.", id=job.id),
            size="xs",
            c="dimmed",
            my="xs",
        ),
        dmc.Text(user.t("Request"), size="sm", fw=600),
        body,
    ]
    return html.Details(
        [html.Summary(summary(user, job), className="kw-muted"), *found], id={"kind": "job-details", "job": job.id}
    )


def history(user: UserContext, job: Job) -> list[tuple[str, str]]:
    """Return moments of a job's life, to the second, with what happened at each; of its runs only the newest."""
    moments: list[tuple[datetime | None, str]] = [(job.created_at, user.t("created"))]
    if job.started_at is not None:
        words = user.t("run {n} begins on worker {name}", n=job.attempt, name=job.worker_id or "?")
        moments.append((job.started_at, words))
    if job.completed_at is not None:
        words = user.t(STATUS_WORDS[job.status])
        moments.append(
            (
                job.completed_at,
                f"{words}: {user.message(job.error_detail or job.error_msg)}" if job.error_msg else words,
            )
        )
    elif job.status in {"RUNNING", "PENDING"}:
        progress_text = user.message(job.progress_detail or job.progress_msg or "") or user.t("waits for a worker")
        moments.append((datetime.now(UTC), f"{user.percent(job.progress, 0)} · {progress_text}"))
        if job.error_msg:
            moments.insert(-1, (job.started_at or job.created_at, user.message(job.error_detail or job.error_msg)))
    return [(user.date_time_seconds(moment), text) for moment, text in moments if moment is not None]


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    register_actions(app, _PLACE, "jobs-tick")
    app.clientside_callback(
        "(status, kind) => kurswerk.query({status, kind})", Input("jobs-status", "value"), Input("jobs-kind", "value")
    )
    # A list that is renewed while its details are read would close them.
    app.clientside_callback(
        "() => !!document.querySelector('#jobs-list details[open]') || document.hidden",
        Output("jobs-tick", "disabled"),
        Input("jobs-tick-watch", "n_intervals"),
    )

    @app.callback(
        Output("jobs-list", "children"),
        Output("jobs-seen", "data"),
        Input("jobs-status", "value"),
        Input("jobs-kind", "value"),
        Input("jobs-tick", "n_intervals"),
        State("jobs-seen", "data"),
    )
    def renew(user: UserContext, status: str | None, kind: str | None, _: int | None, seen: str | None) -> Any:
        jobs = app.services.jobs.find(status=status or None, job_type=kind or None, limit=_MAX_JOBS)
        now = _fingerprint(jobs, status, kind)
        if now == seen:
            raise PreventUpdate
        return _list(app, user, status or "", kind or ""), now


PAGE: Final = PageDefinition("/jobs", N_("Jobs"), layout, register_callbacks, icon="jobs")
