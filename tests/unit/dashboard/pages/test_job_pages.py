"""What the list of jobs and a job's own page show, and what may be done there."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from kurswerk.core.messages import Message
from kurswerk.dashboard import DashboardServices
from kurswerk.dashboard.pages.jobs import history
from kurswerk.dashboard.words.catalogue import translate
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel
from memory_dashboard import WHEN, Browser, Registry, notices, services_over


def test_a_job_shows_its_history(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    number = services.jobs.order("TEST", {"model_id": 1})
    services.jobs.start(number)
    began = WHEN + timedelta(seconds=5)
    changes = {"started_at": began, "worker_id": "vm:1", "progress": 0.5, "progress_msg": "fold 2 of 5"}
    services.jobs.jobs[number] = job = replace(services.jobs.get(number), **changes)
    assert history(UserContext(), job)[1] == ("Jan 1, 2024, 02:00:05", "run 1 begins on worker vm:1")
    assert history(UserContext(), job)[2][1] == "50% · fold 2 of 5"
    again = replace(job, status="PENDING", error_msg="killed by signal 9")
    assert [text for _, text in history(UserContext(), again)][2:] == ["killed by signal 9", "50% · fold 2 of 5"]
    failed = replace(job, status="FAILED", error_msg="no rows", completed_at=began + timedelta(seconds=2))
    assert history(UserContext(language="de"), failed)[-1] == ("01.01.2024, 02:00:07", "gescheitert: no rows")
    assert "History" in Browser(services).open("/jobs")


SEEN = ("job-id.data", "job-seen.data", "job-tick.n_intervals")


@pytest.fixture
def failed_job(panel: Panel, registry: Registry) -> DashboardServices:
    """Services with a test that failed in its first run."""
    services = services_over(panel, registry)
    number = services.jobs.order("TEST", {"model_id": 1})
    services.jobs.start(number)
    began = Message("job.try", number=1, most=3, worker="vm:1")
    services.jobs.add_line(number, began, at_us=1_704_074_400_000_000)
    services.jobs.add_line(number, "no <b>rows</b>", level="error", at_us=1_704_074_401_000_000)
    services.jobs.jobs[number] = replace(services.jobs.get(number), status="FAILED", error_msg="no <b>rows</b>")
    return services


def test_a_jobs_page_shows_its_reason_above_its_log_and_the_newest_line_first(failed_job: DashboardServices):
    browser = Browser(failed_job)
    browser.client.cookies = {"kw_zone": "Europe/Berlin"}
    text = browser.open("/jobs/1")
    assert "Why it failed" in text
    found = ("Test of a", "no <b>rows</b>", "Log", "Jan 1, 2024, 03:00:01", "error: ", "try 1 of 3")
    places = [text.index(words) for words in found]
    assert places == sorted(places)
    browser.client.headers["accept-language"] = "de"
    german = browser.open("/jobs/1")
    assert "01.01.2024, 03:00:00" in german
    assert "Versuch 1 von 3, Arbeiter vm:1" in german


def test_a_jobs_log_grows_as_it_is_written(failed_job: DashboardServices):
    browser, jobs = Browser(failed_job), failed_job.jobs

    def renewed(seen: list[str] | None) -> dict:
        given = dict(zip(SEEN, (1, seen, 5), strict=True))
        return browser.fire("job-log.children", given, "job-tick.n_intervals").get("response", {})

    first = renewed(None)
    seen = first["job-seen"]["data"]
    assert renewed(seen) == {}
    jobs.jobs[1] = replace(jobs.get(1), status="RUNNING", error_msg=None, progress=0.25)
    moved = renewed(seen)
    assert "25%" in json.dumps(moved["job-now"])
    assert "job-log" not in moved  # what has not changed is not sent
    jobs.add_line(1, "fold 2 of 5")
    grown = renewed(moved["job-seen"]["data"])
    assert "fold 2 of 5" in json.dumps(grown["job-log"])


def test_a_log_that_is_long_or_empty_is_marked_as_such(failed_job: DashboardServices):
    browser, jobs = Browser(failed_job), failed_job.jobs
    for number in range(250):
        jobs.add_line(1, f"line number {number}.")
    text = browser.open("/jobs/1")
    assert "GET /api/jobs/1/log" in text
    assert "line number 249." in text
    assert "line number 49." not in text
    jobs.order("TEST", {"model_id": 1})
    assert "when a worker begins" in browser.open("/jobs/2")
    jobs.cancel(2)
    assert "older than the log" in browser.open("/jobs/2")


def test_a_job_is_cancelled_and_tried_again_on_its_page(failed_job: DashboardServices):
    browser, jobs = Browser(failed_job), failed_job.jobs
    again = '{"job":1,"kind":"one-job-retry"}.n_clicks'
    assert "In the queue again" in notices(browser.fire("job-tick.n_intervals", {again: 1}, again))
    assert jobs.get(1).status == "PENDING"
    button = again.replace("retry", "cancel")
    assert "Cancelled" in notices(browser.fire("job-tick.n_intervals", {button: 1}, button))
    assert jobs.get(1).status == "CANCELLED"


def test_kinds_of_job_are_those_of_the_register(failed_job: DashboardServices):
    """Whatever is registered can be chosen, and is called in the reader's language."""
    kinds = failed_job.job_service.kinds
    failed_job.jobs.order("CERTIFY", {"model_id": 1})
    browser = Browser(failed_job)
    text = browser.open("/jobs", "?kind=CERTIFY")
    assert all(f'{{"value": "{kind.name}", "label": "{kind.label}"}}' in text for kind in kinds)
    assert ("Certificate of a" in text, "Test of a" in text) == (True, False)
    given = {"jobs-status.value": "", "jobs-kind.value": "TEST"}
    listed = json.dumps(browser.fire("jobs-list.children", given, "jobs-kind.value"))
    assert ("Certificate of a" in listed, "Test of a" in listed) == (False, True)
    assert '"value": ""' in browser.open("/jobs", "?kind=KNITTING")
    for kind in kinds:
        assert translate(kind.label, "de") != kind.label
        assert translate(kind.title, "de") != kind.title


def test_a_jobs_page_shows_the_result_of_any_kind(failed_job: DashboardServices):
    jobs, result = failed_job.jobs, {"path": "features/1.parquet", "bytes": 12345, "model_id": 1000, "leaky": False}
    jobs.jobs[1] = replace(jobs.get(1), job_type="KNITTING", status="COMPLETED", error_msg=None, result=result)
    text = Browser(failed_job).open("/jobs/1")
    assert "Job 1 · KNITTING" in text
    assert all(value in text for value in ("features/1.parquet", "12345", "1000"))
