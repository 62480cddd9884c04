"""Files of candles into a real PostgreSQL: twice is once, and a broken file changes nothing."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kurswerk.core.errors import DataFileError
from kurswerk.ingest import UpsertCount, arrow_schema, ingest_files
from kurswerk.market import COINS
from kurswerk.sources import CoinMarket, TableCandles, open_candles
from kurswerk.storage.markets import PostgresMarketStore

MARKET = CoinMarket(5, 1.0, seed=3)


@pytest.fixture
def store(database):
    return PostgresMarketStore(database, COINS)


def test_a_simulated_market_twice_is_once(store, tmp_path):
    path = tmp_path / "market.parquet"
    table = pa.Table.from_batches(MARKET.batches(), schema=arrow_schema(list(COINS.columns), COINS))
    pq.write_table(table, path)
    first = ingest_files([open_candles(path, COINS)], COINS, store, tmp_path)
    assert first.stored == UpsertCount(table.num_rows, 0, 0)
    assert ingest_files([open_candles(path, COINS)], COINS, store, tmp_path).stored == UpsertCount(0, 0, table.num_rows)
    panel = store.load_panel(list(COINS.columns))
    order = np.lexsort((table["timestamp"].cast(pa.int64()).to_numpy(), table["mint"].to_numpy().astype(str)))
    for name in COINS.columns:
        expected = table[name].combine_chunks().cast(pa.float64()) if name != "is_koth" else table[name].cast("uint8")
        assert np.array_equal(panel.column(name), expected.to_numpy()[order].astype(np.float64)), name


def test_hostile_rows_stay_outside(store, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        "symbol,ts,close,num_buys\nA,2024-01-01,1,1\nA,2024-01-01,2,1\nB,2024-01-01,1e308,2147483647\n"
        "C,2024-01-01,1,2147483648\nD'; DROP TABLE coin_metrics;--,2024-01-01,1,1\nE\x01,2024-01-01,1,1\n"
    )
    file = ingest_files([open_candles(path, COINS)], COINS, store, tmp_path).files[0]
    assert (file.accepted, file.stored.inserted, sum(file.quarantined.values())) == (2, 2, 4)
    assert store.instruments() == ["B", "D'; DROP TABLE coin_metrics;--"]


def test_a_file_that_breaks_on_the_way_changes_nothing(store, tmp_path):
    class Breaks(TableCandles):
        reads = 0

        def rows(self, columns):
            self.reads += 1
            yield from super().rows(columns)
            if self.reads > 1:
                raise DataFileError("damaged")

    table = pa.table({"mint": ["A"], "ts": [1], "close": [1.0]})
    with pytest.raises(DataFileError, match="damaged"):
        ingest_files([Breaks(table)], COINS, store, tmp_path)
    assert store.instruments() == []


def test_no_valid_row_at_all(store, tmp_path):
    table = pa.table({"mint": [""], "ts": [1], "close": [1.0]})
    assert ingest_files([TableCandles(table)], COINS, store, tmp_path).stored == UpsertCount()
