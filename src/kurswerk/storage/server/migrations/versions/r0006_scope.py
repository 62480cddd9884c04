"""Whether a prediction's row is one of those its model was made for; channels are checked by their register."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default rewrites no row.
    op.execute("ALTER TABLE predictions ADD COLUMN in_scope boolean NOT NULL DEFAULT true")
    op.execute("ALTER TABLE alert_rules DROP CONSTRAINT alert_rules_channel_check")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE alert_rules ADD CONSTRAINT alert_rules_channel_check"
        " CHECK (channel IN ('webhook', 'log', 'database', 'smtp'))"
    )
    op.execute("ALTER TABLE predictions DROP COLUMN in_scope")
