"""A market store in a dictionary, for tests of what is given to one."""

from collections.abc import Iterable

import pyarrow as pa

from kurswerk.ingest import UpsertCount


class MemorySink:
    """Keeps rows by (key, timestamp); all of a call or nothing."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], dict[str, object]] = {}
        self.calls = 0

    def upsert(self, batches: Iterable[pa.RecordBatch]) -> UpsertCount:
        self.calls += 1
        given: dict[tuple[str, int], dict[str, object]] = {}
        for batch in batches:
            name, timestamp, *_ = batch.schema.names
            times = batch.column(timestamp).cast(pa.int64()).to_pylist()
            for row, time in zip(batch.drop_columns([timestamp]).to_pylist(), times, strict=True):
                key = (row.pop(name), time)
                assert key not in given, f"{key} given twice"
                given[key] = row
        inserted = sum(key not in self.rows for key in given)
        unchanged = sum(self.rows.get(key) == row for key, row in given.items())
        self.rows.update(given)
        return UpsertCount(inserted, len(given) - inserted - unchanged, unchanged)
