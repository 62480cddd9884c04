"""What lanes count, summed over the lanes of a process."""

import time

import numpy as np
import pytest

from kurswerk.observability import Metrics, ServiceState
from kurswerk.serving import BatchReport, PredictorMetrics


def value(metrics: Metrics, name: str) -> float:
    """Return the sum of a metric over its labels."""
    lines = metrics.text(ServiceState(0.0, db_connected=True)).decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_batches_of_all_lanes_are_summed_and_lags_are_sampled_evenly(metrics):
    counts = PredictorMetrics(metrics)
    predictions, lags = "ml_predictions_total", "ml_commit_to_prediction_seconds_count"
    before = {name: value(metrics, name) for name in (predictions, lags)}
    committed = np.full(100, int(time.time() * 1e6) - 2_000_000)
    for lane in ("coins-0", "coins-1"):
        counts.lane(lane).stored(BatchReport(100, {7: 100, 8: 50}, {}, {7: "a"}, 0.1, 0.2, 0.3, committed))
    assert value(metrics, predictions) - before[predictions] == 300
    assert value(metrics, lags) - before[lags] == 32


def test_only_a_batch_with_alerts_wakes_their_delivery(metrics):
    woken = []
    lane = PredictorMetrics(metrics).lane("coins-0", on_alerts=lambda: woken.append(1))
    lane.stored(BatchReport(1, {7: 1}))
    assert woken == []
    lane.stored(BatchReport(1, {7: 1}, {7: 1}))
    assert woken == [1]


def test_coins_are_summed_and_a_model_of_several_lanes_counts_once(metrics):
    counts = PredictorMetrics(metrics)
    counts.lane("coins-0").state({"coins": 5, "loaded": [7, 8]})
    counts.lane("coins-1").state({"coins": 6, "loaded": [8]})
    counts.lane("coins-1").state({"coins": 4, "loaded": [8, 9]})
    assert (value(metrics, "ml_coins_tracked"), value(metrics, "ml_models_loaded")) == (9, 3)
