"""The peers compute what we compute, or the comparison would mean nothing."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import features as bench
from kurswerk.core.errors import InvalidInputError
from kurswerk.features import FeaturePlan, engineered_names
from kurswerk.market import COINS


def test_pandas_peer_computes_the_same_features():
    pytest.importorskip("pandas")
    panel = bench.synthetic_bars(900, 3)
    names = engineered_names(panel.columns, COINS, bench.WINDOWS)
    theirs = bench.pandas_features(bench.pandas_frame(panel))
    assert set(theirs) == set(names)
    ours = FeaturePlan(names, COINS).compute(panel)
    for column, name in enumerate(names):
        np.testing.assert_allclose(ours[:, column], theirs[name].to_numpy(), rtol=1e-7, atol=1e-9, err_msg=name)


def test_talib_peer_computes_the_same_indicators():
    pytest.importorskip("talib")
    panel = bench.synthetic_bars(1200, 2)
    ours = FeaturePlan(bench.INDICATORS, COINS).compute(panel)
    for key, series in zip(panel.instruments, bench.talib_indicators(panel), strict=True):
        rows = panel.rows_of(key)
        for column, name in enumerate(bench.INDICATORS):
            mine = ours[rows][400:, column]
            theirs = series[column][400:]
            if name == "obv":  # TA-Lib starts from the first volume, not from 0
                mine, theirs = np.diff(mine), np.diff(theirs)
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9, err_msg=name)


def test_run_reports_both_comparisons():
    pytest.importorskip("pandas")
    pytest.importorskip("talib")
    entries = bench.run(bars=1600, repeats=1)
    assert [entry["name"] for entry in entries] == ["features", "indicators"]
    for entry in entries:
        assert entry["ratio"] == pytest.approx(entry["peer_s"] / entry["ours_s"])
        assert set(entry) == {"name", "ours_s", "peer", "peer_s", "ratio", "at_least", "note"}


def test_bars_are_read_from_parquet(tmp_path):
    path = tmp_path / "bars.parquet"
    times = pa.array([0, 300_000_000], pa.timestamp("us", tz="UTC"))
    prices = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table({"symbol": ["A", "A"], "timestamp": times, **prices, "group": ["x", "x"]}), path)
    panel = bench.read_bars(path)
    assert panel.instruments == ("A",)
    assert panel.timestamps.tolist() == [0, 300_000_000]
    assert set(panel.columns) == {"price_open", "price_high", "price_low", "price_close", "volume_sol"}


@pytest.mark.parametrize(("module", "work"), [("pandas", bench.pandas_frame), ("talib", bench.talib_indicators)])
def test_a_missing_peer_is_one_clear_line(monkeypatch, module, work):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidInputError, match="pip install"):
        work(bench.synthetic_bars(32, 2))
