"""Moments at which instruments are compared: rows that wait for them, their members, and the members' values."""

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# A row that is_taken has been predicted and joins a moment that is not sealed yet.
_PENDING = """
CREATE TABLE pending_rows (
    market varchar(50) NOT NULL,
    moment timestamptz NOT NULL,
    joins timestamptz NOT NULL,
    coin_id varchar(255) NOT NULL,
    "timestamp" timestamptz NOT NULL,
    partition smallint NOT NULL,
    segment double precision NOT NULL,
    features text[] NOT NULL,
    "values" double precision[] NOT NULL,
    is_taken boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (market, moment, coin_id, "timestamp"),
    CONSTRAINT pending_rows_values_check CHECK (cardinality(features) = cardinality("values"))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000)"""
_PENDING_INDEXES = (
    "CREATE INDEX pending_rows_joins_idx ON pending_rows (market, joins)",
    "CREATE INDEX pending_rows_coin_id_idx ON pending_rows (market, coin_id)",
)
# Rows are only ever added.
_SEALED = """
CREATE TABLE sealed_moments (
    market varchar(50) NOT NULL,
    moment timestamptz NOT NULL,
    members text[] NOT NULL,
    timestamps timestamptz[] NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (market, moment),
    CONSTRAINT sealed_moments_members_check CHECK (cardinality(members) = cardinality(timestamps))
)"""
_VALUES = """
CREATE TABLE sealed_values (
    market varchar(50) NOT NULL,
    moment timestamptz NOT NULL,
    definition bytea NOT NULL,
    "values" double precision[] NOT NULL,
    PRIMARY KEY (market, moment, definition),
    CONSTRAINT sealed_values_market_moment_fkey FOREIGN KEY (market, moment)
        REFERENCES sealed_moments (market, moment) ON DELETE CASCADE
)"""
_TABLES = {"pending_rows": _PENDING, "sealed_moments": _SEALED, "sealed_values": _VALUES}


def upgrade() -> None:
    for name, statement in _TABLES.items():
        if op.get_bind().exec_driver_sql(f"SELECT to_regclass('{name}') IS NOT NULL").scalar_one():
            raise ConflictError("database.tables_taken", tables=name)
        op.execute(statement)
        op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('{name}')")  # noqa: S608 - constants  # nosec B608
    for statement in _PENDING_INDEXES:
        op.execute(statement)


def downgrade() -> None:
    for name in reversed(_TABLES):
        op.execute(f"DROP TABLE IF EXISTS {name}")
        op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = '{name}'")  # noqa: S608 - constants  # nosec B608
