"""Alembic, run from code: no alembic.ini, no command line."""

from pathlib import Path
from typing import Literal

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from kurswerk.storage._database import Database
from kurswerk.storage._errors import translated
from kurswerk.storage._revisions import MIGRATION_LOCK

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(database: Database, step: Literal["upgrade", "downgrade"], revision: str) -> None:
    """Take the tables to a revision in one transaction, behind a lock that all processes share.

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
            config.attributes["connection"] = connection
            getattr(command, step)(config, revision)
    except DBAPIError as error:
        raise translated(error, database.url) from error
    finally:
        engine.dispose()
