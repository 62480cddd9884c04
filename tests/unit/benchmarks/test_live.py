"""The live benchmark runs and reports its measurements."""

from benchmarks import live


def test_run_reports_the_median():
    (entry,) = live.run(coins=5, updates=10)
    assert entry["name"] == "live"
    assert entry["ours_s"] > 0
    assert entry["ratio"] == entry["peer_s"] / entry["ours_s"]
