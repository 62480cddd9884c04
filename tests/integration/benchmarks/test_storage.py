"""The storage benchmarks run, do the same work on both sides, and report their measurements."""

import pytest

from benchmarks import _coin_rows as coin_rows
from benchmarks import ingest, load
from kurswerk.market import COINS
from kurswerk.storage.markets import PostgresMarketStore


def test_ingest_reports_time_and_memory():
    timed, *_, large = ingest.run(rows=2000, large_rows=2000, repeats=1)
    assert timed["ratio"] == pytest.approx(timed["peer_s"] / timed["ours_s"])
    assert "2,000 rows of 30 columns" in timed["note"]
    assert 0 < large["peer_s"] < 1
    assert large["ratio"] > 1


def test_load_reports_time():
    (entry,) = load.run(rows=3000, repeats=1)
    assert entry["ratio"] == entry["peer_s"] / entry["ours_s"]


def test_no_row_is_quarantined_and_both_sides_store_the_same():
    with coin_rows.own_database() as (database, folder):
        path = folder / "rows.parquet"
        coin_rows.write_coin_file(path, 3000)
        ingest.ingest_file(database.url, path)
        store = PostgresMarketStore(database, COINS)
        ours = store.load_panel(store.columns())
        coin_rows.empty_table(database)
        ingest._copy_raw(database, 3000)
        assert len(ours) == 3000
        assert store.load_panel(store.columns()).fingerprint() == ours.fingerprint()
        assert load.fetch_arrow(database, ["price_close"]).num_rows == 3000
