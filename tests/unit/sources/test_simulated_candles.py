"""A simulated market is a source like any other, and a file."""

import pyarrow.parquet as pq

from kurswerk.ingest import UpsertCount, ingest_files
from kurswerk.market import COINS
from kurswerk.sources import CoinMarket, open_candles
from kurswerk.sources.simulated_candles import SimulatedCandles, write_market
from memory_sink import MemorySink

MARKET = CoinMarket(70, 0.2, seed=4)


def test_source_and_file_hold_the_same_rows(tmp_path):
    steps = []
    written = write_market(MARKET, tmp_path / "market.parquet", lambda share, text: steps.append((share, text)))
    assert written == pq.read_metadata(tmp_path / "market.parquet").num_rows > 0
    assert steps == sorted(steps, key=lambda step: step[0])
    assert 0.0 < steps[-1][0] <= 1.0
    sink = MemorySink()
    source = SimulatedCandles(MARKET)
    summary = ingest_files([source], COINS, sink, tmp_path)
    assert (summary.accepted, summary.quarantined, summary.duplicates) == (written, 0, 0)
    again = ingest_files([open_candles(tmp_path / "market.parquet", COINS)], COINS, sink, tmp_path)
    assert again.stored == UpsertCount(0, 0, written)
    numbers = [int(number) for raw in source.rows(["mint"]) for number in raw.numbers]
    assert numbers == list(range(1, written + 1))


def test_name_and_fingerprint_differ_between_markets():
    source = SimulatedCandles(MARKET)
    assert source.name == "simulated-70-coins-0.2-hours-seed-4"
    assert source.fingerprint() == SimulatedCandles(CoinMarket(70, 0.2, seed=4)).fingerprint()
    assert source.fingerprint() != SimulatedCandles(CoinMarket(70, 0.2, seed=5)).fingerprint()
    assert not source.decimal_comma
