"""A rule whose secret was replaced remembers the one before for a while."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE alert_rules ADD COLUMN previous_secret text, ADD COLUMN previous_secret_until timestamptz,"
        " ADD CONSTRAINT alert_rules_previous_secret_check"
        " CHECK ((previous_secret IS NULL) = (previous_secret_until IS NULL))"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE alert_rules DROP COLUMN previous_secret, DROP COLUMN previous_secret_until")
