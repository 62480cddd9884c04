"""The way of an old installation into ours: looked at, and done in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from kurswerk.storage.adoption._copy import copy_rows
from kurswerk.storage.adoption._models import AdoptedModel, insert_models, read_models
from kurswerk.storage.adoption._old_tables import KEPT_IN, OldTable, find_old_tables, others_connected, set_aside
from kurswerk.storage.server import Connection, Database, create_tables, current_revision


@dataclass(frozen=True)
class AdoptedTable:
    """An old table: how many rows it has, under which name it stays, and how many of them are in ours now."""

    name: str
    rows: int
    kept_as: str
    taken_over: int | None = None


@dataclass(frozen=True)
class Adoption:
    """What would be done, or was.

    Attributes
    ----------
    tables
        Empty where there is no old installation.
    others
        What else is connected to the database; older services among them have to be stopped.
    done
        Whether it was done.
    """

    tables: tuple[AdoptedTable, ...] = ()
    models: tuple[AdoptedModel, ...] = ()
    others: tuple[str, ...] = ()
    done: bool = False


@dataclass
class _Work:
    """What one transaction does before and after our tables are made."""

    tables: tuple[OldTable, ...] = ()
    models: list[AdoptedModel] = field(default_factory=list)
    adopted: list[AdoptedTable] = field(default_factory=list)

    def before(self, connection: Connection) -> None:
        connection.execute("SET LOCAL TimeZone = 'UTC'")  # moments without a zone are UTC
        found = find_old_tables(connection)
        if found:
            set_aside(connection, found)
        self.tables = tuple(table.moved() for table in found)

    def after(self, connection: Connection) -> None:
        for table in self.tables:
            if table.name == "ml_models":
                self.models = read_models(connection, table)
                count = insert_models(connection, self.models)
            else:
                count = copy_rows(connection, table)
            self.adopted.append(_as_kept(table, _count(connection, table), count))
        for table in self.tables:
            _continue_ids(connection, table)


def plan_adoption(database: Database) -> Adoption:
    """Look for an old installation and return what `adopt` would do; changes nothing.

    Raises
    ------
    ConflictError
        If there are tables of the same names that are none of an older service.
    """
    if current_revision(database) is not None:
        return Adoption()
    with database.connection() as connection:
        found = find_old_tables(connection)
        if not found:
            return Adoption()
        return Adoption(
            tuple(_as_kept(table, _count(connection, table)) for table in found),
            tuple(read_models(connection, found[0])),
            others_connected(connection),
        )


def adopt(database: Database) -> Adoption:
    """Set the tables of an old installation aside, make ours, and copy what these take; all in one transaction.

    Nothing is dropped, and no artifact is loaded. Where there is no old installation, nothing is done.

    Raises
    ------
    ConflictError
        If others work with the tables, or they are none of an older service.
    StorageError
        If the database refuses; then everything is as before.
    """
    plan = plan_adoption(database)
    if not plan.tables:
        return plan
    work = _Work()
    create_tables(database, before=work.before, after=work.after)
    return Adoption(tuple(work.adopted), tuple(work.models), plan.others, done=bool(work.adopted))


def _as_kept(table: OldTable, rows: int, taken_over: int | None = None) -> AdoptedTable:
    return AdoptedTable(table.name, rows, f"{KEPT_IN}.{table.name}", taken_over)


def _count(connection: Connection, table: OldTable) -> int:
    row: Sequence[Any] | None = connection.execute(
        sql.SQL("SELECT count(*) FROM {}").format(table.identifier)
    ).fetchone()
    return int(row[0]) if row else 0


def _continue_ids(connection: Connection, table: OldTable) -> None:
    """Let ids go on after the largest there was, of rows that are not taken over, too."""
    if table.name == "ml_artifacts":
        return
    connection.execute(
        sql.SQL(
            "SELECT setval(pg_get_serial_sequence({name}, 'id'), largest) FROM"
            " (SELECT max(id) AS largest FROM {table}) m WHERE largest IS NOT NULL"
        ).format(name=sql.Literal(table.name), table=table.identifier)
    )
