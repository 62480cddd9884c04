"""The use case: a tree of files back into the store; what is there already stays as it is."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from kurswerk.core.errors import DataFileError
from kurswerk.ingest._files import FileSummary, ingest_files
from kurswerk.ingest.ports import CandleSource
from kurswerk.ingest.tree._export import INDEX, raw_name
from kurswerk.ingest.tree._files import read_text
from kurswerk.ingest.tree.ports import TreeStore
from kurswerk.market import MarketSchema
from kurswerk.market.series import SeriesOrigin

Open = Callable[[Path, MarketSchema], CandleSource]


@dataclass(frozen=True)
class ImportSummary:
    """What became of a tree: files of bars, and how many instruments and actions were new."""

    files: Sequence[FileSummary]
    instruments: int
    actions: int


def import_tree(
    store: TreeStore,
    folder: Path,
    open_candles: Open,
    quarantine_dir: Path,
    report: Callable[[float, str], None] = lambda _fraction, _file: None,
) -> ImportSummary:
    """Store the raw bars, actions and instruments of a tree; the same tree twice changes nothing.

    Files are stored one after the other, each whole or not at all, so that an import that was interrupted can be begun
    again.

    Raises
    ------
    DataFileError
        If a file is missing, or not the one that was exported; then nothing was stored.
    """
    index = read_text(_there(folder, INDEX))
    _check(folder, index)
    status = read_text(folder / "metadata" / "status.csv").to_pylist()
    added = store.add_actions(read_text(folder / "metadata" / "actions.csv"))
    raw = _raw_files(folder, index, status)
    files: list[FileSummary] = []
    markets = {market.interval: market for market in store.markets}
    for number, (path, row) in enumerate(raw):
        report(number / len(raw), str(path))
        market = markets[row["interval"]]
        summary = ingest_files(
            [open_candles(folder / path, market)], market, store.sink(market, _origin(row)), quarantine_dir
        )
        files += summary.files
    for interval, source in {(row["interval"], row["source"]) for row in status if row["is_preferred"] == "true"}:
        chosen = [row["instrument"] for row in status
                  if (row["interval"], row["source"], row["is_preferred"]) == (interval, source, "true")]  # fmt: skip
        store.prefer(markets[interval], source, chosen)
    instruments = store.add_instruments(read_text(folder / "metadata" / "symbols.csv"))
    return ImportSummary(files, instruments, added)


def _check(folder: Path, index: pa.Table) -> None:
    """Refuse a tree of which a file differs from its checksum, before anything is stored."""
    for row in index.to_pylist():
        path = _there(folder, row["path"])
        if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
            raise DataFileError("tree.file_changed", path=path)


def _there(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise DataFileError("tree.file_missing", path=path, index=INDEX)
    return path


def _raw_files(
    folder: Path, index: pa.Table, status: Sequence[Mapping[str, str]]
) -> list[tuple[str, Mapping[str, str]]]:
    """Return each file of raw bars with a series that lies in it; series of one file have one price basis."""
    by_name = {raw_name(row["source"], row["interval"], row["adjusted_as_of"]): row for row in status}
    names = [
        row["path"] for row in index.to_pylist() if row["path"].startswith("raw/") and "/latest/" not in row["path"]
    ]
    found = []
    for name in sorted(names):
        stem = Path(name).name.rpartition(".")[0]
        if stem not in by_name:
            raise DataFileError("tree.file_without_series", path=folder / name)
        found.append((name, by_name[stem]))
    return found


def _origin(row: Mapping[str, str]) -> SeriesOrigin:
    adjusted = row["adjusted_as_of"]
    return SeriesOrigin(row["source"], date.fromisoformat(adjusted) if adjusted else None)
