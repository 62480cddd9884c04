"""Coins, models, tests, comparisons, jobs, predictions and alerts."""

from alembic import op
from sqlalchemy import text

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE
from kurswerk.storage.server.migrations import coins_v1, models_v1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        f"CREATE TABLE IF NOT EXISTS {OWNED_TABLE}"
        " (name text PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now())"
    )
    for name, statements in coins_v1.TABLES.items():
        if not _exists(name):
            _create(name, statements)
    taken = [name for name in models_v1.TABLES if _exists(name)]
    if taken:
        raise ConflictError("database.tables_taken", tables=taken)
    for name, statements in models_v1.TABLES.items():
        _create(name, statements)


def downgrade() -> None:
    owned = {row[0] for row in op.get_bind().execute(text(f"SELECT name FROM {OWNED_TABLE}"))}  # noqa: S608 - a constant  # nosec B608
    for name in reversed([*coins_v1.TABLES, *models_v1.TABLES]):
        if name in owned:
            op.execute(f"DROP TABLE IF EXISTS {name} CASCADE")
    op.execute(f"DROP TABLE {OWNED_TABLE}")


def _exists(name: str) -> bool:
    return bool(op.get_bind().execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}).scalar_one())


def _create(name: str, statements: tuple[str, ...]) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
    op.get_bind().execute(text(f"INSERT INTO {OWNED_TABLE} (name) VALUES (:name)"), {"name": name})  # noqa: S608 - a constant  # nosec B608
