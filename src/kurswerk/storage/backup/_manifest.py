"""What a backup consists of: its manifest, and the objects that the manifest lists.

A backup is a folder with ``manifest.json`` and numbered objects. The manifest's header is readable by anybody; its list
of contents is compressed, and encrypted where the backup is. Since the manifest is written last, a folder without one
is a backup that was interrupted.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import BackupError
from kurswerk.storage.backup._sealing import Cipher, pack, unpack
from kurswerk.storage.server import HEAD

MANIFEST = "manifest.json"
FORMAT, VERSION = "kurswerk-backup", 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredObject(_Record):
    """One object: its SHA-256 and size as stored, its size before compression, and the rows in it."""

    name: str
    sha256: str
    stored_bytes: int
    raw_bytes: int
    rows: int = 0


class StoredTable(_Record):
    """The rows of one table, in COPY's binary or text format, divided into objects that can each be loaded alone."""

    schema_name: str
    name: str
    columns: tuple[str, ...]
    encoding: Literal["binary", "text"]
    objects: tuple[StoredObject, ...]

    @property
    def label(self) -> str:
        """Schema and name, for people."""
        return f"{self.schema_name}.{self.name}"

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(one.rows for one in self.objects)


class StoredSequence(_Record):
    """A sequence: the last value that it gave, or, where it was not called, its first one."""

    schema_name: str
    name: str
    last_value: int
    is_called: bool


class StoredFile(_Record):
    """A file of the data folder, by its path there; ``sha256`` is that of its whole content."""

    path: str
    size_bytes: int
    sha256: str
    objects: tuple[StoredObject, ...]


class Contents(_Record):
    """All that is in a backup.

    Attributes
    ----------
    before, after
        The statements that make tables, types and functions; and those that make keys, indexes and triggers once the
        rows are loaded.
    files
        What lay in the data folder.
    settings
        The settings file; None where there was none.
    """

    before: StoredObject
    after: StoredObject
    tables: tuple[StoredTable, ...]
    sequences: tuple[StoredSequence, ...]
    files: tuple[StoredFile, ...]
    settings: StoredFile | None

    def objects(self) -> Iterator[StoredObject]:
        """Yield every object."""
        yield from (self.before, self.after)
        for table in self.tables:
            yield from table.objects
        for file in self.all_files():
            yield from file.objects

    def all_files(self) -> Iterator[StoredFile]:
        """Yield every file, the settings last."""
        yield from self.files
        if self.settings is not None:
            yield self.settings


class Header(_Record):
    """What anybody may read of a backup.

    Attributes
    ----------
    id
        Unique; authenticates which backup an object belongs to.
    moment
        When the data were as they are in it, ISO 8601 in UTC.
    revision
        The revision of the tables, as ``kurswerk db status`` shows it.
    encryption
        Salt and check of the key; None where it is not encrypted.
    seconds
        How long it took.
    """

    format: str = FORMAT
    version: int = VERSION
    id: str
    name: str
    moment: str
    program: str
    revision: str
    server_version: str
    rows: int
    files: int
    raw_bytes: int
    stored_bytes: int
    seconds: float
    encryption: dict[str, str] | None


def write_manifest(header: Header, contents: Contents, cipher: Cipher | None) -> bytes:
    """Return the manifest as it is stored."""
    head = header.model_dump()
    place = _canonical(head)
    listed = contents.model_dump_json().encode()
    packed = base64.b64encode(pack(listed, place, cipher)).decode()
    check = sha256_bytes(f"{place}{packed}".encode())
    return json.dumps(
        {"header": head, "contents": packed, "contents_bytes": len(listed), "sha256": check}, indent=1
    ).encode()


def read_header(data: bytes, name: str) -> Header:
    """Read the header of a manifest, which may be of a newer program.

    Raises
    ------
    BackupError
        If it is damaged, or this program does not know its format.
    """
    document = _document(data, name)
    head = document["header"]
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise BackupError("backup.damaged", name=name, object=MANIFEST)
    if not isinstance(head.get("version"), int) or head["version"] > VERSION:
        raise BackupError("backup.newer_format", name=name, version=head.get("version"), supported=VERSION)
    if sha256_bytes(f"{_canonical(head)}{document['contents']}".encode()) != document["sha256"]:
        raise BackupError("backup.damaged", name=name, object=MANIFEST)
    try:
        header = Header.model_validate(head)
    except ValidationError as error:
        raise BackupError("backup.damaged", name=name, object=MANIFEST) from error
    return header


def read_contents(data: bytes, header: Header, cipher: Cipher | None) -> Contents:
    """Read the list of contents.

    Raises
    ------
    BackupError
        If it is damaged or was changed.
    """
    document = _document(data, header.name)
    try:
        packed = base64.b64decode(document["contents"], validate=True)
        listed = unpack(packed, _canonical(document["header"]), cipher, int(document["contents_bytes"]))
        return Contents.model_validate_json(listed)
    except (ValueError, TypeError) as error:
        raise BackupError("backup.damaged", name=header.name, object=MANIFEST) from error


def refuse_newer_tables(header: Header) -> None:
    """Refuse a backup whose tables this program does not know.

    Raises
    ------
    BackupError
        If they are of a newer revision.
    """
    if header.revision > HEAD:
        raise BackupError("backup.newer_revision", name=header.name, revision=header.revision, supported=HEAD)


def _document(data: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BackupError("backup.damaged", name=name, object=MANIFEST) from error
    if not isinstance(document, dict) or not {"header", "contents", "contents_bytes", "sha256"} <= document.keys():
        raise BackupError("backup.damaged", name=name, object=MANIFEST)
    return document


def _canonical(head: Any) -> str:
    return json.dumps(head, sort_keys=True, separators=(",", ":"))
