"""Alembic, run from code: no alembic.ini, no command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from kurswerk.market import MARKETS
from kurswerk.storage.server._database import Connection, Database
from kurswerk.storage.server._errors import translated
from kurswerk.storage.server._market_tables import create_market_tables
from kurswerk.storage.server._revisions import HEAD, MIGRATION_LOCK

_MIGRATIONS = Path(__file__).parent / "migrations"
Step = Callable[[Connection], None]


def _nothing(_connection: Connection) -> None:
    """Do nothing."""


def migrate(
    database: Database,
    step: Literal["upgrade", "downgrade"],
    revision: str,
    *,
    before: Step = _nothing,
    after: Step = _nothing,
) -> None:
    """Take the tables to a revision in one transaction, behind a lock that all processes share.

    Parameters
    ----------
    before, after
        What belongs into the same transaction; called behind the lock, on its connection.

    Raises
    ------
    ConflictError
        If a table that must be ours is there already.
    StorageError
        If the database refuses.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.url), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            driver: Any = connection.connection.driver_connection
            before(driver)
            config.attributes["connection"] = connection
            getattr(command, step)(config, revision)
            if step == "upgrade" and revision == HEAD:
                create_market_tables(driver, [market for market in MARKETS.values() if not market.on_demand])
            after(driver)
    except (DBAPIError, psycopg.Error) as error:
        raise translated(error, database.url) from error
    finally:
        engine.dispose()
