"""One job: how far it is, why it failed, and its log, line by line as it is written."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from kurswerk.core.errors import NotFoundError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.model_lookup import model_names
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets.components import card, link_button, page_header, status_badge
from kurswerk.dashboard.widgets.job_status import actions, progress, reason, register_actions, summary
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.labels import job_title, kind_label
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.jobs import FileResult, Job, JobLine

_REFRESH_MS: Final = 1000
_MAX_LINES: Final = 200
_PLACE: Final = "one-job"
_LEVEL_WORDS: Final = {"warning": N_("warning"), "error": N_("error")}


def layout(app: DashboardApp, user: UserContext, _: dict[str, str], job_id: str) -> Any:
    """Return one job's page."""
    job = app.services.jobs.get(_parse_id(job_id))
    lines = app.services.jobs.log(job.id, limit=_MAX_LINES, newest_first=True)
    kind = app.services.job_service.kinds.find(job.job_type)
    return html.Div(
        [
            page_header(
                job_title(user, job, model_names(app), app.services.job_service.kinds),
                link_button(user.t("All jobs"), "/dashboard/jobs", variant="default"),
                text=f"{user.t('Job {id}', id=job.id)} · {job.job_type if kind is None else kind_label(user, kind)}",
            ),
            dmc.Stack(
                [
                    html.Div(_current_state(app, user, job), id="job-now"),
                    card(
                        user.t("Log"),
                        html.Div(
                            _log(app, user, job, lines),
                            id="job-log",
                            className="kw-log",
                            role="region",
                            tabIndex=0,
                            **{"aria-label": user.t("Log, the newest line first")},
                        ),
                        text=user.t("The newest line first."),
                    ),
                    card(user.t("Request"), _document(job.request)),
                ]
            ),
            dcc.Store(id="job-id", data=job.id),
            dcc.Store(id="job-seen", data=_fingerprint(job, lines)),
            dcc.Interval(id="job-tick", interval=_REFRESH_MS),
        ]
    )


def _parse_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFoundError("job.not_found", id=text)
    return int(text)


def _current_state(app: DashboardApp, user: UserContext, job: Job) -> Any:
    head = dmc.Group(
        [status_badge(user, job.status), dmc.Group(actions(app, user, job, _PLACE), gap="xs")], justify="space-between"
    )
    text = dmc.Text(summary(user, job), size="sm", c="dimmed")
    return dmc.Stack([*reason(user, job), head, *progress(user, job), text, *_result(app, user, job)], gap="xs")


def _result(app: DashboardApp, user: UserContext, job: Job) -> list[Any]:
    """Return the result of a job, and where its file is to be had if it wrote one."""
    if job.result is None:
        return []
    words: list[Any] = [dmc.Text(user.t("Result"), size="sm", fw=600), _document(job.result)]
    kind = app.services.job_service.kinds.find(job.job_type)
    if kind is not None and issubclass(kind.result, FileResult):
        path = f"{app.options.api_path}/jobs/{job.id}/file"
        words.append(dmc.Text(user.t("The file: GET {path}", path=path), size="xs", c="dimmed"))
    return words


def _document(document: Mapping[str, Any]) -> Any:
    return html.Pre(json.dumps(dict(document), indent=2, ensure_ascii=False), className="kw-code", tabIndex=0)


def _log(app: DashboardApp, user: UserContext, job: Job, lines: Sequence[JobLine]) -> Any:
    if not lines:
        why = user.t("This job is older than the log.")
        if not job.finished:
            why = user.t("No line yet: the first one comes when a worker begins.")
        return dmc.Text(why, size="sm", c="dimmed")
    table = html.Table(html.Tbody([_row(user, line) for line in lines]), className="kw-table kw-pairs")
    if len(lines) < _MAX_LINES:
        return table
    path = f"{app.options.api_path}/jobs/{job.id}/log"
    more = user.t("These are the newest {n} lines. All of them: GET {path}", n=_MAX_LINES, path=path)
    return [table, dmc.Text(more, size="xs", c="dimmed", mt="xs")]


def _row(user: UserContext, line: JobLine) -> Any:
    words: list[Any] = [user.message(line.detail or line.message)]
    if line.level in _LEVEL_WORDS:
        words.insert(0, html.Span(f"{user.t(_LEVEL_WORDS[line.level])}: ", className="kw-bad"))
    return html.Tr([html.Th(user.date_time_seconds(line.created_at), scope="row"), html.Td(words)])


def _fingerprint(job: Job, lines: Sequence[JobLine]) -> list[str]:
    """Return what decides whether the job and its log look different."""
    now = (job.status, job.attempt, round(job.progress, 3), job.progress_msg, job.error_msg)
    return [repr(now), repr([line.id for line in lines[:1]])]


def register_callbacks(app: DashboardApp) -> None:
    """Add the callbacks."""
    register_actions(app, _PLACE, "job-tick")

    @app.callback(
        Output("job-now", "children"),
        Output("job-log", "children"),
        Output("job-seen", "data"),
        Input("job-tick", "n_intervals"),
        State("job-id", "data"),
        State("job-seen", "data"),
    )
    def renew(user: UserContext, _: int | None, job_id: int, seen: list[str]) -> Any:
        job = app.services.jobs.get(job_id)
        lines = app.services.jobs.log(job_id, limit=_MAX_LINES, newest_first=True)
        state = _fingerprint(job, lines)
        if state == seen:
            raise PreventUpdate
        same_log = seen is not None and state[1] == seen[1]
        return _current_state(app, user, job), dash.no_update if same_log else _log(app, user, job, lines), state


PAGE: Final = PageDefinition("/jobs/{job_id}", N_("Job"), layout, register_callbacks, menu=False)
