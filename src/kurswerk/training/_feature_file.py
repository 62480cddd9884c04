"""Features of many rows in a Parquet file, in bounded memory; its bytes depend on request and data alone."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kurswerk.core.errors import NoDataError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp
from kurswerk.features import FeaturePlan
from kurswerk.jobs import Progress
from kurswerk.labels import UNKNOWN, LabelSpec, compute_labels
from kurswerk.market import Panel
from kurswerk.training._dataset import FEATURE_THREADS
from kurswerk.training._period import Period
from kurswerk.training.ports import MarketSurvey

# Rows that are loaded and computed at once; their number decides how much memory an export takes, not what it writes.
ROWS_AT_ONCE = 250_000
# Rows of a row group: of 100 features 26 MB, which readers can skip or take whole.
_ROW_GROUP = 65_536
_LABEL = "label"
# Key of the file's metadata under which JSON states what the values were computed from.
METADATA_KEY = "kurswerk"


@dataclass(frozen=True)
class WrittenFeatures:
    """What is in a file that has been written."""

    rows: int
    instruments: int
    columns: list[str]
    data_fingerprint: str


@dataclass(frozen=True, eq=False)
class FeatureFile:
    """Computes and writes the features of a period's rows, some instruments after the other.

    Attributes
    ----------
    plan
        The features, and the market whose rows they are computed from.
    period
        Whose rows are written; features see all earlier rows.
    instruments
        Only these; None is all.
    label
        Adds the column ``label``; None is none.
    target
        What states the label in the file's metadata, as JSON.
    """

    plan: FeaturePlan
    period: Period
    instruments: Sequence[str] | None
    label: LabelSpec | None
    target: Mapping[str, Any] | None

    @property
    def schema(self) -> pa.Schema:
        """The file's columns."""
        market = self.plan.market
        fields = [pa.field(market.key, pa.string()), pa.field(market.timestamp, pa.timestamp("us", "UTC"))]
        fields += [pa.field(name, pa.float32()) for name in self.plan.names]
        return pa.schema(fields if self.label is None else [*fields, pa.field(_LABEL, pa.int8())])

    def write(self, path: Path, market: MarketSurvey, progress: Progress) -> WrittenFeatures:
        """Write all rows; the bytes depend on the request and the data alone."""
        instruments = sorted(set(self.instruments or market.instruments()))
        fingerprint = hashlib.sha256()
        rows, there = 0, 0
        with pq.ParquetWriter(path, self.schema, compression="zstd") as writer:
            groups = _RowGroups(writer)
            for done, panel in self._panels(instruments, market):
                for name, digest in _fingerprints(panel):
                    fingerprint.update(f"{name}\n{digest}\n".encode())
                for batch in self._batches(panel):
                    rows += batch.num_rows
                    groups.add(batch)
                there += self._instruments_of(panel)
                progress(done, Message("progress.rows", count=rows))
            groups.close()
            if not rows:
                start, end = (
                    format_timestamp(self.period.start_us),
                    format_timestamp(self.period.end_us),
                )
                raise NoDataError("export.no_rows", start=start, end=end)
            writer.add_key_value_metadata({METADATA_KEY: self._metadata(rows, fingerprint.hexdigest())})
        return WrittenFeatures(rows, there, self.schema.names, fingerprint.hexdigest())

    def _panels(self, instruments: Sequence[str], market: MarketSurvey) -> Iterator[tuple[float, Panel]]:
        """Yield the history of some instruments after the other, with the share that is done after it."""
        end_us = self.period.end_us
        target = () if self.label is None else (self.label.target_var,)
        columns = self.plan.market.in_order({*self.plan.inputs, *target})
        if self.plan.second_stage is not None:  # it compares all instruments, whichever are exported
            yield 1.0, market.mark_outsiders(market.load_panel(columns, end_us=end_us))
            return
        rows = market.estimated_rows(end_us=end_us, mints=self.instruments)
        step = max(1, len(instruments) * ROWS_AT_ONCE // max(rows, 1))
        for start in range(0, len(instruments), step):
            stop = min(start + step, len(instruments))
            yield stop / len(instruments), market.load_panel(columns, end_us=end_us, mints=instruments[start:stop])

    def _batches(self, panel: Panel) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the period, computed from all rows of the panel."""
        labels = None if self.label is None else compute_labels(panel, self.label).values
        in_period = self._in_period(panel)
        options: dict[str, Any] = {"threads": FEATURE_THREADS, "dtype": np.float32}
        whole = None if self.plan.second_stage is None else self.plan.compute(panel, **options)
        names = pa.array(panel.instruments, pa.string())
        for start in range(0, len(panel), ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, len(panel)))
            kept = np.flatnonzero(in_period[rows])
            if not len(kept):
                continue
            values = self.plan.compute(panel, rows=rows, **options) if whole is None else whole[rows]
            places = start + kept
            columns: list[Any] = [
                names.take(pa.array(panel.codes[places])),
                pa.array(panel.timestamps[places]).cast(pa.timestamp("us", "UTC")),
                *(pa.array(values[kept, place]) for place in range(len(self.plan.names))),
            ]
            if labels is not None:
                columns.append(pa.array(labels[places], pa.int8(), mask=labels[places] == UNKNOWN))
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _in_period(self, panel: Panel) -> NDArray[np.bool_]:
        period = self.period
        inside: NDArray[np.bool_] = (panel.timestamps >= period.start_us) & (panel.timestamps <= period.end_us)
        if self.instruments is not None:
            inside &= np.isin(panel.instruments, list(self.instruments))[panel.codes]
        return inside

    def _instruments_of(self, panel: Panel) -> int:
        return len(np.unique(panel.codes[self._in_period(panel)]))

    def _metadata(self, rows: int, fingerprint: str) -> str:
        """Return what the values were computed from, as JSON."""
        document = {
            "market": self.plan.market.name,
            "start": format_timestamp(self.period.start_us),
            "end": format_timestamp(self.period.end_us),
            "rows": rows,
            "features": self.plan.definitions,
            "definition_hash": self.plan.definition_hash,
            "target": self.target,
            "data_fingerprint": fingerprint,
        }
        return json.dumps(document, sort_keys=True)


class _RowGroups:
    """Cuts batches of any size into row groups of one size, so that a file does not depend on how rows came."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows, and write the row groups that are full."""
        self._waiting.append(batch)
        rows = sum(waiting.num_rows for waiting in self._waiting)
        if rows < _ROW_GROUP:
            return
        table = pa.Table.from_batches(self._waiting)
        full = rows - rows % _ROW_GROUP
        for start in range(0, full, _ROW_GROUP):
            self._write(table.slice(start, _ROW_GROUP))
        self._waiting = table.slice(full).to_batches()

    def close(self) -> None:
        """Write the rows that are left."""
        if self._waiting:
            self._write(pa.Table.from_batches(self._waiting))

    def _write(self, table: pa.Table) -> None:
        # As one piece: where pages end would depend on the pieces otherwise.
        self._writer.write_table(table.combine_chunks(), row_group_size=_ROW_GROUP)


def _fingerprints(panel: Panel) -> Iterator[tuple[str, str]]:
    """Yield each instrument with the fingerprint of its rows, which does not depend on what was loaded with it."""
    for k, name in enumerate(panel.instruments):
        rows = slice(int(panel.offsets[k]), int(panel.offsets[k + 1]))
        offsets = np.array([0, rows.stop - rows.start], dtype=np.int64)
        exchanges = panel.exchanges[k : k + 1]
        own = Panel((name,), offsets, panel.timestamps[rows], panel.columns, panel.values[:, rows], exchanges)
        yield name, own.fingerprint()
