"""When backups are made by themselves, and how the last ones went."""

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_SCHEDULE = """
CREATE TABLE backup_schedule (
    id smallint PRIMARY KEY DEFAULT 1,
    store text NOT NULL,
    every_minutes integer,
    cron varchar(100),
    keep_last integer,
    keep_days double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT backup_schedule_single_check CHECK (id = 1),
    CONSTRAINT backup_schedule_time_check CHECK ((every_minutes IS NULL) <> (cron IS NULL) AND every_minutes > 0),
    CONSTRAINT backup_schedule_keep_check CHECK (keep_last > 0 AND keep_days >= 0)
)"""
# A run without name failed. It is noted when it ends: one that was killed leaves nothing, and is due again.
_RUNS = """
CREATE TABLE backup_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    store text NOT NULL,
    name text,
    row_count bigint,
    raw_bytes bigint,
    stored_bytes bigint,
    error_msg text,
    error_detail jsonb,
    CONSTRAINT backup_runs_outcome_check CHECK ((name IS NULL) = (error_msg IS NOT NULL))
)"""


def upgrade() -> None:
    for name, statement in (("backup_schedule", _SCHEDULE), ("backup_runs", _RUNS)):
        if op.get_bind().exec_driver_sql(f"SELECT to_regclass('{name}') IS NOT NULL").scalar_one():
            raise ConflictError("database.tables_taken", tables=name)
        op.execute(statement)
        op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('{name}')")  # noqa: S608 - constants  # nosec B608


def downgrade() -> None:
    for name in ("backup_schedule", "backup_runs"):
        op.execute(f"DROP TABLE IF EXISTS {name}")
        op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = '{name}'")  # noqa: S608 - constants  # nosec B608
