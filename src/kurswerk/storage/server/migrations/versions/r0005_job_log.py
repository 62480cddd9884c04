"""The log of jobs, line by line."""

from alembic import op
from sqlalchemy import text

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE
from kurswerk.storage.server.migrations.job_log_v5 import ML_JOB_LOG

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.execute(text("SELECT to_regclass('ml_job_log') IS NOT NULL")).scalar_one():
        raise ConflictError("database.tables_taken", tables="ml_job_log")
    connection.exec_driver_sql(ML_JOB_LOG)
    connection.execute(text(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('ml_job_log')"))  # noqa: S608 - a constant  # nosec B608


def downgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql("DROP TABLE IF EXISTS ml_job_log")
    connection.execute(text(f"DELETE FROM {OWNED_TABLE} WHERE name = 'ml_job_log'"))  # noqa: S608 - a constant  # nosec B608
