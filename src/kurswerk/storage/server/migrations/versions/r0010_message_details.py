"""Jobs, their log and models keep code and parameters of messages beside the English text."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Table, column.
_COLUMNS = (
    ("ml_jobs", "progress_detail"),
    ("ml_jobs", "error_detail"),
    ("ml_job_log", "detail"),
    ("ml_models", "error_detail"),
)


def upgrade() -> None:
    for table, column in _COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} jsonb")


def downgrade() -> None:
    for table, column in _COLUMNS:
        op.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}")
