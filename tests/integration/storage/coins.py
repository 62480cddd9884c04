"""Rows for tests of the coin store, and tables as others may have made them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kurswerk.ingest import arrow_schema
from kurswerk.market import COINS, Panel
from kurswerk.storage.server import Database

START_US = 1_704_067_200_000_000  # 2024-01-01

FOREIGN = {
    "numeric": """CREATE TABLE coin_metrics (
        id bigserial PRIMARY KEY, mint varchar(64) NOT NULL, "timestamp" timestamptz NOT NULL, phase_id_at_time int,
        price_close numeric, volume_sol numeric(40,20), num_buys int, is_koth boolean, remark text DEFAULT 'theirs',
        UNIQUE ("timestamp", mint))""",
    "no key": """CREATE TABLE coin_metrics (
        id bigserial, mint text, "timestamp" timestamptz, phase_id_at_time smallint, price_close double precision,
        volume_sol real, num_buys numeric(20,0), is_koth int)""",
    "no id": """CREATE TABLE coin_metrics (
        is_koth boolean, mint text, "timestamp" timestamp, phase_id_at_time bigint, price_close double precision,
        volume_sol double precision, num_buys bigint)""",
    "index": """CREATE TABLE coin_metrics (
        id bigserial, mint text, "timestamp" timestamptz, phase_id_at_time int, price_close double precision,
        volume_sol double precision, num_buys bigint, is_koth boolean);
        CREATE INDEX ON coin_metrics (mint, "timestamp")""",
}
COLUMNS = ("phase_id_at_time", "price_close", "volume_sol", "num_buys", "is_koth")
Row = tuple[str, int, Mapping[str, Any]]


def batch_of(rows: Sequence[Row], columns: Sequence[str] = COLUMNS) -> pa.RecordBatch:
    """Build a batch of (mint, seconds after START_US, values)."""
    schema = arrow_schema(columns, COINS)
    data = {
        "mint": [mint for mint, _, _ in rows],
        "timestamp": [START_US + int(second * 1_000_000) for _, second, _ in rows],
        **{name: [values.get(name) for _, _, values in rows] for name in columns},
    }
    arrays = [pa.array(data[field.name], pa.int64() if field.name == "timestamp" else field.type) for field in schema]
    arrays[1] = arrays[1].cast(schema.field(1).type)
    return pa.record_batch(arrays, schema=schema)


def expected_panel(rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> Panel:
    """Build the panel that these rows, no key twice, must load as."""
    listed = list(rows)
    values = {
        name: np.array([np.nan if row[2].get(name) is None else float(row[2][name]) for row in listed])
        for name in columns
    }
    moments = np.array([START_US + int(second * 1_000_000) for _, second, _ in listed], dtype=np.int64)
    return Panel.from_columns([mint for mint, _, _ in listed], moments, values)


def assert_same(panel: Panel, expected: Panel) -> None:
    """Hold two panels against each other, bit by bit."""
    assert panel.instruments == expected.instruments
    assert panel.columns == expected.columns
    np.testing.assert_array_equal(panel.offsets, expected.offsets)
    np.testing.assert_array_equal(panel.timestamps, expected.timestamps)
    np.testing.assert_array_equal(panel.values, expected.values)
    assert panel.values.flags.c_contiguous


def run(database: Database, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements in one transaction and return the last one's rows."""
    with database.connection() as connection:
        for statement in statements:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []
