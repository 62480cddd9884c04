"""Models that were taken over from an older service have no artifact."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_STATUSES = ("TRAINING", "READY", "FAILED")


def upgrade() -> None:
    _allow((*_STATUSES, "NO_ARTIFACT"))


def downgrade() -> None:
    op.execute("UPDATE ml_models SET status = 'FAILED' WHERE status = 'NO_ARTIFACT'")
    _allow(_STATUSES)


def _allow(statuses: tuple[str, ...]) -> None:
    op.execute(
        "ALTER TABLE ml_models DROP CONSTRAINT ml_models_status_check,"
        f" ADD CONSTRAINT ml_models_status_check CHECK (status IN {statuses})"
    )
