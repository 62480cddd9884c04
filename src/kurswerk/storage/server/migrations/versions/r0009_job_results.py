"""The register of kinds of job decides which there are; a job keeps its result as JSON."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Constraint → table and what it demanded.
_CHECKS = {
    "ml_jobs_job_type_check": ("ml_jobs", "job_type IN ('TRAIN', 'TEST', 'COMPARE', 'CERTIFY')"),
}


def upgrade() -> None:
    for name, (table, _) in _CHECKS.items():
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    op.execute("ALTER TABLE ml_jobs ADD COLUMN result jsonb")


def downgrade() -> None:
    op.execute("ALTER TABLE ml_jobs DROP COLUMN IF EXISTS result")
    for name, (table, condition) in _CHECKS.items():
        # Rows of kinds that an older version does not know stay; it refuses new ones alone.
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
