"""Predictions are partitioned by the time of their row; alerts carry that time."""

from typing import Any

from alembic import op

from kurswerk.storage.server.migrations import partitions_v15

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    partitions_v15.partition(_driver())


def downgrade() -> None:
    partitions_v15.unpartition(_driver())


def _driver() -> Any:
    """Return psycopg's connection, in the same transaction."""
    return op.get_bind().connection.driver_connection
