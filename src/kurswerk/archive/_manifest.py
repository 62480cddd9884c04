"""What a file of the archive holds, written beside it once it is complete."""

import hashlib
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from kurswerk.core.errors import StorageError

_CHUNK = 1 << 20


class Manifest(BaseModel):
    """A finished file of predictions; a file without one does not count.

    Attributes
    ----------
    file
        Its name, in the folder of the manifest.
    bytes, sha256
        Of the file.
    rows
        How many predictions it holds.
    first_id, last_id
        The lowest and the highest id.
    first_us, last_us
        The earliest and the latest timestamp of a row, microseconds UTC.
    stored_first_us, stored_last_us
        When the first and the last prediction were stored.
    models
        Ids of the models that predicted, ascending.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    file: str
    bytes: int
    sha256: str
    rows: int
    first_id: int
    last_id: int
    first_us: int
    last_us: int
    stored_first_us: int
    stored_last_us: int
    models: tuple[int, ...]

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest.

        Raises
        ------
        StorageError
            If it cannot be read, or is of another version.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
            raise StorageError("archive.manifest_unreadable", path=path, reason=reason) from error

    def write(self, path: Path) -> None:
        """Write it at once and durably."""
        part = path.with_name(f"{path.name}.part")
        part.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        put_in_place(part, path)


def put_in_place(part: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
