"""Restoring a backup: into a database of its own, which takes the place of the old one when it is complete."""

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from kurswerk.core.errors import BackupError, ConflictError
from kurswerk.core.messages import Message
from kurswerk.jobs import Progress, no_progress
from kurswerk.storage.backup._create import PARALLEL
from kurswerk.storage.backup._data_files import PendingFiles
from kurswerk.storage.backup._databases import Server, restoring_on
from kurswerk.storage.backup._manifest import Header, StoredFile, StoredObject, StoredTable
from kurswerk.storage.backup._reading import OpenBackup
from kurswerk.storage.backup._reset import reset, sequence_values, set_sequences
from kurswerk.storage.backup._snapshot import prepare
from kurswerk.storage.backup._table_copy import write_piece
from kurswerk.storage.server import Connection, Database, upgrade

# Of the time that a restore takes, as its progress shows it.
_LOADED, _INDEXED = 0.8, 0.97
_SETTINGS_FILE = "restored-settings.toml"


@dataclass(frozen=True)
class RestoreSummary:
    """A restored backup.

    Attributes
    ----------
    finished_earlier
        Whether the restore of before had been killed at its end, and only that was left to do.
    replaced_database, replaced_files
        What was there before, and can be removed once nobody needs it; None where there was nothing.
    settings_file
        Where the backup's settings lie; they take no effect by themselves.
    """

    header: Header
    database: str
    files: int
    replaced_database: str | None = None
    replaced_files: Path | None = None
    settings_file: Path | None = None
    finished_earlier: bool = False


def restore_backup(
    backup: OpenBackup,
    database: Database,
    data_dir: Path,
    *,
    replace: str | None = None,
    parallel: int = PARALLEL,
    progress: Progress = no_progress,
) -> RestoreSummary:
    """Restore a backup in place of a database and of the files that belong to it.

    First every object is read and checked; nothing is touched by a backup that is damaged. Rows are then loaded into a
    database ``<name>_restoring``, and files into a folder of their own. In one transaction the new database takes the
    old one's name and the old one another; its sessions end and find the new one when they connect again.

    Interrupted before that, it leaves the old database and files as they were, and begins again from the start;
    interrupted after it, the next restore of the same backup finishes it.

    Parameters
    ----------
    replace
        Name of the database, where it is not empty.

    Raises
    ------
    ConflictError
        If the database is not empty and ``replace`` is not its name, or another restore is under way.
    BackupError
        If the backup is damaged.
    StorageError
        If the role may not create databases, or the server refuses the backup.
    """
    pending = PendingFiles(data_dir)
    with restoring_on(database) as server:
        header = backup.header
        if finished := _finish_interrupted(pending, server, backup):
            return finished
        if server.exists(server.name) and server.has_tables(server.name) and replace != server.name:
            raise ConflictError("backup.not_empty", database=server.name)
        backup.check(parallel=parallel, progress=lambda share, message: progress(0.2 * share, message))
        files = _stage_files(backup, pending)
        fresh, token = f"{server.name[:50]}_restoring", secrets.token_hex(8)
        server.create(fresh, f"restored from backup {header.name}, {token}")
        load(
            backup,
            server.database(fresh),
            at_least=_values_given(server),
            parallel=parallel,
            progress=lambda share, message: progress(0.2 + 0.78 * share, message),
        )
        pending.write_journal(header.id, server.name, token)
        empty = server.exists(server.name) and not server.has_tables(server.name)
        aside = server.swap(fresh)
        replaced_files = pending.put_in_place()
        if aside and empty:
            server.drop(aside)
            aside = None
    progress(1.0, Message("backup.done"))
    settings = data_dir / _SETTINGS_FILE if backup.contents.settings else None
    return RestoreSummary(header, server.name, files, aside, replaced_files, settings)


def load(
    backup: OpenBackup,
    database: Database,
    *,
    at_least: Mapping[tuple[str, str], int] | None = None,
    parallel: int = PARALLEL,
    progress: Progress = no_progress,
    as_it_was: bool = False,
) -> None:
    """Load tables, rows, sequences, keys and triggers into an empty database, and bring it up to date.

    Triggers are made last: loading rows feeds nothing to the predictor.

    Parameters
    ----------
    at_least
        What sequences have given elsewhere: schema and name → value.
    as_it_was
        Leave the tables at the revision of the backup, and jobs at work.
    """
    contents = backup.contents
    with _session(database) as connection:
        connection.execute(backup.read(contents.before))
    pieces = [(table, one) for table in contents.tables for one in table.objects]
    total, done = max(1, sum(one.raw_bytes for _, one in pieces)), 0
    with ThreadPoolExecutor(parallel, thread_name_prefix="kurswerk-restore") as pool:
        futures = {pool.submit(_load_piece, backup, database, table, one): one for table, one in pieces}
        try:
            for future in as_completed(futures):
                future.result()
                done += futures[future].raw_bytes
                progress(_LOADED * done / total, Message("backup.loaded", megabytes=done / 1e6))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    with _session(database) as connection:
        progress(_LOADED, Message("backup.indexing"))
        connection.execute(backup.read(contents.after))
    with _session(database) as connection:  # another one: those statements set the search path
        set_sequences(connection, contents.sequences, at_least or {})
        progress(_INDEXED, Message("backup.analyzing"))
        connection.execute("ANALYZE")
    if not as_it_was:
        upgrade(database)
        with database.connection() as connection:
            reset(connection)


def restore_into_scratch(
    backup: OpenBackup, database: Database, *, parallel: int = PARALLEL, progress: Progress = no_progress
) -> int:
    """Restore a backup into a database of its own, count all rows there, and drop it.

    Returns
    -------
    int
        The rows of all tables.

    Raises
    ------
    BackupError
        If a table has other rows than the manifest states.
    ConflictError, StorageError
        As for `restore_backup`.
    """
    with restoring_on(database) as server:
        name = f"{server.name[:40]}_verifying"
        server.create(name, f"verification of backup {backup.header.name}")
        try:
            load(backup, server.database(name), parallel=parallel, progress=progress, as_it_was=True)
            with server.database(name).connection() as connection:
                return sum(_count(connection, table) for table in backup.contents.tables)
        finally:
            server.drop(name)


def _count(connection: Connection, table: StoredTable) -> int:
    query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(table.schema_name, table.name))
    row = connection.execute(query).fetchone()
    found = int(row[0]) if row else 0
    if found != table.rows:
        raise BackupError("backup.other_rows", table=table.label, found=found, expected=table.rows)
    return found


@contextmanager
def _session(database: Database) -> Iterator[Connection]:
    """Open a connection in autocommit mode that no timeout ends, and that need not wait for the disk."""
    with database.connection() as connection:
        prepare(connection)
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '512MB'")
        yield connection


def _load_piece(backup: OpenBackup, database: Database, table: StoredTable, stored: StoredObject) -> None:
    raw = backup.read(stored)
    with _session(database) as connection:
        write_piece(connection, table, raw, stored)


def _stage_files(backup: OpenBackup, pending: PendingFiles) -> int:
    pending.begin()
    settings = backup.contents.settings
    files = [*backup.contents.files]
    if settings:
        files.append(settings.model_copy(update={"path": _SETTINGS_FILE}))
    for file in files:
        pending.write(file.path, _pieces(backup, file), file.sha256)
    return len(backup.contents.files)


def _pieces(backup: OpenBackup, file: StoredFile) -> Iterator[bytes]:
    for stored in file.objects:
        yield backup.read(stored)


def _values_given(server: Server) -> dict[tuple[str, str], int]:
    if not server.exists(server.name):
        return {}
    with server.database(server.name).connection() as connection:
        return sequence_values(connection)


def _finish_interrupted(pending: PendingFiles, server: Server, backup: OpenBackup) -> RestoreSummary | None:
    """Move the files of a restore that was killed after its database was in place; discard those of any other."""
    journal = pending.journal
    if journal is None or journal["database"] != server.name:
        return None
    if journal["token"] not in (server.comment(server.name) or ""):
        pending.discard()
        return None
    replaced = pending.put_in_place()
    if journal["id"] != backup.header.id:
        return None
    return RestoreSummary(backup.header, server.name, len(backup.contents.files), None, replaced, finished_earlier=True)
