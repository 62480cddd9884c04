"""The files of the data folder that belong into a backup, and how a restore puts them in their place."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kurswerk.core.errors import BackupError

# The database's own, and what every process makes anew.
_LEFT_OUT = ("postgres", "cache", "metrics", "replaced-", ".restore", "backups")
PIECE_BYTES = 32 * 1024**2
_PENDING = ".restore-pending"
_PARTIAL = ".part"


def lasting_files(data_dir: Path, store: str | None = None) -> Iterator[Path]:
    """Yield the files of the data folder, by their paths there, that are finished and not made anew by themselves.

    Parameters
    ----------
    store
        Where backups lie below the folder, if they do.
    """
    for entry in sorted(data_dir.iterdir()) if data_dir.is_dir() else ():
        if entry.name.startswith(_LEFT_OUT):
            continue
        found = [entry] if entry.is_file() else sorted(path for path in entry.rglob("*") if path.is_file())
        for path in found:
            inside = path.relative_to(data_dir)
            in_store = store is not None and inside.is_relative_to(store)
            if not in_store and not path.is_symlink() and path.suffix != _PARTIAL:
                yield inside


def read_file_pieces(path: Path, size: int) -> Iterator[bytes]:
    """Yield a file in pieces; of one that grows meanwhile what it had at first."""
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
            size -= len(piece)
            yield piece


@dataclass(frozen=True)
class PendingFiles:
    """Restored files until the database is in its place: first in a folder of their own, then moved as a whole.

    The folder's journal names the backup and the database, so that a restore that was killed between the two is
    finished by the next one.
    """

    data_dir: Path

    @property
    def _folder(self) -> Path:
        return self.data_dir / _PENDING

    @property
    def journal(self) -> dict[str, str] | None:
        """What an interrupted restore was about to do; None where there is nothing to finish."""
        try:
            document = json.loads((self._folder / "journal.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return {str(key): str(value) for key, value in document.items()}

    def begin(self) -> None:
        """Begin with nothing."""
        self.discard()
        (self._folder / "files").mkdir(parents=True)

    def discard(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, path: str, pieces: Iterator[bytes], sha256: str) -> None:
        """Write a file durably.

        Raises
        ------
        BackupError
            If its content is another than was backed up, or its path leads out of the folder.
        """
        root = (self._folder / "files").resolve()
        target = (root / path).resolve()
        if not target.is_relative_to(root):
            raise BackupError("backup.file_outside", path=path)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != sha256:
            raise BackupError("backup.damaged", name=path, object=path)

    def write_journal(self, backup_id: str, database: str, token: str) -> None:
        """Note what is about to be done; from here on the files are complete."""
        now = datetime.now(UTC)
        stamp = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z"
        partial = self._folder / "journal.json.part"
        journal = {"id": backup_id, "database": database, "token": token, "stamp": stamp}
        partial.write_text(json.dumps(journal), encoding="utf-8")
        partial.replace(self._folder / "journal.json")

    def put_in_place(self) -> Path | None:
        """Move the files to where they belong; return the folder of those that lay there before, None without any.

        It can be interrupted at any point and done again.
        """
        journal = self.journal
        if journal is None:
            return None
        replaced = self.data_dir / f"replaced-{journal['stamp']}"
        cleared = self._folder / "cleared"
        if not cleared.exists():
            restored = {entry.name for entry in (self._folder / "files").iterdir()}
            for name in sorted(restored | {path.parts[0] for path in lasting_files(self.data_dir)}):
                if (self.data_dir / name).exists():
                    replaced.mkdir(exist_ok=True)
                    (self.data_dir / name).rename(replaced / name)
            cleared.touch()
        for entry in sorted((self._folder / "files").iterdir()):
            entry.rename(self.data_dir / entry.name)
        self.discard()
        return replaced if replaced.exists() else None
