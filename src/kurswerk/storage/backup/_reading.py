"""A backup that is read: its header, its contents and its objects, each checked before it is used."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

from kurswerk.core.errors import BackupError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.jobs import Progress, no_progress
from kurswerk.storage.backup._manifest import (
    Contents,
    Header,
    StoredFile,
    StoredObject,
    StoredTable,
    read_contents,
    read_header,
    refuse_newer_tables,
)
from kurswerk.storage.backup._sealing import Cipher, unpack
from kurswerk.storage.backup._store import BackupStore, begun_at, split_source
from kurswerk.storage.backup._table_copy import rows_in

Item = TypeVar("Item")


@dataclass(frozen=True)
class Verified:
    """What was found in a backup when all of it was read."""

    header: Header
    objects: int
    tables: int
    rows: int
    files: int


@dataclass(frozen=True)
class OpenBackup:
    """A backup whose manifest has been read and is authentic."""

    store: BackupStore
    header: Header
    contents: Contents
    cipher: Cipher | None

    def read(self, stored: StoredObject) -> bytes:
        """Return an object's content.

        Raises
        ------
        BackupError
            If it is missing, truncated, damaged or not authentic.
        """
        data = self.store.read(self.header.name, stored)
        try:
            return unpack(data, f"{self.header.id}:{stored.name}", self.cipher, stored.raw_bytes)
        except ValueError as error:
            raise BackupError("backup.damaged", name=self.header.name, object=stored.name) from error

    def check(self, *, parallel: int = 2, progress: Progress = no_progress) -> None:
        """Read every object as it is stored and compare it with its SHA-256.

        Raises
        ------
        BackupError
            If one is missing, truncated or damaged.
        """
        _each(
            list(self.contents.objects()),
            lambda stored: self.store.read(self.header.name, stored),
            lambda stored: stored.stored_bytes,
            parallel,
            progress,
        )

    def verify(self, *, parallel: int = 2, progress: Progress = no_progress) -> Verified:
        """Read, decrypt and decompress everything, count the rows from their bytes, and compare all with the manifest.

        Raises
        ------
        BackupError
            If anything is missing, damaged, or other than the manifest states.
        """
        contents = self.contents
        for stored in (contents.before, contents.after):
            self.read(stored)
        pieces = [(table, one) for table in contents.tables for one in table.objects]
        _each(pieces, self._verify_piece, lambda piece: piece[1].stored_bytes, parallel, progress)
        for file in contents.all_files():
            self._verify_file(file)
        return Verified(
            self.header,
            objects=sum(1 for _ in contents.objects()),
            tables=len(contents.tables),
            rows=sum(table.rows for table in contents.tables),
            files=len(contents.files),
        )

    def _verify_piece(self, piece: tuple[StoredTable, StoredObject]) -> None:
        table, stored = piece
        found = rows_in(self.read(stored), table.encoding)
        if found != stored.rows:
            raise BackupError("backup.other_rows", table=table.label, found=found, expected=stored.rows)

    def _verify_file(self, file: StoredFile) -> None:
        digest, size = hashlib.sha256(), 0
        for stored in file.objects:
            raw = self.read(stored)
            digest.update(raw)
            size += len(raw)
        if size != file.size_bytes or digest.hexdigest() != file.sha256:
            raise BackupError("backup.damaged", name=self.header.name, object=file.path)


def open_backup(source: str, secret: str | None = None) -> OpenBackup:
    """Open a backup by its path or URL, or the newest complete one of a store.

    Raises
    ------
    NotFoundError
        If there is none.
    BackupError
        If its manifest is damaged, its key is another, or it is of a newer program.
    """
    name = source.rstrip("/").rpartition("/")[2]
    url, name = split_source(source, begun_at(name) is not None)
    store = BackupStore(url)
    if not name:
        complete = [found for found in store.names() if store.is_complete(found)]
        if not complete:
            raise NotFoundError("backup.none_in_store", store=url)
        name = complete[-1]
    data = store.manifest(name)
    header = read_header(data, name)
    refuse_newer_tables(header)
    cipher = Cipher.matching(secret, header.encryption, name)
    contents = read_contents(data, header, cipher)
    if header.name != name:  # a folder that was renamed
        header = header.model_copy(update={"name": name})
    return OpenBackup(store, header, contents, cipher)


def _each(
    items: Iterable[Item],
    work: Callable[[Item], object],
    weight: Callable[[Item], int],
    parallel: int,
    progress: Progress,
) -> None:
    """Do something with every item, several at once; the first error ends it."""
    waiting = list(items)
    total, done = max(1, sum(map(weight, waiting))), 0
    with ThreadPoolExecutor(parallel, thread_name_prefix="kurswerk-verify") as pool:
        futures = {pool.submit(work, item): item for item in waiting}
        try:
            for future in as_completed(futures):
                future.result()
                done += weight(futures[future])
                progress(done / total, Message("backup.checked", megabytes=done / 1e6))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
