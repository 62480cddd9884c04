"""Lists over large tables: right, from an index, and quick."""

import pytest
from psycopg import sql

from benchmarks.api import fill
from database import execute, url_of
from integration.storage.coins import run
from kurswerk.core.errors import InvalidInputError, NotFoundError, UnknownNameError
from kurswerk.registry import PageRequest
from kurswerk.storage.registry import PostgresCatalog
from kurswerk.storage.registry._catalog import COMPARISONS, JOBS, MODELS, TESTS, list_query
from kurswerk.storage.server import Database, upgrade

ROWS = 10_000
_SCANS = ("Seq Scan", "->  Sort")  # an incremental sort only breaks ties of an index


@pytest.fixture(scope="module")
def large(server_url, template_name):
    """A database with ten thousand models, jobs, tests and comparisons, for reading."""
    execute(server_url, "CREATE DATABASE large_lists TEMPLATE {}", template_name)
    database = Database(url_of(server_url, "large_lists"), pool_size=1)
    upgrade(database)
    fill(database, ROWS)
    run(
        database,
        "INSERT INTO ml_jobs (job_type, status, priority, request, result_model_id) SELECT CASE WHEN i % 20 = 0 THEN"
        " 'TEST' ELSE 'TRAIN' END, CASE WHEN i % 50 = 0 THEN 'FAILED' ELSE 'COMPLETED' END, i % 10, '{}', i"
        f" FROM generate_series(1, {ROWS}) AS i",
        "INSERT INTO ml_test_results (model_id, test_start, test_end) SELECT 1 + i / 50, '2024-01-01', '2024-02-01'"
        f" FROM generate_series(1, {ROWS - 100}) AS i",
        "INSERT INTO ml_comparisons (model_a_id, model_b_id, test_start, test_end) SELECT 1 + i / 50, 2 + i / 50,"
        f" '2024-01-01', '2024-02-01' FROM generate_series(1, {ROWS - 200}) AS i",
        "ANALYZE ml_jobs, ml_test_results, ml_comparisons",
    )
    yield database
    database.close()
    execute(server_url, "DROP DATABASE large_lists WITH (FORCE)")


def plan(database, what, page, filters):
    """Return how the server would carry out a list's query, without the part that counts."""
    query, _ = list_query(what, page, filters)
    parameters = {**filters, "limit": page.limit, "offset": page.offset}
    with database.connection() as connection:
        rows = connection.execute(sql.SQL("EXPLAIN ") + query, parameters).fetchall()
    lines = [row[0] for row in rows]
    start = next((i for i, line in enumerate(lines) if "InitPlan" in line), len(lines))
    depth = lines[start].index("InitPlan") if start < len(lines) else 0
    end = next((i for i in range(start + 1, len(lines)) if len(lines[i]) - len(lines[i].lstrip()) <= depth), len(lines))
    return "\n".join(lines[:start] + lines[end:])


SORTED = [
    (what, sort, descending)
    for what in (MODELS, TESTS, COMPARISONS, JOBS)
    for sort in what.sorts
    for descending in (True, False)
]
FILTERED = [
    (MODELS, {"status": "FAILED"}),
    (MODELS, {"model_type": "xgboost"}),
    (MODELS, {"name": "model 77"}),
    (MODELS, {"is_active": True}),
    (TESTS, {"model_id": 7}),
    (COMPARISONS, {"model_id": 7}),
    (JOBS, {"status": "FAILED"}),
    (JOBS, {"job_type": "TEST"}),
    (JOBS, {"model_id": 7}),
]


@pytest.mark.parametrize(("what", "sort", "descending"), SORTED)
def test_every_order_is_read_from_an_index(large, what, sort, descending):
    found = plan(large, what, PageRequest(sort=sort, descending=descending), {})
    assert "Index" in found, found
    assert not any(scan in found for scan in _SCANS), found


@pytest.mark.parametrize(("what", "filters"), FILTERED)
def test_every_filter_uses_an_index(large, what, filters):
    found = plan(large, what, PageRequest(), filters)
    assert "Index" in found, found
    assert "Seq Scan" not in found, found


def test_a_list_reads_few_pages_of_a_large_table(large):
    """What `python -m benchmarks api` times; here its cause, which no busy machine changes."""
    query, _ = list_query(MODELS, PageRequest(limit=100, sort="training_f1"), {"status": "READY"})
    with large.connection() as connection:
        explain = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ") + query
        found = connection.execute(explain, {"status": "READY", "limit": 100, "offset": 0}).fetchone()[0][0]["Plan"]
        pages = connection.execute("SELECT pg_relation_size('ml_models') / 8192").fetchone()[0]
    assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] < pages / 3
    listing = PostgresCatalog(large).models(PageRequest(limit=100, sort="training_f1"), {"status": "READY"})
    assert (len(listing.rows), listing.total) == (100, ROWS)


def test_a_page_behind_the_last_still_counts_all(large):
    listing = PostgresCatalog(large).models(PageRequest(offset=ROWS), {"status": "READY"})
    assert (listing.rows, listing.total) == ([], ROWS)


def test_deleted_models_are_not_found(database):
    catalog = PostgresCatalog(database)
    fill(database, 3)
    run(database, "UPDATE ml_models SET is_deleted = true WHERE id = 2")
    assert [row["id"] for row in catalog.models(PageRequest(), {}).rows] == [3, 1]
    with pytest.raises(NotFoundError, match="model 2"):
        catalog.model(2)
    with pytest.raises(NotFoundError):
        catalog.model(2**63)


def test_what_nobody_knows_is_refused(database):
    catalog = PostgresCatalog(database)
    with pytest.raises(UnknownNameError, match="did you mean 'status'"):
        catalog.models(PageRequest(), {"statis": "READY"})
    with pytest.raises(UnknownNameError, match="column to sort by"):
        catalog.jobs(PageRequest(sort="request"), {})
    for page in (PageRequest(limit=-1), PageRequest(offset=-1)):
        with pytest.raises(InvalidInputError, match="0 or more"):
            catalog.tests(page, {})
