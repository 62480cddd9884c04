"""Files that jobs write, in a folder of this machine or one that several machines share."""

import os
from contextlib import suppress
from pathlib import Path

from kurswerk.core.errors import DataFileError, NotFoundError


class FolderJobFiles:
    """Files below a folder; implements `kurswerk.jobs.JobFiles`.

    Parameters
    ----------
    folder
        To which paths are relative, such as the data folder.
    within
        The part of it that files may lie in; nothing outside is written or read, whatever a path is.
    """

    def __init__(self, folder: Path, within: str = "exports") -> None:
        self._folder = folder
        self._within = folder / within

    def part(self, path: str) -> Path:
        """Return where a file is written until it is finished; its folder is there.

        Raises
        ------
        DataFileError
            If the folder cannot be made.
        """
        target = self._place(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataFileError("export.not_writable", path=target, reason=error.strerror) from error
        return _part_of(target)

    def finish(self, path: str) -> None:
        """Put a file that is written in its place, at once and durably; one that was there is replaced."""
        target = self._place(path)
        try:
            with _part_of(target).open("rb") as file:
                os.fsync(file.fileno())
            _part_of(target).replace(target)
        except OSError as error:
            raise DataFileError("export.not_writable", path=target, reason=error.strerror) from error

    def discard(self, path: str) -> None:
        """Remove what is written of a file that is not finished, if anything is."""
        # What cannot be removed is no reason to keep its job from ending.
        with suppress(OSError):
            _part_of(self._place(path)).unlink()

    def remove(self, path: str) -> None:
        """Remove a finished file, if it is there."""
        # One that cannot be removed, or lies elsewhere, is no reason to keep its job.
        with suppress(OSError, NotFoundError):
            self._place(path).unlink()

    def find(self, path: str) -> Path:
        """Return where a finished file lies.

        Raises
        ------
        NotFoundError
            If there is none, or the path leads out of the folder.
        """
        target = self._place(path)
        if not target.is_file():
            raise NotFoundError("job.file_missing", path=path)
        return target

    def _place(self, path: str) -> Path:
        try:
            target = (self._folder / path).resolve()
        except (OSError, ValueError):  # ValueError: NUL
            raise NotFoundError("job.file_missing", path=path) from None
        if not target.parent.is_relative_to(self._within.resolve()):
            raise NotFoundError("job.file_missing", path=path)
        return target


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")
