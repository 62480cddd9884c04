"""Making a backup: all tables and lasting files as of one moment, while everybody goes on working."""

import hashlib
import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from kurswerk import __version__
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.messages import Message
from kurswerk.jobs import Progress, no_progress
from kurswerk.storage.backup._data_files import lasting_files, read_file_pieces
from kurswerk.storage.backup._keep import KeepRule, surplus
from kurswerk.storage.backup._manifest import (
    Contents,
    Header,
    StoredFile,
    StoredObject,
    StoredSequence,
    StoredTable,
    write_manifest,
)
from kurswerk.storage.backup._schema import schema_statements
from kurswerk.storage.backup._sealing import DEFAULT_LEVEL, Cipher, pack
from kurswerk.storage.backup._snapshot import Snapshot, Table, snapshot
from kurswerk.storage.backup._store import BackupStore, begun_at, name_of
from kurswerk.storage.backup._table_copy import Pages, read_pieces, stretches
from kurswerk.storage.server import Database

PARALLEL = 2


@dataclass(frozen=True)
class BackupOptions:
    """How a backup is made.

    Attributes
    ----------
    secret
        The operator's key; None makes a backup that anybody can read.
    level
        Of Zstandard, 1 (fast) to 19.
    parallel
        Connections that read at once; each takes about 100 MB of memory.
    keep
        Which earlier backups are kept once this one is complete.
    """

    secret: str | None = None
    level: int = DEFAULT_LEVEL
    parallel: int = PARALLEL
    keep: KeepRule = field(default_factory=KeepRule)


@dataclass(frozen=True)
class BackupSummary:
    """A finished backup, the files that disappeared while it was made, and the backups removed after it."""

    header: Header
    missing_files: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()


def create_backup(
    database: Database,
    store: BackupStore,
    data_dir: Path,
    options: BackupOptions | None = None,
    *,
    settings_file: Path | None = None,
    progress: Progress = no_progress,
) -> BackupSummary:
    """Back up a database and the files that belong to it.

    All of it is as of one moment; who reads and writes rows meanwhile does not wait. Interrupted at any point it leaves
    a folder without manifest, which the next backup removes.

    Parameters
    ----------
    database
        Without a pool.
    data_dir
        Whose lasting files are included: archived and quarantined rows, exports.
    settings_file
        Included where it is there.

    Raises
    ------
    ConflictError
        If another backup of the database is under way.
    StorageError
        If database or store fail; a disk that is full, too.
    """
    options = options or BackupOptions()
    cipher = Cipher.of(options.secret) if options.secret is not None else None
    started = time.monotonic()
    with snapshot(database) as moment:
        _remove_interrupted(store)
        name = _free_name(store, str(conninfo_to_dict(database.url).get("dbname") or "kurswerk"), moment.moment)
        store.create(name)
        writer = _Writer(store, name, uuid.uuid4().hex, cipher, options.level, progress, _volume(moment, data_dir))
        contents, missing = _write_contents(moment, writer, data_dir, settings_file, options.parallel)
        objects = list(contents.objects())
        header = Header(
            id=writer.backup_id,
            name=name,
            moment=moment.moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            program=__version__,
            revision=moment.revision,
            server_version=moment.server_version,
            rows=sum(one.rows for one in objects),
            files=len(contents.files),
            raw_bytes=sum(one.raw_bytes for one in objects),
            stored_bytes=sum(one.stored_bytes for one in objects),
            seconds=round(time.monotonic() - started, 3),
            encryption=cipher.header if cipher else None,
        )
        store.write_manifest(name, write_manifest(header, contents, cipher))
        pruned = prune(store, options.keep)
    progress(1.0, Message("backup.done"))
    return BackupSummary(header, tuple(missing), tuple(pruned))


def prune(store: BackupStore, rule: KeepRule) -> list[str]:
    """Remove the complete backups that a rule does not keep, and return their names."""
    moments = {moment: header.name for header in store.complete() if (moment := begun_at(header.name))}
    names = [moments[moment] for moment in surplus(list(moments), rule, datetime.now(UTC))]
    for name in names:
        store.delete(name)
    return names


def _free_name(store: BackupStore, database: str, begun: datetime) -> str:
    """Return a new backup's name; of two that begin in one second the later is named after the next."""
    taken = store.names()
    while (name := name_of(database, begun)) in taken:
        begun += timedelta(seconds=1)
    return name


def _remove_interrupted(store: BackupStore) -> None:
    """Remove what killed backups left; none is under way, or the lock would not be ours."""
    for name in store.names():
        if not store.is_complete(name):
            store.delete(name)


def _volume(moment: Snapshot, data_dir: Path) -> int:
    files = sum((data_dir / path).stat().st_size for path in lasting_files(data_dir) if (data_dir / path).exists())
    return sum(table.size_bytes for table in moment.tables) + files


@dataclass(eq=False)
class _Writer:
    """Numbers, packs and stores objects; used by several threads at once."""

    store: BackupStore
    name: str
    backup_id: str
    cipher: Cipher | None
    level: int
    progress: Progress
    volume: int
    stop: threading.Event = field(default_factory=threading.Event)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _written: int = 0

    def write(self, raw: bytes | bytearray, rows: int = 0) -> StoredObject:
        """Store an object."""
        with self._lock:
            name = f"{next(self._numbers):07d}"
        stored = pack(raw, f"{self.backup_id}:{name}", self.cipher, self.level)
        self.store.write(self.name, name, stored)
        with self._lock:
            self._written += len(raw)
            share = min(0.99, self._written / max(1, self.volume))
            self.progress(share, Message("backup.written", megabytes=self._written / 1e6))
        return StoredObject(
            name=name, sha256=sha256_bytes(stored), stored_bytes=len(stored), raw_bytes=len(raw), rows=rows
        )


def _write_contents(
    moment: Snapshot, writer: _Writer, data_dir: Path, settings_file: Path | None, parallel: int
) -> tuple[Contents, list[str]]:
    before, after = (
        writer.write(schema_statements(moment.database, moment.name, moment.server_version, section))
        for section in ("pre-data", "post-data")
    )
    paths = list(lasting_files(data_dir, writer.store.lies_in(str(data_dir))))
    with _pool(parallel, writer.stop) as pool:
        copies = {table: [pool.submit(_copy, moment, pages, writer) for pages in stretches(table)]
                  for table in moment.tables}  # fmt: skip
        files = {path: pool.submit(_copy_file, data_dir / path, str(path), writer) for path in paths}
        under_way: list[Future[Any]] = [*itertools.chain.from_iterable(copies.values()), *files.values()]
        for done in as_completed(under_way):
            done.result()  # the first error ends all others
    found = {path: result.result() for path, result in files.items()}
    settings = _copy_file(settings_file, "settings.toml", writer) if settings_file else None
    contents = Contents(
        before=before,
        after=after,
        tables=tuple(_stored(table, parts) for table, parts in copies.items()),
        sequences=tuple(
            StoredSequence(schema_name=schema, name=name, last_value=value, is_called=called)
            for schema, name, value, called in moment.sequences()
        ),
        files=tuple(one for one in found.values() if one),
        settings=settings,
    )
    return contents, [str(path) for path, one in found.items() if one is None]


@contextmanager
def _pool(parallel: int, stop: threading.Event) -> Iterator[ThreadPoolExecutor]:
    """Give threads; an error in the block ends them at their next piece."""
    pool = ThreadPoolExecutor(parallel, thread_name_prefix="kurswerk-backup")
    try:
        yield pool
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _copy(moment: Snapshot, pages: Pages, writer: _Writer) -> list[StoredObject]:
    objects = []
    with moment.reader() as connection:
        for piece, rows in read_pieces(connection, pages):
            if writer.stop.is_set():
                break
            objects.append(writer.write(piece, rows))
    return objects


def _stored(table: Table, parts: "list[Future[list[StoredObject]]]") -> StoredTable:
    return StoredTable(
        schema_name=table.schema_name,
        name=table.name,
        columns=table.columns,
        encoding=table.encoding,
        objects=tuple(itertools.chain.from_iterable(part.result() for part in parts)),
    )


def _copy_file(path: Path, name: str, writer: _Writer) -> StoredFile | None:
    """Store a file; None if it is no longer there."""
    digest, size, objects = hashlib.sha256(), 0, []
    try:
        for piece in read_file_pieces(path, path.stat().st_size):
            digest.update(piece)
            size += len(piece)
            objects.append(writer.write(piece))
    except FileNotFoundError:
        return None
    return StoredFile(path=name, size_bytes=size, sha256=digest.hexdigest(), objects=tuple(objects))
