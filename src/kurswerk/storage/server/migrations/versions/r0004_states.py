"""The states of coins' features; names and moments that have no place in the feed are left out of it."""

from alembic import op
from sqlalchemy import text

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE
from kurswerk.storage.server.migrations import feed_trigger
from kurswerk.storage.server.migrations.states_v4 import COIN_STATES

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.execute(text("SELECT to_regclass('coin_states') IS NOT NULL")).scalar_one():
        raise ConflictError("database.tables_taken", tables="coin_states")
    connection.exec_driver_sql(COIN_STATES)
    connection.execute(text(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('coin_states')"))  # noqa: S608 - a constant  # nosec B608
    # Triggers that are there already get the functions as they are now written.
    triggers = text("SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'kurswerk_feed_inserted')")
    if connection.execute(triggers).scalar_one():
        for statement in feed_trigger.functions():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql("DROP TABLE IF EXISTS coin_states")
    connection.execute(text(f"DELETE FROM {OWNED_TABLE} WHERE name = 'coin_states'"))  # noqa: S608 - a constant  # nosec B608
