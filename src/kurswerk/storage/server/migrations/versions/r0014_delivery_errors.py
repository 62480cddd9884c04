"""Deliveries keep code and parameters of their error beside the English text."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE alert_deliveries ADD COLUMN error_detail jsonb")


def downgrade() -> None:
    op.execute("ALTER TABLE alert_deliveries DROP COLUMN IF EXISTS error_detail")
