"""Forecasts beside predictions, in the same partitions."""

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# The key refers to a prediction. No foreign key on predictions: their partitions are dropped.
_FORECASTS = """
CREATE TABLE forecasts (
    prediction_id bigint NOT NULL,
    "timestamp" timestamptz NOT NULL,
    model_id bigint NOT NULL REFERENCES ml_models (id) ON DELETE CASCADE,
    forecast real NOT NULL,
    low real NOT NULL,
    high real NOT NULL,
    CONSTRAINT forecasts_pkey PRIMARY KEY (prediction_id, "timestamp"),
    CONSTRAINT forecasts_interval_check CHECK (low <= forecast AND forecast <= high)
) PARTITION BY RANGE ("timestamp")"""
_PARTITIONS = """
SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'predictions'::regclass"""
_DETACHED = "SELECT relname::text FROM pg_class WHERE relname ^@ 'predictions_detached_' AND relkind = 'r'"
_COLUMNS = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING INDEXES"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.exec_driver_sql("SELECT to_regclass('forecasts') IS NOT NULL").scalar_one():
        raise ConflictError("database.tables_taken", tables="forecasts")
    op.execute(_FORECASTS)
    op.execute("CREATE INDEX forecasts_model_idx ON forecasts (model_id)")
    for name, bounds in connection.exec_driver_sql(_PARTITIONS).fetchall():
        op.execute(f'CREATE TABLE "{_beside(name)}" PARTITION OF forecasts {bounds}')
    # On their way to the archive, which reads both.
    for (name,) in connection.exec_driver_sql(_DETACHED).fetchall():
        op.execute(f'CREATE TABLE "{_beside(name)}" (LIKE forecasts {_COLUMNS})')
    op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('forecasts')")  # noqa: S608 - constants  # nosec B608
    # What a forecast is judged by: the return up to the deadline.
    op.execute("ALTER TABLE outcomes ADD COLUMN actual_return real")


def downgrade() -> None:
    op.execute("ALTER TABLE outcomes DROP COLUMN IF EXISTS actual_return")
    rows = op.get_bind().exec_driver_sql(_DETACHED.replace("predictions", "forecasts")).fetchall()
    for (name,) in rows:
        op.execute(f'DROP TABLE IF EXISTS "{name}"')
    op.execute("DROP TABLE IF EXISTS forecasts")
    op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = 'forecasts'")  # noqa: S608 - constants  # nosec B608


def _beside(name: str) -> str:
    return "forecasts" + name.removeprefix("predictions")
