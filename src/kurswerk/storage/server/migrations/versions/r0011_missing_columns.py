"""Columns that a market has lost, and notices: messages about the service that no prediction raised."""

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MISSING_COLUMNS = """
CREATE TABLE missing_columns (
    market varchar(50) NOT NULL,
    column_name varchar(63) NOT NULL,
    table_name varchar(63) NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (market, column_name)
)"""
_KINDS = "CHECK (notice IS NOT NULL OR coin_id IS NOT NULL AND probability IS NOT NULL)"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.exec_driver_sql("SELECT to_regclass('missing_columns') IS NOT NULL").scalar_one():
        raise ConflictError("database.tables_taken", tables="missing_columns")
    op.execute(_MISSING_COLUMNS)
    op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('missing_columns')")  # noqa: S608 - a constant  # nosec B608
    op.execute("ALTER TABLE alert_deliveries ADD COLUMN notice jsonb")
    for column in ("coin_id", "probability"):
        op.execute(f"ALTER TABLE alert_deliveries ALTER COLUMN {column} DROP NOT NULL")
    op.execute(f"ALTER TABLE alert_deliveries ADD CONSTRAINT alert_deliveries_notice_check {_KINDS}")


def downgrade() -> None:
    op.execute("DELETE FROM alert_deliveries WHERE notice IS NOT NULL")
    op.execute("ALTER TABLE alert_deliveries DROP COLUMN notice")  # its constraint goes with it
    for column in ("coin_id", "probability"):
        op.execute(f"ALTER TABLE alert_deliveries ALTER COLUMN {column} SET NOT NULL")
    op.execute("DROP TABLE IF EXISTS missing_columns")
    op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = 'missing_columns'")  # noqa: S608 - a constant  # nosec B608
