"""Live metrics against scikit-learn, and what is undefined."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix

from kurswerk.core.timestamps import MINUTE_US
from kurswerk.labels import LabelSpec
from kurswerk.oversight import JudgedScores, OutcomeCounts, live_performance

LABEL = LabelSpec("price_close", minutes=5, min_percent_change=1, direction="up")


class Log:
    def __init__(self, labels: list[int], probability: list[float], unknown: dict[str, int] | None = None) -> None:
        n = len(labels)
        self.found = JudgedScores(
            np.array(labels, np.int8), np.array(probability), np.arange(n) % 7, np.arange(n)[::-1] * MINUTE_US,
            unknown or {},
        )  # fmt: skip
        self.asked: dict[str, Any] = {}

    def counts(self, days: int | None = None) -> dict[int, OutcomeCounts]:
        return {}

    def scores(self, model_id: int, **asked: Any) -> JudgedScores:
        self.asked = {"model_id": model_id, **asked}
        return self.found


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=60), st.integers(0, 20))
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[int, int]], threshold: int):
    labels, probability = [y for y, _ in rows], [p / 20 for _, p in rows]
    found = live_performance(Log(labels, probability), 3, LABEL, threshold=threshold / 20)
    decided = np.array(probability) >= threshold / 20
    (_, fp), (fn, tp) = confusion_matrix(labels, decided, labels=[0, 1])
    kinds = found.counts.by_kind()
    assert (kinds["true_positive"], kinds["false_positive"], kinds["false_negative"]) == (tp, fp, fn)
    assert sum(kinds.values()) == len(rows)
    value = {name: estimate.value for name, estimate in found.estimates.items()}
    assert value["precision"] == (tp / (tp + fp) if tp + fp else None)
    assert value["recall"] == (tp / sum(labels) if sum(labels) else None)
    np.testing.assert_allclose(value["brier"], brier_score_loss(labels, probability, pos_label=1))
    if 0 < sum(labels) < len(labels):
        np.testing.assert_allclose(value["pr_auc"], average_precision_score(labels, probability))
    for estimate in found.estimates.values():
        if estimate.low is not None:
            assert estimate.low <= estimate.high
    assert sum(one["count"] for one in found.calibration) == len(rows)


def test_intervals_cover_the_true_precision_and_shrink_with_more_outcomes():
    rng = np.random.default_rng(0)
    widths = []
    for n in (300, 5000):
        probability = rng.random(n)
        labels = (rng.random(n) < 0.4).astype(int)
        found = live_performance(Log(labels.tolist(), probability.tolist()), 3, LABEL).estimates["precision"]
        assert found.low < 0.4 < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_without_outcomes_nothing_is_known_but_what_stays_unknown():
    log = Log([], [], {"ended": 4})
    found = live_performance(log, 3, LABEL, since_us=5, limit=7)
    assert found.counts == OutcomeCounts(unknown=4)
    assert {estimate.value for estimate in found.estimates.values()} == {None}
    assert log.asked == {"model_id": 3, "since_us": 5, "until_us": None, "limit": 7}
