"""The load of the machine, measured while it is watched."""

import threading
from pathlib import Path

import psutil

from kurswerk.observability import ResourceSampler
from waiting import until

TEXT = b"""# TYPE api_requests counter
api_requests_total{endpoint="/a",status="200"} 3.0
api_requests_total{endpoint="/b",status="200"} 4.0
# TYPE request_duration_seconds histogram
request_duration_seconds_sum{endpoint="/a"} 0.5
# TYPE ml_predictions counter
ml_predictions_total 9.0
# TYPE ml_service_uptime_seconds gauge
ml_service_uptime_seconds 61.0
"""


def test_a_busy_processor_is_seen(tmp_path: Path):
    with ResourceSampler(lambda: TEXT, tmp_path, every_s=0.05) as watch:
        # To ask in between is work, too: this process is never idle.
        until(lambda: sum(range(1_000_000)) and any(one.processor > 0 for one in watch.samples()))
        found = watch.samples()[-1]
    assert 0 <= found.processor <= 1
    assert 0 < found.memory <= 1
    assert abs(found.disk - psutil.disk_usage(str(tmp_path)).percent / 100) < 0.05
    assert found.process_bytes > 1 << 20
    counted = (found.requests, found.request_seconds, found.predictions, found.uptime_s)
    assert counted == (7.0, 0.5, 9.0, 61.0)


def test_it_goes_on_after_a_failure_and_keeps_the_newest(tmp_path: Path, caplog):
    asked = []

    def text() -> bytes:
        asked.append(1)
        if len(asked) in {2, 3, 5}:  # twice in a row, then once more
            raise OSError("gone for a moment")
        return b"ml_predictions_total %d\n" % len(asked)

    with ResourceSampler(text, tmp_path, every_s=0.01, kept_s=0.03) as watch:
        until(lambda: len(asked) > 9)
    counted = [one.predictions for one in watch.samples()]
    assert len(counted) == 3
    assert counted == sorted(counted)
    assert counted[0] > 2
    assert [line.message for line in caplog.records] == ["the load cannot be measured"] * 2


def test_it_ends_with_its_context(tmp_path: Path):
    with ResourceSampler(lambda: b"", tmp_path, every_s=0.01) as watch:
        until(watch.samples)
        thread = next(one for one in threading.enumerate() if one.name == "load")
    assert not thread.is_alive()
