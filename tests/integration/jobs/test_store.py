"""Ordering, looking, cancelling and retrying, on a real database."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from kurswerk.core.errors import ConflictError, InvalidInputError, NotFoundError, UnknownNameError
from kurswerk.jobs import JOB_SORTS
from kurswerk.registry import NewModel
from kurswerk.storage.jobs import PostgresJobStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from memory_market import a_spec
from working_jobs import nothing

PlanOf = Callable[[Callable[[], object]], str]

TEST = {"model_id": 1, "test_start": "2024-01-01T00:00:00Z", "test_end": "2024-01-02T00:00:00Z"}


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connection() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload]


def queue_entries(database: Database) -> list[tuple[Any, ...]]:
    return rows(
        database, "SELECT (args->>'job_id')::bigint, priority, status::text FROM procrastinate_jobs ORDER BY id"
    )


def test_an_order_is_a_row_and_a_queue_entry(database: Database, jobs: PostgresJobStore):
    job = jobs.get(jobs.order("TEST", TEST, priority=7, request_id="abc"))
    assert (job.job_type, job.status, job.priority, job.request_id) == ("TEST", "PENDING", 7, "abc")
    assert (job.request, job.progress, job.attempt, job.finished) == (TEST, 0, 0, False)
    assert job.created_at.utcoffset() is not None
    assert queue_entries(database) == [(job.id, 7, "todo")]


def test_an_order_that_fails_leaves_nothing(database: Database, jobs: PostgresJobStore):
    models = PostgresModelStore(database)

    def order() -> None:
        with jobs.transaction():
            models.create(NewModel(a_spec().as_json()))
            jobs.order("TRAIN", {}, model_id=1)
            raise ConflictError("no")

    with pytest.raises(ConflictError):
        order()
    assert queue_entries(database) == []
    assert (list(jobs.find()), list(models.find())) == ([], [])


def test_text_that_postgresql_cannot_store_is_replaced(jobs: PostgresJobStore):
    assert jobs.get(jobs.order("TEST", {"description": "a\0b"})).request == {"description": "a�b"}


def test_lists_are_filtered_sorted_and_paged(jobs: PostgresJobStore):
    ids = [jobs.order("TEST" if n % 2 else "COMPARE", {}, priority=n % 3) for n in range(6)]
    jobs.cancel(ids[5])
    assert [job.id for job in jobs.find()] == ids[::-1]
    assert [job.id for job in jobs.find(status="CANCELLED")] == [ids[5]]
    assert [job.id for job in jobs.find(job_type="TEST", limit=2)] == [ids[5], ids[3]]
    assert [job.id for job in jobs.find(sort="priority", descending=False)] == [ids[i] for i in (0, 3, 1, 4, 2, 5)]
    assert [job.id for job in jobs.find(sort="created_at", limit=2, offset=1)] == [ids[4], ids[3]]


@pytest.mark.parametrize("wrong", [{"status": "DONE"}, {"job_type": "train"}, {"sort": "request"}])
def test_unknown_words_are_refused(jobs: PostgresJobStore, wrong: dict[str, str]):
    with pytest.raises(UnknownNameError):
        jobs.find(**wrong)


def test_what_makes_no_sense_is_refused(jobs: PostgresJobStore):
    with pytest.raises(InvalidInputError, match="limit is -1"):
        jobs.find(limit=-1)
    with pytest.raises(UnknownNameError, match="type of job 'BAKE'"):
        jobs.order("BAKE", {})
    for number in (1, -1, 2**70):
        for call in (jobs.get, jobs.cancel, jobs.retry):
            with pytest.raises(NotFoundError, match="there is no job"):
                call(number)


def test_cancelling_a_waiting_training_frees_its_name(
    database: Database, jobs: PostgresJobStore, models: PostgresModelStore, training: tuple[int, int]
):
    job_id, model_id = training
    job = jobs.cancel(job_id)
    assert (job.status, job.finished, job.result_model_id) == ("CANCELLED", True, model_id)
    assert job.completed_at is not None
    assert queue_entries(database) == []
    assert rows(database, "SELECT status, is_deleted FROM ml_models") == [("FAILED", True)]
    models.create(NewModel(a_spec().as_json()))
    with pytest.raises(ConflictError, match="is CANCELLED; only a PENDING"):
        jobs.cancel(job_id)
    with pytest.raises(ConflictError, match="taken the name"):
        jobs.retry(job_id)
    assert jobs.get(job_id).status == "CANCELLED"


def test_retrying_a_cancelled_training_brings_its_model_back(
    database: Database, jobs: PostgresJobStore, models: PostgresModelStore, training: tuple[int, int]
):
    job_id, model_id = training
    with pytest.raises(ConflictError, match="is PENDING; only a FAILED"):
        jobs.retry(job_id)
    jobs.cancel(job_id)
    assert jobs.retry(job_id).status == "PENDING"
    assert models.get(model_id).status == "TRAINING"
    assert queue_entries(database) == [(job_id, 5, "todo")]


def test_only_the_present_run_can_complete(database: Database, jobs: PostgresJobStore):
    job = jobs.get(jobs.order("TEST", TEST))
    with pytest.raises(ConflictError, match=f"run 0 of job {job.id} is not the present one"):
        jobs.complete(job, nothing)


def test_every_list_of_jobs_is_an_index_scan(database: Database, jobs: PostgresJobStore, plan_of_list: PlanOf):
    rows(
        database,
        "WITH i AS (INSERT INTO ml_jobs (job_type, status, priority) SELECT"
        " (ARRAY['TRAIN', 'TEST', 'COMPARE', 'CERTIFY'])[1 + n % 4], (ARRAY['COMPLETED', 'FAILED'])[1 + n % 2], n % 10"
        " FROM generate_series(1, 10000) n) SELECT 1",
    )
    with database.connection() as connection:
        connection.execute("ANALYZE ml_jobs")
    for filters in ({}, {"status": "FAILED"}, {"job_type": "COMPARE"}):
        for sort, descending in itertools.product(JOB_SORTS, (True, False)):
            arguments = {"sort": sort, "descending": descending, **filters}
            plan = plan_of_list(lambda arguments=arguments: jobs.find(**arguments))
            assert "Index Scan" in plan, (arguments, plan)
            assert "Sort" not in plan.replace("Incremental Sort", ""), (arguments, plan)
