"""Models say which market they are of, and tables which market they were made for."""

from typing import Any

from alembic import op

from kurswerk.market import COINS
from kurswerk.storage.server._feed_trigger import trigger_functions
from kurswerk.storage.server._market_tables import drop_market_tables
from kurswerk.storage.server._revisions import OWNED_TABLE
from kurswerk.storage.server.migrations import feed_trigger

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default: no row is rewritten.
    op.execute("ALTER TABLE ml_models ADD COLUMN market varchar(50) NOT NULL DEFAULT 'coins'")
    op.execute(f"ALTER TABLE {OWNED_TABLE} ADD COLUMN market text")
    if _has_triggers():
        for statement in trigger_functions(COINS):
            _driver().execute(statement)


def downgrade() -> None:
    drop_market_tables(_driver())
    for function in _functions_of_other_markets():
        op.execute(f"DROP FUNCTION {function}()")
    if _has_triggers():
        for statement in feed_trigger.functions():
            op.get_bind().exec_driver_sql(statement)
    op.execute(f"ALTER TABLE {OWNED_TABLE} DROP COLUMN market")
    op.execute("ALTER TABLE ml_models DROP COLUMN market")


def _has_triggers() -> bool:
    found = op.get_bind().exec_driver_sql("SELECT 1 FROM pg_trigger WHERE tgname = 'kurswerk_feed_inserted'")
    return found.first() is not None


def _functions_of_other_markets() -> list[str]:
    found = op.get_bind().exec_driver_sql(
        r"SELECT quote_ident(proname) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        r" AND proname ~ '^kurswerk_.+_feed_(inserted|updated)$'"
    )
    return [row[0] for row in found]


def _driver() -> Any:
    """Return psycopg's connection, in the same transaction."""
    return op.get_bind().connection.driver_connection
