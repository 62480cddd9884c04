"""Watchlists: instruments that somebody follows together."""

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_WATCHLISTS = """
CREATE TABLE watchlists (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name varchar(100) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT watchlists_name_key UNIQUE (name)
)"""
# The order of a list is that of its positions, which may have gaps.
_INSTRUMENTS = """
CREATE TABLE watchlist_instruments (
    watchlist_id bigint NOT NULL REFERENCES watchlists (id) ON DELETE CASCADE,
    market varchar(50) NOT NULL,
    instrument varchar(255) NOT NULL,
    position int NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (watchlist_id, market, instrument)
)"""


def upgrade() -> None:
    for name, statement in (("watchlists", _WATCHLISTS), ("watchlist_instruments", _INSTRUMENTS)):
        if op.get_bind().exec_driver_sql(f"SELECT to_regclass('{name}') IS NOT NULL").scalar_one():
            raise ConflictError("database.tables_taken", tables=name)
        op.execute(statement)
        op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('{name}')")  # noqa: S608 - constants  # nosec B608


def downgrade() -> None:
    for name in ("watchlist_instruments", "watchlists"):
        op.execute(f"DROP TABLE IF EXISTS {name}")
        op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = '{name}'")  # noqa: S608 - constants  # nosec B608
