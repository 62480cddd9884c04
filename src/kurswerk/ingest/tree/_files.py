"""Tables as CSV or Parquet files that hold every value exactly."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from kurswerk.core.errors import DataFileError

FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class WrittenFile:
    """A file of a tree, by its path within it."""

    path: str
    rows: int
    bytes: int
    sha256: str


def write_table(root: Path, name: str, table: pa.Table, ending: str) -> WrittenFile:
    """Write a table below a folder, as the ending wants it; the same table has the same bytes."""
    path = root / f"{name}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == "csv":
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="needed"))
    else:
        pq.write_table(table, path, compression="zstd")
    content = path.read_bytes()
    return WrittenFile(f"{name}.{ending}", table.num_rows, len(content), hashlib.sha256(content).hexdigest())


def read_text(path: Path) -> pa.Table:
    """Return a CSV file with all cells as text, an empty one as null.

    Raises
    ------
    DataFileError
        If there is no such file, or it is no CSV.
    """
    try:
        names = pa_csv.open_csv(path).schema.names
        kinds = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        )
        return pa_csv.read_csv(path, convert_options=kinds)
    except (OSError, pa.ArrowException) as error:
        raise DataFileError("file.no_readable_csv", file=path.name, reason=str(error)[:200]) from error
