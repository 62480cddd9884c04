"""What the list of jobs and a job's own page show alike: how far it is, why it failed, and what may be done with it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, ctx

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.feedback import notify, require_scope
from kurswerk.dashboard.widgets.components import callout, link_button
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.jobs import Job


def actions(app: DashboardApp, user: UserContext, job: Job, place: str) -> list[Any]:
    """Return buttons and links for what may be done with a job; ``place`` is as in `register_actions`."""
    if job.status in {"PENDING", "RUNNING"}:
        return [_button(user.t("Cancel"), f"{place}-cancel", job.id, color="red")]
    found = []
    if job.status in {"FAILED", "CANCELLED"}:
        found.append(_button(user.t("Try again"), f"{place}-retry", job.id))
        kind = app.services.job_service.kinds.find(job.job_type)
        if kind is not None and kind.order_page is not None:
            href = f"/dashboard/{kind.order_page}?job={job.id}"
            found.append(link_button(user.t("Change it"), href, size="xs", variant="default"))
    if job.status == "COMPLETED":
        found.append(link_button(user.t("See the result"), result_of(job), size="xs"))
    return found


def register_actions(app: DashboardApp, place: str, tick: str) -> None:
    """Add the callbacks of one place's buttons; the timer that renews the place is triggered at once."""

    def register(name: str, action: Callable[[int], Job], confirmation: str, *, first: bool) -> None:
        @app.callback(
            Output(tick, "n_intervals", allow_duplicate=not first),
            Input({"kind": f"{place}-{name}", "job": ALL}, "n_clicks"),
        )
        def click(user: UserContext, clicks: list[int | None]) -> int:
            if any(clicks):
                require_scope(user, "train")
                job = action(int(ctx.triggered_id["job"]))
                app.cache.clear()
                notify(user.t(confirmation), user.t("Job {id}", id=job.id))
            return 0

    register("cancel", app.services.jobs.cancel, N_("Cancelled"), first=True)
    register("retry", app.services.jobs.retry, N_("In the queue again"), first=False)


def result_of(job: Job) -> str:
    """Return where the result of a finished job is shown."""
    if job.result_comparison_id is not None:
        return f"/dashboard/compare?comparison={job.result_comparison_id}"
    if job.result_test_id is not None:
        return f"/dashboard/models/{job.request.get('model_id')}?test={job.result_test_id}"
    model_id = job.result_model_id or job.request.get("model_id")
    return f"/dashboard/jobs/{job.id}" if model_id is None else f"/dashboard/models/{model_id}"


def progress(user: UserContext, job: Job) -> list[Any]:
    """Return a bar and what is happening, as long as the job is not finished."""
    if job.finished:
        return []
    bar = dmc.Progress(value=100 * job.progress, animated=job.status == "RUNNING", **{"aria-label": user.t("Progress")})
    words = user.message(job.progress_detail or job.progress_msg or "") or user.t("waits for a worker")
    return [bar, dmc.Text(f"{user.percent(job.progress, 0)} · {words}", size="xs", c="dimmed")]


def reason(user: UserContext, job: Job) -> list[Any]:
    """Return why it failed, was cancelled or runs again, where there is a reason."""
    if not job.error_msg:
        return []
    title = user.t("Why it failed") if job.status == "FAILED" else user.t("Remark")
    color = "red" if job.status == "FAILED" else "gray"
    return [callout(dmc.Text(user.message(job.error_detail or job.error_msg), size="sm"), title=title, color=color)]


def summary(user: UserContext, job: Job) -> str:
    """Return in a line when it was ordered, how long it was at work, and where."""
    parts = [user.t("created {time}", time=user.date_time(job.created_at))]
    if job.started_at is not None:
        took = ((job.completed_at or datetime.now(UTC)) - job.started_at).total_seconds()
        parts.append(user.t("at work for {time}", time=user.duration(took)))
    if job.attempt > 1:
        parts.append(user.t("try {n}", n=job.attempt))
    if job.worker_id:
        parts.append(user.t("worker {name}", name=job.worker_id))
    return " · ".join(parts)


def _button(text: str, kind: str, job_id: int, color: str = "blue") -> Any:
    return dmc.Button(text, id={"kind": kind, "job": job_id}, size="xs", variant="light", color=color)
