"""Predictions of dropped partitions: one Parquet file for each, with a manifest."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kurswerk.archive._manifest import Manifest, put_in_place, sha256_of
from kurswerk.core.errors import StorageError, TooBroadError

_TIME = pa.timestamp("us", tz="UTC")
PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("coin_id", pa.string(), nullable=False),
        pa.field("timestamp", _TIME, nullable=False),
        pa.field("model_id", pa.int64(), nullable=False),
        pa.field("prediction", pa.int16(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("features_digest", pa.int64()),
        pa.field("features", pa.string()),
        pa.field("in_scope", pa.bool_(), nullable=False),
        pa.field("created_at", _TIME, nullable=False),
        pa.field("forecast", pa.float32()),
        pa.field("low", pa.float32()),
        pa.field("high", pa.float32()),
    ]
)
# Rows of one coin lie side by side: a search for a coin reads one or two groups of a file.
_GROUP_ROWS = 1 << 17


@dataclass(frozen=True)
class ArchivedQuery:
    """Which predictions; None is all.

    Attributes
    ----------
    ids
        Lowest and highest id.
    stored_us
        From when to when they were stored, microseconds UTC, both inclusive.
    """

    coin_id: str | None = None
    models: frozenset[int] | None = None
    min_probability: float | None = None
    stored_us: tuple[int | None, int | None] = (None, None)
    in_scope: bool | None = None
    ids: tuple[int, int] | None = None

    def may_be_in(self, manifest: Manifest) -> bool:
        """Return whether a file can hold any of them, by its manifest."""
        since, until = self.stored_us
        return not (
            (self.models is not None and self.models.isdisjoint(manifest.models))
            or (since is not None and manifest.stored_last_us < since)
            or (until is not None and manifest.stored_first_us > until)
            or (self.ids is not None and (manifest.last_id < self.ids[0] or manifest.first_id > self.ids[1]))
        )

    @property
    def expression(self) -> pc.Expression | None:
        """The condition on rows."""
        conditions = []
        if self.coin_id is not None:
            conditions.append(pc.field("coin_id") == self.coin_id)
        if self.models is not None:
            conditions.append(pc.field("model_id").isin(sorted(self.models)))
        if self.min_probability is not None:
            conditions.append(pc.field("probability") >= self.min_probability)
        for bound, compare in zip(self.stored_us, ("__ge__", "__le__"), strict=True):
            if bound is not None:
                conditions.append(getattr(pc.field("created_at"), compare)(pa.scalar(bound, _TIME)))
        if self.in_scope is not None:
            conditions.append(pc.field("in_scope") == self.in_scope)
        if self.ids is not None:
            conditions += [pc.field("id") >= self.ids[0], pc.field("id") <= self.ids[1]]
        whole = None
        for condition in conditions:
            whole = condition if whole is None else whole & condition
        return whole


class PredictionArchive:
    """The files of one folder. Several processes may read while one adds files.

    Parameters
    ----------
    folder
        Where files and manifests lie; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Manifest] = {}

    def manifests(self) -> Sequence[Manifest]:
        """Return what there is, the latest rows first.

        Raises
        ------
        StorageError
            If a manifest cannot be read.
        """
        names = {path.name for path in self._folder.glob("*.json")}
        for name in names - self._known.keys():
            self._known[name] = Manifest.read(self._folder / name)
        self._known = {name: self._known[name] for name in names}
        return sorted(self._known.values(), key=lambda one: one.last_us, reverse=True)

    def holds(self, name: str) -> bool:
        """Return whether the file of a partition is complete."""
        return (self._folder / f"{name}.json").exists()

    def write(self, name: str, batches: Iterable[pa.RecordBatch], count: int) -> Manifest | None:
        """Write a partition's predictions, ordered by coin, timestamp and model; None where there are none.

        The file and then its manifest get their names once they are complete, so that whatever is interrupted is
        written anew.

        Parameters
        ----------
        count
            How many there must be.

        Raises
        ------
        StorageError
            If the folder cannot be written to, or fewer or more came.
        """
        path = self._folder / f"{name}.parquet"
        part = path.with_name(f"{path.name}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            found = _Extent()
            with pq.ParquetWriter(part, PREDICTION_SCHEMA, compression="zstd") as writer:
                for table in _grouped(batches):
                    found.add(table)
                    writer.write_table(table, row_group_size=_GROUP_ROWS)
            if found.rows != count:
                raise StorageError("archive.incomplete", path=path, rows=found.rows, count=count)
            if not count:
                part.unlink()
                return None
            manifest = found.manifest(path.name, part)
            put_in_place(part, path)
            manifest.write(self._folder / f"{name}.json")
        except OSError as error:
            raise StorageError("archive.not_writable", path=path, reason=error.strerror or str(error)) from error
        return manifest

    def search(
        self, query: ArchivedQuery, order: Sequence[tuple[str, str]], count: int, *, seconds: float
    ) -> list[dict[str, Any]]:
        """Return the first ``count`` predictions in an order, as dicts of `PREDICTION_SCHEMA`.

        Parameters
        ----------
        order
            Columns with ``"ascending"`` or ``"descending"``.
        seconds
            How long to search.

        Raises
        ------
        TooBroadError
            If it takes longer.
        StorageError
            If a file is missing or damaged.
        """
        deadline = time.monotonic() + seconds
        best = PREDICTION_SCHEMA.empty_table()
        for manifest in self.manifests():
            if query.may_be_in(manifest):
                for found in self._rows_of(manifest, query):
                    if time.monotonic() > deadline:
                        raise TooBroadError("prediction.search_too_broad", seconds=seconds)
                    best = pa.concat_tables([best, found])
                    if len(best) > count:
                        best = best.take(pc.sort_indices(best, sort_keys=list(order))[:count])
        rows: list[dict[str, Any]] = best.take(pc.sort_indices(best, sort_keys=list(order))).to_pylist()
        return rows

    def damaged(self) -> Sequence[str]:
        """Return the names of files that are missing or differ from their checksum."""
        return [
            one.file
            for one in self.manifests()
            if not (self._folder / one.file).is_file() or sha256_of(self._folder / one.file) != one.sha256
        ]

    def _rows_of(self, manifest: Manifest, query: ArchivedQuery) -> Iterator[pa.Table]:
        """Yield the rows of a file that a query wants, by groups; groups that cannot hold any are not read."""
        path = self._folder / manifest.file
        try:
            if path.stat().st_size != manifest.bytes:
                raise StorageError("archive.file_damaged", path=path)
            condition = query.expression
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    if query.coin_id is None or _spans(file.metadata.row_group(group), query.coin_id):
                        table = file.read_row_group(group)
                        yield _complete(table if condition is None else table.filter(condition))
        except (OSError, pa.ArrowException) as error:
            raise StorageError("archive.file_damaged", path=path) from error


class _Extent:
    """From where to where the rows of a file reach."""

    def __init__(self) -> None:
        self.rows = 0
        self._bounds: dict[str, tuple[int, int]] = {}
        self._models: set[int] = set()

    def add(self, table: pa.Table) -> None:
        self.rows += len(table)
        self._models.update(pc.unique(table["model_id"]).to_pylist())
        for name in ("id", "timestamp", "created_at"):
            least, most = pc.min_max(table[name].cast(pa.int64())).as_py().values()
            low, high = self._bounds.get(name, (least, most))
            self._bounds[name] = min(low, least), max(high, most)

    def manifest(self, file: str, written: Path) -> Manifest:
        ids, moments, stored = (self._bounds[name] for name in ("id", "timestamp", "created_at"))
        return Manifest(
            file=file, bytes=written.stat().st_size, sha256=sha256_of(written), rows=self.rows,
            first_id=ids[0], last_id=ids[1], first_us=moments[0], last_us=moments[1],
            stored_first_us=stored[0], stored_last_us=stored[1], models=tuple(sorted(self._models)),
        )  # fmt: skip


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield tables of at least as many rows as a group has, but for the last."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(one) for one in waiting) >= _GROUP_ROWS:
            yield pa.Table.from_batches(waiting).cast(PREDICTION_SCHEMA)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting).cast(PREDICTION_SCHEMA)


def _complete(table: pa.Table) -> pa.Table:
    """Return rows of a file with all columns: files from before there were forecasts have none."""
    for field in PREDICTION_SCHEMA:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(PREDICTION_SCHEMA.names).cast(PREDICTION_SCHEMA)


def _spans(group: Any, coin: str) -> bool:
    """Return whether a coin can be in a row group, by its statistics."""
    statistics = group.column(PREDICTION_SCHEMA.get_field_index("coin_id")).statistics
    return statistics is None or not statistics.has_min_max or statistics.min <= coin <= statistics.max
