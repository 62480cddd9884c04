"""Rows out of a table and into it, by COPY, in pieces of bounded size that can each be loaded alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.core.errors import BackupError, StorageError
from kurswerk.core.jit import kernel
from kurswerk.storage.backup._manifest import StoredObject, StoredTable
from kurswerk.storage.backup._snapshot import Table
from kurswerk.storage.server import Connection

PIECE_BYTES = 32 * 1024**2
# So many pages, 256 MB of rows, are read at a time: more than one connection can read a large table.
_RANGE_PAGES = 32_768
# What binary COPY begins and ends with: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


@dataclass(frozen=True)
class Pages:
    """A stretch of a table's pages, the last one open; None is the whole table."""

    table: Table
    first: int = 0
    last: int | None = None

    def query(self) -> sql.Composed:
        """Return the statement that copies the stretch out."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self.table.columns))
        conditions = [sql.SQL("ctid >= {}::tid").format(sql.Literal(f"({self.first},0)"))] if self.first else []
        if self.last is not None:
            conditions.append(sql.SQL("ctid < {}::tid").format(sql.Literal(f"({self.last},0)")))
        where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("")
        return sql.SQL("COPY (SELECT {columns} FROM ONLY {table}{where}) TO STDOUT (FORMAT {encoding})").format(
            columns=columns, table=self.table.identifier, where=where, encoding=sql.SQL(self.table.encoding)
        )


def stretches(table: Table) -> list[Pages]:
    """Divide a table, so that several connections can read it."""
    firsts = list(range(0, max(1, table.pages), _RANGE_PAGES))
    return [Pages(table, first, last) for first, last in zip(firsts, [*firsts[1:], None], strict=True)]


def read_pieces(connection: Connection, pages: Pages) -> Iterator[tuple[bytearray, int]]:
    """Yield rows of a table in pieces, each with its number of rows; nothing for no rows.

    Raises
    ------
    StorageError
        If the server counted other rows than came.
    """
    binary = pages.table.encoding == "binary"
    piece, rows, total = bytearray(), 0, 0
    with connection.cursor() as cursor:
        with cursor.copy(pages.query()) as copy:
            for message in copy:  # one row; the first comes with the header, the last message is the trailer
                piece += message
                if binary and message == _TRAILER:
                    continue
                rows += 1
                if len(piece) >= PIECE_BYTES:
                    yield (piece + _TRAILER if binary else piece), rows
                    piece, total, rows = bytearray(_HEADER if binary else b""), total + rows, 0
        if cursor.rowcount == 0:  # header and trailer came together
            rows = 0
        if rows:
            yield piece, rows
        if cursor.rowcount != total + rows:
            raise StorageError("backup.rows_differ", table=pages.table.name, sent=cursor.rowcount, came=total + rows)


def write_piece(connection: Connection, table: StoredTable, raw: bytes, stored: StoredObject) -> None:
    """Copy a piece into its table.

    Raises
    ------
    BackupError
        If the server took in another number of rows.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})").format(
        sql.Identifier(table.schema_name, table.name),
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        sql.SQL(table.encoding),
    )
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(raw)
        if cursor.rowcount != stored.rows:
            raise BackupError("backup.other_rows", table=table.label, found=cursor.rowcount, expected=stored.rows)


def rows_in(raw: bytes, encoding: str) -> int:
    r"""Count the rows of a piece from its bytes; -1 if they are no COPY in this format.

    Examples
    --------
    >>> rows_in(b"1\ta\n2\tb\n", "text")
    2
    """
    if encoding == "text":
        return raw.count(b"\n") if raw.endswith(b"\n") else -1
    return _binary_rows(np.frombuffer(raw, dtype=np.uint8)) if raw.startswith(_HEADER) else -1


@kernel
def _binary_rows(data: NDArray[np.uint8]) -> int:
    """Walk over the fields of all rows; -1 where the data end too early or too late."""
    at, size, rows = 19, len(data), 0
    while at + 2 <= size:
        fields = (int(data[at]) << 8) | int(data[at + 1])
        at += 2
        if fields == 0xFFFF:
            return rows if at == size else -1
        for _ in range(fields):
            if at + 4 > size:
                return -1
            length = (int(data[at]) << 24) | (int(data[at + 1]) << 16) | (int(data[at + 2]) << 8) | int(data[at + 3])
            at += 4
            if length != 0xFFFFFFFF:  # NULL
                at += length
        rows += 1
    return -1
