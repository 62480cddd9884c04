"""The feed of new rows, and what the prediction service keeps."""

from alembic import op
from sqlalchemy import text

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE
from kurswerk.storage.server.migrations import feed_trigger, feed_v3

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    taken = [name for name in feed_v3.TABLES if _there(name)]
    if taken:
        raise ConflictError("database.tables_taken", tables=taken)
    for statement in feed_v3.CHANGES:
        _run(statement)
    for name, statements in feed_v3.TABLES.items():
        for statement in statements:
            _run(statement)
        op.get_bind().execute(text(f"INSERT INTO {OWNED_TABLE} (name) VALUES (:name)"), {"name": name})  # noqa: S608 - a constant  # nosec B608
    if _owned("coin_metrics"):
        for statement in feed_trigger.creation():
            _run(statement)


def downgrade() -> None:
    for statement in feed_trigger.removal():
        _run(statement)
    for name in reversed(feed_v3.TABLES):
        _run(f"DROP TABLE IF EXISTS {name}")
        op.get_bind().execute(text(f"DELETE FROM {OWNED_TABLE} WHERE name = :name"), {"name": name})  # noqa: S608 - a constant  # nosec B608
    for statement in feed_v3.UNDONE:
        _run(statement)


def _there(name: str) -> bool:
    return bool(op.get_bind().execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}).scalar_one())


def _owned(name: str) -> bool:
    query = text(f"SELECT EXISTS (SELECT FROM {OWNED_TABLE} WHERE name = :name)")  # noqa: S608 - a constant  # nosec B608
    return bool(op.get_bind().execute(query, {"name": name}).scalar_one())


def _run(statement: str) -> None:
    op.get_bind().exec_driver_sql(statement)
