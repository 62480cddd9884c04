"""What the list of jobs and a job's own page show alike: how far it is, why it failed, and what may be done with it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, ctx

from kurswerk.dashboard._components import alert, link_button
from kurswerk.dashboard._kit import Kit, demand, notify
from kurswerk.dashboard._translations import N_
from kurswerk.dashboard._view import View
from kurswerk.training import Job


def actions(view: View, job: Job, place: str) -> list[Any]:
    """Return buttons and links for what may be done with a job; ``place`` is as in `register_actions`."""
    if job.status in {"PENDING", "RUNNING"}:
        return [_button(view.t("Cancel"), f"{place}-cancel", job.id, color="red")]
    found = []
    if job.status in {"FAILED", "CANCELLED"}:
        found.append(_button(view.t("Try again"), f"{place}-retry", job.id))
        if job.job_type == "TRAIN" and job.result_model_id is not None:
            found.append(link_button(view.t("Change it"), f"/dashboard/new?job={job.id}", size="xs", variant="default"))
    if job.status == "COMPLETED":
        found.append(link_button(view.t("See the result"), result_of(job), size="xs"))
    return found


def register_actions(kit: Kit, place: str, tick: str) -> None:
    """Let the buttons of one place work; the timer that renews what stands there is set off at once."""

    def let(what: str, do: Callable[[int], Job], said: str, *, first: bool) -> None:
        @kit.on(
            Output(tick, "n_intervals", allow_duplicate=not first),
            Input({"kind": f"{place}-{what}", "job": ALL}, "n_clicks"),
        )
        def click(view: View, clicks: list[int | None]) -> int:
            if any(clicks):
                demand(view, "train")
                job = do(int(ctx.triggered_id["job"]))
                kit.memory.forget()
                notify(view.t(said), view.t("Job {id}", id=job.id))
            return 0

    let("cancel", kit.services.jobs.cancel, N_("Cancelled"), first=True)
    let("retry", kit.services.jobs.retry, N_("In the queue again"), first=False)


def result_of(job: Job) -> str:
    """Return where the result of a finished job is shown."""
    if job.result_comparison_id is not None:
        return f"/dashboard/compare?comparison={job.result_comparison_id}"
    if job.result_test_id is not None:
        return f"/dashboard/models/{job.request.get('model_id')}?test={job.result_test_id}"
    return f"/dashboard/models/{job.result_model_id or job.request.get('model_id')}"


def progress(view: View, job: Job) -> list[Any]:
    """Return a bar and what is happening, as long as the job is not finished."""
    if job.finished:
        return []
    bar = dmc.Progress(value=100 * job.progress, animated=job.status == "RUNNING", **{"aria-label": view.t("Progress")})
    words = view.say(job.progress_msg or "") or view.t("waits for a worker")
    return [bar, dmc.Text(f"{view.percent(job.progress, 0)} · {words}", size="xs", c="dimmed")]


def reason(view: View, job: Job) -> list[Any]:
    """Return why it failed, was cancelled or runs again, where there is a reason."""
    if not job.error_msg:
        return []
    title = view.t("Why it failed") if job.status == "FAILED" else view.t("Remark")
    color = "red" if job.status == "FAILED" else "gray"
    return [alert(dmc.Text(view.say(job.error_msg), size="sm"), title=title, color=color)]


def summary(view: View, job: Job) -> str:
    """Return in a line when it was ordered, how long it was at work, and where."""
    parts = [view.t("ordered {time}", time=view.moment(job.created_at))]
    if job.started_at is not None:
        took = ((job.completed_at or datetime.now(UTC)) - job.started_at).total_seconds()
        parts.append(view.t("at work for {time}", time=view.duration(took)))
    if job.attempt > 1:
        parts.append(view.t("try {n}", n=job.attempt))
    if job.worker_id:
        parts.append(view.t("worker {name}", name=job.worker_id))
    return " · ".join(parts)


def _button(text: str, kind: str, job_id: int, color: str = "blue") -> Any:
    return dmc.Button(text, id={"kind": kind, "job": job_id}, size="xs", variant="light", color=color)
