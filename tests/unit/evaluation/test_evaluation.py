"""A whole evaluation: values, intervals, baselines and trades fit together."""

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from kurswerk.core.errors import DataError
from kurswerk.core.timestamps import DAY_US, HOUR_US
from kurswerk.evaluation import (
    METRIC_NAMES,
    Baseline,
    Bootstrap,
    TradeCosts,
    brier,
    classification_metrics,
    evaluate,
    evaluate_panel,
    log_loss,
    persistence,
    recent_volatility,
    simulate_trades,
)
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import Panel

QUICK = Bootstrap(replicates=60)
N = 8 * 240


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    signal = rng.normal(0, 1, N)
    return {
        "y": (signal + rng.normal(0, 1, N) > 1).astype(np.int8),
        "probability": 1 / (1 + np.exp(-signal)),
        "codes": np.repeat(np.arange(8), 240),
        "timestamps": np.tile(np.arange(240), 8) * HOUR_US,
    }


def test_values_are_those_of_the_plain_functions(rows: dict[str, np.ndarray]) -> None:
    found = evaluate(**rows, bootstrap=QUICK)
    y, probability = rows["y"], rows["probability"]
    assert found.metrics == classification_metrics(y, probability)
    assert found.pr_auc == pytest.approx(average_precision_score(y, probability))
    assert found.brier == pytest.approx(brier(y, probability))
    assert found.log_loss == pytest.approx(log_loss(y, probability))
    assert found.base_rate == pytest.approx(y.mean())
    assert (found.num_samples, found.num_positive, found.num_negative) == (N, y.sum(), N - y.sum())
    for name in ("accuracy", "f1", "precision", "recall", "roc_auc", "mcc", "fpr", "fnr"):
        assert found.estimates[name].value == pytest.approx(getattr(found.metrics, name))
    for name in METRIC_NAMES[:-1]:
        assert found.estimates[name].low <= found.estimates[name].value <= found.estimates[name].high
    assert found.estimates["simulated_profit_pct"].value is None


def test_same_seed_same_intervals(rows: dict[str, np.ndarray]) -> None:
    assert evaluate(**rows, bootstrap=QUICK).as_json() == evaluate(**rows, bootstrap=QUICK).as_json()
    other = evaluate(**rows, bootstrap=Bootstrap(60, random_state=1))
    assert other.estimates["pr_auc"] != evaluate(**rows, bootstrap=QUICK).estimates["pr_auc"]


def test_order_of_rows_does_not_matter(rows: dict[str, np.ndarray]) -> None:
    order = np.random.default_rng(0).permutation(N)
    shuffled = evaluate(**{name: column[order] for name, column in rows.items()}, bootstrap=QUICK)
    straight = evaluate(**rows, bootstrap=QUICK)
    for name in METRIC_NAMES[:-1]:
        assert list(shuffled.estimates[name].as_json().values()) == pytest.approx(
            list(straight.estimates[name].as_json().values())
        )


def test_the_model_against_itself_differs_by_nothing(rows: dict[str, np.ndarray]) -> None:
    itself = Baseline(rows["probability"], rows["probability"] >= 0.5)
    found = evaluate(**rows, baselines={"itself": itself}, bootstrap=QUICK)
    for name in ("pr_auc", "roc_auc", "f1", "mcc"):
        assert found.differences["itself"][name].as_json() == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert not found.beats("itself")
    assert found.differences["itself"]["brier"].value is None


def test_a_good_model_beats_noise_and_the_base_rate(rows: dict[str, np.ndarray]) -> None:
    noise = Baseline(np.random.default_rng(9).random(N))
    found = evaluate(**rows, baselines={"noise": noise}, bootstrap=QUICK)
    assert found.beats("noise")
    assert found.beats("base_rate")
    assert found.beats("noise", "f1")
    assert found.baselines["base_rate"]["pr_auc"].value == pytest.approx(found.base_rate)
    assert found.baselines["base_rate"]["roc_auc"].value == 0.5
    assert found.baselines["noise"]["precision"].value == pytest.approx(found.base_rate, abs=0.05)


def test_base_rate_of_training_is_used_where_given(rows: dict[str, np.ndarray]) -> None:
    found = evaluate(**rows, base_rate=0.9, bootstrap=QUICK)
    assert found.baselines["base_rate"]["brier"].value == pytest.approx(np.mean((0.9 - rows["y"]) ** 2))
    assert found.baselines["base_rate"]["recall"].value == 1.0
    with pytest.raises(DataError, match=r"base rate is 1\.5"):
        evaluate(**rows, base_rate=1.5)


def test_one_class_leaves_ranking_undefined(rows: dict[str, np.ndarray]) -> None:
    found = evaluate(**{**rows, "y": np.zeros(N, dtype=int)}, bootstrap=QUICK)
    assert found.pr_auc is None
    assert found.metrics.roc_auc is None
    assert found.metrics.fnr is None
    assert not found.beats("base_rate")
    json.dumps(found.as_json(), allow_nan=False)


def test_one_row() -> None:
    found = evaluate(np.array([1]), np.array([0.7]), np.array([0]), np.array([0]), bootstrap=QUICK)
    assert found.estimates["accuracy"].as_json() == {"value": 1.0, "low": None, "high": None}


def test_refused(rows: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match="instruments"):
        evaluate(**{**rows, "codes": rows["codes"][:-1]})
    with pytest.raises(DataError, match="no labelled rows"):
        evaluate(**{name: column[:0] for name, column in rows.items()})
    with pytest.raises(DataError, match="baseline 'short' has 3 scores"):
        evaluate(**rows, baselines={"short": Baseline(np.zeros(3))})


class TestPanel:
    @pytest.fixture
    def panel(self) -> Panel:
        rng = np.random.default_rng(2)
        scale = np.repeat(rng.uniform(0.001, 0.03, 6), 400)
        price = 100 * np.exp(np.cumsum(rng.normal(0, 1, 2400) * scale))
        times = np.tile(np.arange(400) * HOUR_US // 4, 6)
        keys = np.repeat(list("abcdef"), 400)
        return Panel.from_columns(keys, times, {"price_close": price, "volume_sol": price * 2})

    spec = LabelSpec("price_close", minutes=60, min_percent_change=2, direction="up")

    def test_fits_together(self, panel: Panel) -> None:
        labels = compute_labels(panel, self.spec)
        rows = np.flatnonzero(labels.known & (panel.timestamps > DAY_US))
        probability = np.random.default_rng(0).random(len(rows))
        costs = TradeCosts(20, 10)
        found = evaluate_panel(
            panel, labels, rows, probability, price_column="price_close", costs=costs, threshold=0.8, bootstrap=QUICK
        )
        assert set(found.baselines) == {"base_rate", "volatility", "persistence"}
        assert set(found.differences) == set(found.baselines)
        decisions = np.zeros(len(panel), dtype=bool)
        decisions[rows] = probability >= 0.8
        expected = simulate_trades(panel.column("price_close"), panel.timestamps, labels.exit_row, decisions, costs)
        assert found.trades == expected
        assert found.metrics.simulated_profit_pct == pytest.approx(expected.simulated_profit_pct)
        profit = found.estimates["simulated_profit_pct"]
        assert profit.low < profit.value < profit.high
        volatility = recent_volatility(panel, "price_close")[rows]
        assert found.baselines["volatility"]["pr_auc"].value == pytest.approx(
            average_precision_score(labels.values[rows], volatility)
        )
        assert found.baselines["volatility"]["pr_auc"].value > found.pr_auc
        latest = persistence(panel, labels)[rows] == 1
        accuracy = np.mean(latest == (labels.values[rows] == 1))
        assert found.baselines["persistence"]["accuracy"].value == pytest.approx(accuracy)
        record = found.as_json()
        json.dumps(record, allow_nan=False)
        assert record["beats"]["volatility"] is False
        assert record["trades"]["fee_bps"] == 20

    def test_without_price_there_are_no_trades(self, panel: Panel) -> None:
        bare = Panel(panel.instruments, panel.offsets, panel.timestamps, ("volume_sol",), panel.values[1:])
        labels = compute_labels(bare, LabelSpec("volume_sol", ">", 200.0))
        rows = np.flatnonzero(labels.known)
        found = evaluate_panel(bare, labels, rows, np.full(len(rows), 0.6), price_column="price_close", bootstrap=QUICK)
        assert found.trades is None
        assert found.metrics.simulated_profit_pct is None
        assert found.as_json()["trades"] is None
        assert set(found.baselines) == {"base_rate", "persistence"}

    def test_unknown_labels_are_refused(self, panel: Panel) -> None:
        labels = compute_labels(panel, self.spec)
        with pytest.raises(DataError, match="unknown"):
            evaluate_panel(panel, labels, np.arange(len(panel)), np.full(len(panel), 0.5))

    def test_no_rows_are_refused(self, panel: Panel) -> None:
        labels = compute_labels(panel, self.spec)
        with pytest.raises(DataError, match="no labelled rows"):
            evaluate_panel(panel, labels, np.array([], dtype=np.int64), np.array([]))

    def test_one_probability_per_row(self, panel: Panel) -> None:
        labels = compute_labels(panel, self.spec)
        with pytest.raises(DataError, match="2 probabilities for 1 rows"):
            evaluate_panel(panel, labels, np.array([0]), np.array([0.5, 0.5]))
