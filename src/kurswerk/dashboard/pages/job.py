"""One job: how far it is, why it failed, and its log, line by line as it is written."""

import json
from collections.abc import Sequence
from typing import Any, Final

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from kurswerk.core.errors import NotFoundError
from kurswerk.dashboard._components import badge, card, heading, link_button
from kurswerk.dashboard._job_parts import actions, progress, reason, register_actions, summary
from kurswerk.dashboard._kit import Kit, Page
from kurswerk.dashboard._listings import job_title, model_names
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.training import Job, JobLine

_EVERY_MS: Final = 1000
_SHOWN: Final = 200
_PLACE: Final = "one-job"
_LEVEL_WORDS: Final = {"warning": N_("warning"), "error": N_("error")}


def build(kit: Kit, view: View, _: dict[str, str], job_id: str) -> Any:
    """Return one job's page."""
    job = kit.services.jobs.get(_number(view, job_id))
    lines = kit.services.jobs.log(job.id, limit=_SHOWN, newest_first=True)
    request = html.Pre(json.dumps(dict(job.request), indent=2, ensure_ascii=False), className="kw-code", tabIndex=0)
    return html.Div(
        [
            heading(
                job_title(view, job, model_names(kit)),
                link_button(view.t("All jobs"), "/dashboard/jobs", variant="default"),
                text=view.t("Job {id}", id=job.id),
            ),
            dmc.Stack(
                [
                    html.Div(_now(view, job), id="job-now"),
                    card(
                        view.t("Log"),
                        html.Div(
                            _log(kit, view, job, lines),
                            id="job-log",
                            className="kw-log",
                            role="region",
                            tabIndex=0,
                            **{"aria-label": view.t("Log, the newest line first")},
                        ),
                        text=view.t("What happened, line by line; the newest line is on top."),
                    ),
                    card(view.t("What was ordered"), request),
                ]
            ),
            dcc.Store(id="job-id", data=job.id),
            dcc.Store(id="job-seen", data=_state_of(job, lines)),
            dcc.Interval(id="job-tick", interval=_EVERY_MS),
        ]
    )


def _number(view: View, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFoundError(view.t("There is no job {name}.", name=text))
    return int(text)


def _now(view: View, job: Job) -> Any:
    head = dmc.Group(
        [badge(view, job.status), dmc.Group(actions(view, job, _PLACE), gap="xs")], justify="space-between"
    )
    text = dmc.Text(summary(view, job), size="sm", c="dimmed")
    return dmc.Stack([*reason(view, job), head, *progress(view, job), text], gap="xs")


def _log(kit: Kit, view: View, job: Job, lines: Sequence[JobLine]) -> Any:
    if not lines:
        why = view.t("This job is older than the log.")
        if not job.finished:
            why = view.t("No line yet: the first one comes when a worker begins.")
        return dmc.Text(why, size="sm", c="dimmed")
    table = html.Table(html.Tbody([_row(view, line) for line in lines]), className="kw-table kw-pairs")
    if len(lines) < _SHOWN:
        return table
    path = f"{kit.options.api_path}/jobs/{job.id}/log"
    more = view.t("These are the newest {n} lines. All of them: GET {path}", n=_SHOWN, path=path)
    return [table, dmc.Text(more, size="xs", c="dimmed", mt="xs")]


def _row(view: View, line: JobLine) -> Any:
    words: list[Any] = [view.say(line.message)]
    if line.level in _LEVEL_WORDS:
        words.insert(0, html.Span(f"{view.t(_LEVEL_WORDS[line.level])}: ", className="kw-bad"))
    return html.Tr([html.Th(view.second(line.created_at), scope="row"), html.Td(words)])


def _state_of(job: Job, lines: Sequence[JobLine]) -> list[str]:
    """Return what decides whether the job and its log look different."""
    now = (job.status, job.attempt, round(job.progress, 3), job.progress_msg, job.error_msg)
    return [repr(now), repr([line.id for line in lines[:1]])]


def register(kit: Kit) -> None:
    """Add the callbacks."""
    register_actions(kit, _PLACE, "job-tick")

    @kit.on(
        Output("job-now", "children"),
        Output("job-log", "children"),
        Output("job-seen", "data"),
        Input("job-tick", "n_intervals"),
        State("job-id", "data"),
        State("job-seen", "data"),
    )
    def renew(view: View, _: int | None, job_id: int, seen: list[str]) -> Any:
        job = kit.services.jobs.get(job_id)
        lines = kit.services.jobs.log(job_id, limit=_SHOWN, newest_first=True)
        state = _state_of(job, lines)
        if state == seen:
            raise PreventUpdate
        same_log = seen is not None and state[1] == seen[1]
        return _now(view, job), dash.no_update if same_log else _log(kit, view, job, lines), state


PAGE: Final = Page("/jobs/{job_id}", N_("Job"), build, register, menu=False)
