"""The job queue, API keys, and an index for every list."""

from typing import Any

from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy import text

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE
from kurswerk.storage.server.migrations import changes_v2, jobs_v2

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (*jobs_v2.PROCRASTINATE_TABLES, "api_keys")


def upgrade() -> None:
    taken = [name for name in _TABLES if _scalar("SELECT to_regclass(:name) IS NOT NULL", name=name)]
    if taken:
        raise ConflictError("database.tables_taken", tables=taken)
    _run_script(SchemaManager.get_schema())
    op.execute(jobs_v2.API_KEYS)
    for name in _TABLES:
        op.get_bind().execute(text(f"INSERT INTO {OWNED_TABLE} (name) VALUES (:name)"), {"name": name})  # noqa: S608 - a constant  # nosec B608
    for name, definition in jobs_v2.JOB_COLUMNS.items():
        op.execute(f"ALTER TABLE ml_jobs ADD COLUMN {name} {definition}")
    _leave_no_run_without_worker()
    for name, condition in jobs_v2.JOB_CONSTRAINTS.items():
        op.execute(f"ALTER TABLE ml_jobs ADD CONSTRAINT {name} CHECK ({condition})")
    # Progress is written twice a second: room for new versions of a row beside the old one.
    op.execute("ALTER TABLE ml_jobs SET (fillfactor = 70)")
    for name, definition in jobs_v2.indexes():
        op.execute(f"CREATE INDEX {name} ON {definition}")
    for statement in changes_v2.creation():
        op.execute(statement)


def downgrade() -> None:
    for statement in changes_v2.removal():
        op.execute(statement)
    for name, _ in jobs_v2.indexes():
        op.execute(f"DROP INDEX IF EXISTS {name}")
    op.execute("ALTER TABLE ml_jobs RESET (fillfactor)")
    for name in jobs_v2.JOB_CONSTRAINTS:
        op.execute(f"ALTER TABLE ml_jobs DROP CONSTRAINT IF EXISTS {name}")
    for name in jobs_v2.JOB_COLUMNS:
        op.execute(f"ALTER TABLE ml_jobs DROP COLUMN IF EXISTS {name}")
    op.execute("DROP TABLE IF EXISTS api_keys")
    _run_script(jobs_v2.DROP_PROCRASTINATE)
    for name in _TABLES:
        op.get_bind().execute(text(f"DELETE FROM {OWNED_TABLE} WHERE name = :name"), {"name": name})  # noqa: S608 - a constant  # nosec B608


def _leave_no_run_without_worker() -> None:
    """Jobs that an older service left RUNNING begin again."""
    op.execute("UPDATE ml_jobs SET status = 'PENDING', worker_id = NULL WHERE status = 'RUNNING'")


def _run_script(script: str) -> None:
    """Hand several statements to the driver itself, the only one that takes literal percent signs as they are."""
    driver: Any = op.get_bind().connection.driver_connection
    driver.execute(script)


def _scalar(query: str, **parameters: Any) -> Any:
    return op.get_bind().execute(text(query), parameters).scalar_one()
