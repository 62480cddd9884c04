"""Changes of joined values, such as an exchange rate inserted late, are noted as revisions."""

from typing import Any

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.market import COINS
from kurswerk.storage.server._joined_trigger import joined_trigger_creation, joined_trigger_removal
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# What waits for the lane that holds a partition.
_CHANGES = """
CREATE TABLE joined_changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    market varchar(50) NOT NULL,
    source varchar(63) NOT NULL,
    partition smallint NOT NULL,
    from_time timestamptz NOT NULL,
    until_time timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (market, partition, id)
)"""
# The values of joined tables without triggers, as they were when they were last compared.
_SEEN = """
CREATE TABLE joined_seen (
    market varchar(50) NOT NULL,
    source varchar(63) NOT NULL,
    "timestamp" timestamptz NOT NULL,
    content bigint NOT NULL,
    PRIMARY KEY (market, source, "timestamp")
)"""
_KINDS = "CHECK (kind IN ('late', 'corrected', 'joined') AND (kind = 'joined') = (source IS NOT NULL))"
_OLD_KINDS = "CHECK (kind IN ('late', 'corrected'))"
_CHECK = "coin_revisions_kind_check"  # other markets' tables have it from this one, by the same name


def upgrade() -> None:
    for name, statement in (("joined_changes", _CHANGES), ("joined_seen", _SEEN)):
        if op.get_bind().exec_driver_sql(f"SELECT to_regclass('{name}') IS NOT NULL").scalar_one():
            raise ConflictError("database.tables_taken", tables=name)
        op.execute(statement)
        op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('{name}')")  # noqa: S608 - constants  # nosec B608
    for table in _revision_tables():
        op.execute(f"ALTER TABLE {table} ADD COLUMN source varchar(63), ADD COLUMN partitions smallint[]")
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {_CHECK}, ADD CONSTRAINT {_CHECK} {_KINDS}")
    for creation in joined_trigger_creation(COINS, _owned(["exchange_rates"])):
        _driver().execute(creation)


def downgrade() -> None:
    for statement in joined_trigger_removal(COINS):
        _driver().execute(statement)
    for table in _revision_tables():
        op.execute(f"DELETE FROM {table} WHERE kind = 'joined'")  # noqa: S608 - a table of ours  # nosec B608
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {_CHECK}, ADD CONSTRAINT {_CHECK} {_OLD_KINDS}")
        op.execute(f"ALTER TABLE {table} DROP COLUMN partitions, DROP COLUMN source")
    for name in ("joined_changes", "joined_seen"):
        op.execute(f"DROP TABLE IF EXISTS {name}")
        op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = '{name}'")  # noqa: S608 - constants  # nosec B608


def _revision_tables() -> list[str]:
    """Return the tables of revisions of all markets, quoted."""
    rows = op.get_bind().exec_driver_sql(
        f"SELECT quote_ident(o.name) FROM {OWNED_TABLE} o JOIN pg_constraint c ON c.conrelid = to_regclass(o.name)"  # noqa: S608 - constants  # nosec B608
        f" WHERE c.conname = '{_CHECK}' ORDER BY 1"
    )
    return [row[0] for row in rows]


def _owned(names: list[str]) -> list[str]:
    rows = _driver().execute(f"SELECT name FROM {OWNED_TABLE} WHERE name = ANY (%s)", [names])  # noqa: S608 - a constant  # nosec B608
    return [row[0] for row in rows]


def _driver() -> Any:
    """Return psycopg's connection, in the same transaction."""
    return op.get_bind().connection.driver_connection
