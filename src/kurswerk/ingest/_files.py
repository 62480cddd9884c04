"""The use case: files of a market's rows, validated, into the market store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from kurswerk.core.errors import DataFileError
from kurswerk.core.messages import Message
from kurswerk.ingest._duplicates import CONFLICT, KEEP, RepeatedKeys, Verdicts
from kurswerk.ingest._normalise import Normaliser, ValidatedRows
from kurswerk.ingest._quarantine import Quarantine
from kurswerk.ingest.ports import CandleSource, MarketSink, UpsertCount
from kurswerk.market import MarketSchema
from kurswerk.market.calendar import Calendar
from kurswerk.market.validation import Violation


@dataclass(frozen=True)
class Progress:
    """How far one file has come; ``step`` is "look" (keys are read) or "store", ``fraction`` in [0, 1]."""

    file: str
    step: str
    rows: int
    fraction: float

    @property
    def message(self) -> Message:
        """What is happening."""
        step = Message("progress.look" if self.step == "look" else "progress.storing")
        return Message("progress.rows_of_file", file=self.file, step=step, count=self.rows)


@dataclass(frozen=True)
class FileSummary:
    """What became of one file.

    ``rows_read = accepted + duplicates + sum(quarantined)`` and ``accepted = inserted + updated + unchanged``.

    Attributes
    ----------
    file
        Its name.
    rows_read
        Rows in the file.
    accepted
        Rows given to the store.
    duplicates
        Rows that repeat an earlier row of the file.
    quarantined
        Reason → number of rows.
    quarantine
        Where these rows lie; None if there are none.
    stored
        What became of the accepted rows.
    mapped
        File's column → the market's.
    ignored
        The file's columns that mean nothing here.
    """

    file: str
    rows_read: int
    accepted: int
    duplicates: int
    quarantined: Mapping[str, int]
    quarantine: Path | None
    stored: UpsertCount
    mapped: Mapping[str, str]
    ignored: Sequence[str]


@dataclass(frozen=True)
class IngestSummary:
    """What became of all files; all numbers are sums over them."""

    files: Sequence[FileSummary]

    @property
    def rows_read(self) -> int:
        """Rows in all files."""
        return sum(file.rows_read for file in self.files)

    @property
    def accepted(self) -> int:
        """Rows given to the store."""
        return sum(file.accepted for file in self.files)

    @property
    def duplicates(self) -> int:
        """Rows that repeat an earlier row of their file."""
        return sum(file.duplicates for file in self.files)

    @property
    def quarantined(self) -> int:
        """Rows that break a validation rule."""
        return sum(sum(file.quarantined.values()) for file in self.files)

    @property
    def stored(self) -> UpsertCount:
        """What became of the accepted rows."""
        counts = [file.stored for file in self.files]
        return UpsertCount(
            sum(count.inserted for count in counts),
            sum(count.updated for count in counts),
            sum(count.unchanged for count in counts),
        )


@dataclass
class _File:
    """One file between its first look and its storing."""

    source: CandleSource
    normaliser: Normaliser
    rows: int
    verdicts: Verdicts | None
    report: Callable[[Progress], None]
    quarantine: Quarantine
    counts: dict[str, int] = field(default_factory=lambda: {"read": 0, "accepted": 0, "duplicates": 0})

    def validated(self) -> Iterator[tuple[int, ValidatedRows]]:
        """Read and validate all rows; yields the place of a batch's first row, and the batch."""
        first = 0
        for raw in self.source.rows(list(self.normaliser.mapping)):
            yield first, self.normaliser.validate(raw)
            first += raw.cells.num_rows
        if first != self.rows:
            raise DataFileError("file.changed_while_read", file=self.source.name, rows=self.rows, later_rows=first)

    def accepted(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows to be stored; the others go to the quarantine, which is complete when this ends."""
        for first, validated in self.validated():
            batch = self._split(first, validated)
            self.report(Progress(self.source.name, "store", self.counts["read"], validated.raw.fraction))
            if batch is not None:
                yield batch
        self.quarantine.close()

    def _split(self, first: int, validated: ValidatedRows) -> pa.RecordBatch | None:
        rows = len(validated.violations)
        self.counts["read"] += rows + len(validated.raw.malformed)
        self.quarantine.add_malformed(validated.raw.malformed)
        kept = validated.violations == Violation.NONE
        if self.verdicts is not None:
            verdicts = self.verdicts.of(first, rows)
            validated.violations[verdicts == CONFLICT] = Violation.CONFLICT
            kept &= verdicts == KEEP
        whole = bool(kept.all())
        if not whole:
            broken = np.flatnonzero(validated.violations != Violation.NONE)
            self.quarantine.add(validated, broken)
            self.counts["duplicates"] += rows - len(broken) - int(kept.sum())
        accepted = int(kept.sum())
        self.counts["accepted"] += accepted
        return validated.batch(None if whole else np.flatnonzero(kept)) if accepted else None


def ingest_files(
    sources: Sequence[CandleSource],
    market: MarketSchema,
    sink: MarketSink,
    quarantine_dir: Path,
    *,
    instrument: str | None = None,
    date_format: str | None = None,
    calendar: Calendar | None = None,
    shift_us: int = 0,
    progress: Callable[[Progress], None] = lambda _: None,
) -> IngestSummary:
    """Validate all rows of some files, store the valid ones and keep the others with their reasons.

    Every row ends as exactly one of accepted, quarantined, or duplicate of an earlier row of its file. All files are
    looked through before the first is stored, and each is stored whole or not at all. Memory does not grow with
    a file but by 8 bytes a row, and by 32 more for each row whose instrument and moment stand more than once.

    Parameters
    ----------
    sources
        The files, see `kurswerk.sources.open_candles`.
    market
        Whose rows they are.
    sink
        The market's store.
    quarantine_dir
        Where the Parquet files of refused rows go.
    instrument
        Instrument of all rows, for files without a column that names it.
    date_format
        ``strptime`` format of timestamps that are text in no standard form, e.g. ``%m/%d/%Y``.
    calendar
        The exchange's sessions, where a date means the close of its session; None is midnight UTC.
    shift_us
        Added to each time, in microseconds: a bar's length, where the file has the times of their opens.
    progress
        Called now and then with how far a file has come.

    Raises
    ------
    DataFileError
        If a file is not of its declared format; the store is as it was before that file, and if the first look finds
        it, as it was before the call.
    """
    options = [instrument or "", date_format or ""]
    files = []
    for source in sources:
        normaliser = Normaliser(
            source, market, instrument=instrument, date_format=date_format, calendar=calendar, shift_us=shift_us
        )
        quarantine = Quarantine(quarantine_dir, source, normaliser.mapping, options, market.name)
        files.append(_look(source, normaliser, quarantine, progress))
    return IngestSummary([_store(file, sink) for file in files])


def _look(
    source: CandleSource, normaliser: Normaliser, quarantine: Quarantine, progress: Callable[[Progress], None]
) -> _File:
    keys = RepeatedKeys()
    for raw in source.rows(normaliser.key_columns):
        keys.add(normaliser, raw)
        progress(Progress(source.name, "look", keys.rows, raw.fraction))
    repeated = keys.repeated()
    file = _File(source, normaliser, keys.rows, None, progress, quarantine)
    if len(repeated):
        verdicts = Verdicts(repeated)
        for first, validated in file.validated():
            verdicts.add(validated, first)
        verdicts.decide()
        file.verdicts = verdicts
    return file


def _store(file: _File, sink: MarketSink) -> FileSummary:
    with file.quarantine as quarantine:
        stored = sink.upsert(file.accepted())
    return FileSummary(
        file=file.source.name,
        rows_read=file.counts["read"],
        accepted=file.counts["accepted"],
        duplicates=file.counts["duplicates"],
        quarantined=dict(sorted(quarantine.reasons.items())),
        quarantine=quarantine.path,
        stored=stored,
        mapped=file.normaliser.mapping,
        ignored=file.normaliser.ignored,
    )
