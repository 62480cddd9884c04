"""Where backups lie: a folder, or any store that fsspec reaches."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import BackupError, InvalidInputError, NotFoundError, StorageError
from kurswerk.storage.backup._manifest import MANIFEST, Header, StoredObject, read_header

# Ends the name of each backup; the moment it was begun.
_STAMP = "%Y%m%dT%H%M%SZ"


class BackupStore:
    """The backups of one installation, each in a folder of its own.

    Parameters
    ----------
    url
        A folder, or a URL that fsspec understands: ``file:///backups``, ``s3://bucket/kurswerk`` (with s3fs installed),
        ``memory://`` and so on. Credentials come from the store's own variables, such as ``AWS_ACCESS_KEY_ID``.

    Raises
    ------
    InvalidInputError
        If no program for such a store is installed.
    """

    def __init__(self, url: str) -> None:
        # Imported here: only commands that make or read backups need it.
        from fsspec.core import url_to_fs  # noqa: PLC0415

        self.url = url
        try:
            self._fs, self._root = url_to_fs(str(Path(url).expanduser()) if "://" not in url else url)
        except (ImportError, ValueError) as error:
            raise InvalidInputError("backup.no_such_store", store=url, reason=error) from error

    def __str__(self) -> str:
        return self.url

    def names(self) -> list[str]:
        """Return the names of all backups, interrupted ones too, oldest first."""
        with self._translating():
            self._fs.invalidate_cache()
            if not self._fs.isdir(self._root):
                return []
            folders = [entry["name"] for entry in self._fs.ls(self._root, detail=True) if entry["type"] == "directory"]
        names = [folder.rstrip("/").rpartition("/")[2] for folder in folders]
        return sorted((name for name in names if begun_at(name)), key=lambda name: name.rpartition("-")[2])

    def complete(self) -> list[Header]:
        """Return the headers of all complete backups, oldest first; damaged ones are left out."""
        found = []
        for name in self.names():
            try:
                header = read_header(self.manifest(name), name)
                found.append(header.model_copy(update={"name": name}))  # a folder may have been renamed
            except (BackupError, NotFoundError):
                continue
        return found

    def is_complete(self, name: str) -> bool:
        """Whether a backup has its manifest."""
        with self._translating():
            return bool(self._fs.exists(self._path(name, MANIFEST)))

    def manifest(self, name: str) -> bytes:
        """Return a backup's manifest.

        Raises
        ------
        NotFoundError
            If there is no such backup, or it was interrupted.
        """
        with self._translating():
            try:
                return bytes(self._fs.cat_file(self._path(name, MANIFEST)))
            except FileNotFoundError:
                newest = ", ".join(self.names()[-5:]) or "–"
                raise NotFoundError("backup.not_found", name=name, store=self.url, newest=newest) from None

    def read(self, name: str, stored: StoredObject) -> bytes:
        """Return an object whose bytes are those that were stored.

        Raises
        ------
        BackupError
            If it is missing, truncated or damaged.
        """
        with self._translating():
            try:
                data = bytes(self._fs.cat_file(self._path(name, stored.name)))
            except FileNotFoundError:
                raise BackupError("backup.object_missing", name=name, object=stored.name) from None
        if len(data) != stored.stored_bytes or sha256_bytes(data) != stored.sha256:
            raise BackupError("backup.damaged", name=name, object=stored.name)
        return data

    def write(self, name: str, object_name: str, data: bytes) -> None:
        """Store an object, durably where the store is a folder."""
        with self._translating(), self._fs.open(self._path(name, object_name), "wb") as file:
            file.write(data)
            _sync(file)

    def write_manifest(self, name: str, data: bytes) -> None:
        """Store the manifest, at once or not at all; the backup is complete from then on."""
        partial = self._path(name, f"{MANIFEST}.part")
        self.write(name, f"{MANIFEST}.part", data)
        with self._translating():
            self._fs.mv(partial, self._path(name, MANIFEST))

    def create(self, name: str) -> None:
        """Make the folder of a backup."""
        with self._translating():
            self._fs.makedirs(f"{self._root}/{name}", exist_ok=False)

    def delete(self, name: str) -> None:
        """Remove a backup; its manifest first, so that half of one never counts as complete."""
        with self._translating():
            if self._fs.exists(self._path(name, MANIFEST)):
                self._fs.rm_file(self._path(name, MANIFEST))
            self._fs.rm(f"{self._root}/{name}", recursive=True)

    def lies_in(self, folder: str) -> str | None:
        """Return the store's path below a folder of this machine; None where it lies elsewhere."""
        protocols = (self._fs.protocol,) if isinstance(self._fs.protocol, str) else self._fs.protocol
        root = os.path.realpath(self._root)
        inside = "file" in protocols and root.startswith(f"{os.path.realpath(folder)}{os.sep}")
        return os.path.relpath(root, os.path.realpath(folder)) if inside else None

    def _path(self, name: str, object_name: str) -> str:
        return f"{self._root}/{name}/{object_name}"

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ImportError, RuntimeError) as error:
            raise StorageError(
                "backup.store_failed", store=self.url, reason=str(error) or type(error).__name__
            ) from error


def name_of(database: str, begun: datetime) -> str:
    """Return a backup's name: the database's and the moment.

    Examples
    --------
    >>> name_of("kurswerk", datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC))
    'kurswerk-20260131T040506Z'
    """
    plain = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in database)
    return f"{plain}-{begun.astimezone(UTC).strftime(_STAMP)}"


def begun_at(name: str) -> datetime | None:
    """Return when a backup was begun, by its name; None where that is no backup's.

    Examples
    --------
    >>> begun_at("kurswerk-20260131T040506Z").isoformat(), begun_at("photos")
    ('2026-01-31T04:05:06+00:00', None)
    """
    try:
        return datetime.strptime(name.rpartition("-")[2], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def split_source(source: str, is_backup: bool) -> tuple[str, str]:
    """Split the path of a backup into its store's and its name.

    Examples
    --------
    >>> split_source("s3://bucket/kurswerk-20260131T040506Z", True)
    ('s3://bucket', 'kurswerk-20260131T040506Z')
    """
    if not is_backup:
        return source, ""
    store, _, name = source.rstrip("/").rpartition("/")
    return store or ".", name


def _sync(file: Any) -> None:
    file.flush()
    if hasattr(file, "fileno"):
        try:
            os.fsync(file.fileno())
        except (OSError, ValueError):  # a store without files of this machine
            return
