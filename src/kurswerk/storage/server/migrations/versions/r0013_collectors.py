"""What collectors keep: how they are, the coins they follow, their latest trades, and gaps."""

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES = {
    # `owner` changes with the process that collects; `until` is the end of the last window that was stored or is
    # in a gap.
    "collectors": """
CREATE TABLE collectors (
    name varchar(50) PRIMARY KEY,
    owner uuid NOT NULL,
    until timestamptz,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_message_at timestamptz,
    is_connected boolean NOT NULL DEFAULT false,
    is_stopped boolean NOT NULL DEFAULT false,
    silent_after_seconds double precision NOT NULL,
    coins bigint NOT NULL DEFAULT 0,
    reason text
)""",
    "collected_coins": """
CREATE TABLE collected_coins (
    collector varchar(50) NOT NULL,
    mint varchar(64) NOT NULL,
    creator varchar(64) NOT NULL,
    created_at timestamptz NOT NULL,
    last_trade_at timestamptz NOT NULL,
    phase_id integer NOT NULL,
    high double precision,
    high_at timestamptz,
    is_migrated boolean NOT NULL DEFAULT false,
    PRIMARY KEY (collector, mint)
)""",
    "collected_trades": """
CREATE TABLE collected_trades (
    collector varchar(50) NOT NULL,
    mint varchar(64) NOT NULL,
    signature varchar(128) NOT NULL,
    token_reserves double precision NOT NULL,
    sol_reserves double precision NOT NULL,
    trader varchar(64) NOT NULL,
    is_buy boolean NOT NULL,
    sol double precision NOT NULL,
    tokens double precision NOT NULL,
    "timestamp" timestamptz NOT NULL,
    PRIMARY KEY (mint, signature, token_reserves, collector)
)""",
    "collector_gaps": """
CREATE TABLE collector_gaps (
    id uuid PRIMARY KEY,
    collector varchar(50) NOT NULL,
    mint varchar(64),
    reason varchar(30) NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    windows bigint NOT NULL,
    CONSTRAINT collector_gaps_windows_check CHECK (windows >= 0),
    CONSTRAINT collector_gaps_period_check CHECK (ended_at >= started_at)
)""",
}
_INDEXES = (
    'CREATE INDEX collected_trades_timestamp_idx ON collected_trades USING brin ("timestamp")',
    "CREATE INDEX collector_gaps_started_at_idx ON collector_gaps (started_at)",
)


def upgrade() -> None:
    for name, statement in _TABLES.items():
        if op.get_bind().exec_driver_sql(f"SELECT to_regclass('{name}') IS NOT NULL").scalar_one():
            raise ConflictError("database.tables_taken", tables=name)
        op.execute(statement)
        op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('{name}')")  # noqa: S608 - constants  # nosec B608
    for statement in _INDEXES:
        op.execute(statement)


def downgrade() -> None:
    for name in _TABLES:
        op.execute(f"DROP TABLE IF EXISTS {name}")
        op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = '{name}'")  # noqa: S608 - constants  # nosec B608
