"""Daily bars of real stocks, ingested, trained with a horizon in sessions, certified and tested."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kurswerk.market.calendar import session_closes

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "stocks_daily_505_2013_2018.parquet"
SPEC = {
    "market": "candles",
    "features": ["open", "volume", "rsi_14"],
    "target_var": "close",
    "train_start": "2013-03-01T00:00:00Z",
    "train_end": "2015-12-31T23:00:00Z",
    "future_minutes": 1440,
    "min_percent_change": 0.5,
    "use_engineered_features": False,
}
PERIOD = ("--start", "2016-01-04", "--end", "2016-12-30T21:00:00Z")


@pytest.fixture
def bars(tmp_path):
    """A file of two stocks' bars, each at the close of its session."""
    if not REAL.exists():
        pytest.skip(f"{REAL} is absent")
    table = pq.read_table(REAL, filters=[("symbol", "in", ["AAPL", "XOM"])])
    closes = pa.array(session_closes("XNYS", table["date"].to_numpy()), pa.timestamp("us", "UTC"))
    path = tmp_path / "bars.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("date"), "time", closes), path)
    return path


def test_a_horizon_in_sessions_goes_the_whole_way(run, spec, bars):
    assert run("ingest", "candles", bars, "--json").json["inserted"] == pq.read_metadata(bars).num_rows
    horizon = ("--horizon-sessions", 1, "--calendar", "XNYS")
    trained = run("train", spec(name="session", **SPEC), *horizon, "--json").json
    assert (trained["status"], trained["certified"]) == ("READY", True)
    assert trained["target"] == "close up 0.5 % at 1 session of XNYS"
    days = pq.read_table(bars, columns=["time"])["time"]
    start, end = (
        pa.scalar(np.datetime64(SPEC[name][:-1], "us")).cast(days.type) for name in ("train_start", "train_end")
    )
    inside = pc.sum(pc.and_(pc.greater_equal(days, start), pc.less_equal(days, end))).as_py()
    # All bars of the period but the last of each stock.
    assert trained["evaluation"]["training_rows"] == inside - 2
    result = run("test", "session", *PERIOD, "--json").json
    assert result["num_samples"] == 2 * (252 - 1)
    assert run("models", "reproduce", "session", "--json").json["reproduced"] is True
