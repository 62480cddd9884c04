"""Records as the registry keeps them, made by the real evaluation on a small synthetic market."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np

from kurswerk.core.timestamps import HOUR_US, MINUTE_US, to_datetime, to_us
from kurswerk.evaluation import (
    Bootstrap,
    FoldScores,
    classification_metrics,
    compare_paired,
    evaluate_panel,
    pr_auc,
    summarize_folds,
    winner,
)
from kurswerk.labels import Labels, LabelSpec, compute_labels
from kurswerk.market import Panel
from kurswerk.registry import Comparison, ModelRecord, TestResult
from kurswerk.reports import Command, MarketOverview, Place, Report, ReportedModel, Step

START = datetime(2024, 7, 1, tzinfo=UTC)
LABEL = LabelSpec("price_close", minutes=60, min_percent_change=2, direction="up")
QUICK = Bootstrap(replicates=80)
COINS, ROWS = 6, 600


@cache
def market() -> tuple[Panel, Labels, np.ndarray]:
    """A panel with bursts of volatility, its labels, and the signal that a good model would see."""
    rng = np.random.default_rng(11)
    steps = to_us(START) + np.arange(ROWS) * 5 * MINUTE_US
    columns: dict[str, list[np.ndarray]] = {f"price_{name}": [] for name in ("open", "high", "low", "close")}
    signals = []
    for _ in range(COINS):
        burst = np.convolve(rng.random(ROWS) < 0.01, np.ones(36), "full")[:ROWS] > 0
        drift = np.convolve(rng.random(ROWS) < 0.012, np.ones(24), "full")[:ROWS] > 0
        moves = rng.normal(0, 1, ROWS) * np.where(burst, 0.006, 0.002) + np.where(drift, 0.0014, -0.0002)
        close = 0.02 * np.exp(np.cumsum(moves))
        opened = np.concatenate(([0.02], close[:-1]))
        spread = 1 + np.abs(rng.normal(0, 0.001, ROWS))
        columns["price_open"].append(opened)
        columns["price_high"].append(np.maximum(opened, close) * spread)
        columns["price_low"].append(np.minimum(opened, close) / spread)
        columns["price_close"].append(close)
        signals.append(0.7 * drift + 0.25 * burst)
    keys = np.repeat([f"COIN{k}" for k in range(COINS)], ROWS)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    panel = Panel.from_columns(keys, np.tile(steps, COINS), joined)
    return panel, compute_labels(panel, LABEL), np.concatenate(signals)


def probability_of(skill: float, seed: int) -> np.ndarray:
    """Probabilities of a model that sees the signal with some skill in [0, 1]."""
    signal = market()[2]
    noise = np.random.default_rng(seed).normal(0, 1, len(signal))
    return 1 / (1 + np.exp(-(-2.6 + 4.2 * skill * signal + 0.9 * noise)))


def judged_rows() -> np.ndarray:
    """Positions with a known label, after a warm-up."""
    panel, labels, _ = market()
    return np.flatnonzero((labels.values >= 0) & (panel.timestamps >= to_us(START) + 4 * HOUR_US))


def cv_scores(skill: float, seed: int) -> dict[str, Any]:
    """Scores of four folds."""
    panel, labels, _ = market()
    rows, probability = judged_rows(), probability_of(skill, seed)
    folds = []
    for part in np.array_split(rows[np.argsort(panel.timestamps[rows], kind="stable")], 4):
        y, p = labels.values[part], probability[part]
        sure = np.clip(p + 0.25 * (y - 0.3), 0, 1)
        folds.append(
            FoldScores(
                classification_metrics(y, sure),
                classification_metrics(y, p),
                pr_auc(y, sure),
                pr_auc(y, p),
                len(part) * 2,
                len(part),
                12,
                int(panel.timestamps[part].min()),
            )
        )
    return summarize_folds(folds).as_json()


def certificate(*, certified: bool = True) -> dict[str, Any]:
    """A certificate with a few probes."""
    probes = [
        ("batch_equals_live", "every value computed row by row has the bits it has in batch", 182_304),
        ("random_chunks", "chunks of random length change no bit", 182_304),
        ("restart", "stopping at a random row and going on changes no bit", 91_152),
        ("future_rows", "rows changed at random after a moment change nothing up to it", 364_608),
        ("label_horizon", "every label of a training fold ends before the test begins", 12_000),
        ("sealed_folds", "other test rows leave every fitted step as it was", 48_000),
        ("served_row_by_row", "the artifact gives one row alone the same bits as among others", 20_000),
    ]
    broken = "" if certified else "restart"
    return {
        "certified": certified,
        "values_compared": sum(values for *_, values in probes),
        "differing_bits": 0 if certified else 17,
        "leak_probes": len(probes),
        "leaks_found": int(not certified),
        "trials": 4 * len(probes),
        "probes": [
            {
                "check": check,
                "subject": "model",
                "passed": check != broken,
                "message": message
                if check != broken
                else "17 of 91152 values differ, first 1.0 instead of 2.0 at row 3",
                "values_compared": values,
                "differing_bits": 0 if check != broken else 17,
                "trials": 4,
            }
            for check, message, values in probes
        ],
    }


def spec_of(name: str, model_type: str) -> dict[str, Any]:
    """A specification as the registry keeps it."""
    return {
        "name": name,
        "model_type": model_type,
        "features": ["volume_sol", "price_open"],
        "train_start": "2024-04-01T00:00:00Z",
        "train_end": "2024-06-30T23:55:00Z",
        "target_var": "price_close",
        "use_time_based_prediction": True,
        "future_minutes": 60,
        "min_percent_change": 2.0,
        "direction": "up",
        "use_engineered_features": True,
        "feature_engineering_windows": [5, 10, 15],
        "use_smote": True,
        "params": {"n_estimators": 100},
    }


@cache
def evaluation_of(skill: float, seed: int, threshold: float = 0.35) -> Any:
    """The real evaluation of such a model on the market."""
    panel, labels, _ = market()
    rows = judged_rows()
    probability = probability_of(skill, seed)[rows]
    return evaluate_panel(
        panel, labels, rows, probability, price_column="price_close", threshold=threshold, bootstrap=QUICK
    )


def record_of(model_id: int, name: str, model_type: str, skill: float, **more: Any) -> ModelRecord:
    """A READY model."""
    rng = np.random.default_rng(model_id)
    kinds = ("price_change", "volume_ratio", "price_volatility", "price_range", "buy_pressure_ma", "price_roc")
    features = (
        "volume_sol",
        "price_open",
        *(f"{kind}_{window}" for kind in kinds for window in (5, 10, 15)),
        "ath_age_hours",
    )
    shares = np.sort(rng.dirichlet(np.full(len(features), 0.7)))[::-1]
    evaluation = evaluation_of(skill, model_id)
    return replace(
        ModelRecord(
            id=model_id,
            name=name,
            model_type=model_type,
            status="READY",
            is_deleted=False,
            is_active=False,
            alert_threshold=0.7,
            spec=spec_of("sample", model_type),
            features=features,
            train_start=datetime(2024, 4, 1, tzinfo=UTC),
            train_end=datetime(2024, 6, 30, 23, 55, tzinfo=UTC),
            created_at=datetime(2024, 9, 2, 8, 30, tzinfo=UTC),
            metrics=evaluation.metrics,
            artifact_sha256="ab" * 32,
            dataset_fingerprint="cd" * 32,
            feature_hashes={feature: f"{k:02x}" * 32 for k, feature in enumerate(features)},
            library_versions={"kurswerk": "0.1.0", "numpy": "2.4.0", "onnxruntime": "1.31.0"},
            evaluation={"kind": "out of fold", **evaluation.as_json()},
            cv_scores=cv_scores(skill, model_id),
            cv_overfitting_gap=0.08,
            feature_importance=dict(zip(features, shares.tolist(), strict=True)),
            certificate=certificate(),
        ),
        **more,
    )


def result_of(record: ModelRecord, skill: float, **more: Any) -> TestResult:
    """A test of the model on the market."""
    evaluation = evaluation_of(skill, record.id)
    return replace(
        TestResult(
            model_id=record.id,
            test_start=START,
            test_end=to_datetime(to_us(START) + ROWS * 5 * MINUTE_US),
            metrics=evaluation.metrics,
            num_samples=evaluation.num_samples,
            num_positive=evaluation.num_positive,
            num_negative=evaluation.num_negative,
            has_overlap=False,
            overlap_note="the test period does not overlap the training period",
            train_accuracy=0.91,
            accuracy_degradation=0.02,
            is_overfitted=False,
            feature_importance=record.feature_importance,
            evaluation={"kind": "test", "overlap_share": 0.0, **evaluation.as_json()},
            id=record.id * 10,
        ),
        **more,
    )


def comparison_of(a: TestResult, b: TestResult, skills: tuple[float, float], names: tuple[str, str]) -> Comparison:
    """Both models on the same rows."""
    panel, labels, _ = market()
    rows = judged_rows()
    found = compare_paired(
        labels.values[rows],
        probability_of(skills[0], a.model_id)[rows],
        probability_of(skills[1], b.model_id)[rows],
        panel.codes[rows],
        panel.timestamps[rows],
        thresholds=(0.35, 0.35),
        horizon_us=HOUR_US,
        names=names,
        bootstrap=QUICK,
    )
    first = winner(a.metrics.f1, b.metrics.f1)
    return Comparison(
        model_a_id=a.model_id,
        model_b_id=b.model_id,
        test_a_id=a.id or 0,
        test_b_id=b.id or 0,
        test_start=a.test_start,
        test_end=a.test_end,
        num_samples=len(rows),
        a_metrics=a.metrics,
        b_metrics=b.metrics,
        winner_id={"a": a.model_id, "b": b.model_id, None: None}[first],
        significance=found.as_json(),
    )


def report_of(names: tuple[str, str] = ("forest", "boosted trees"), skills: tuple[float, float] = (1.0, 0.8)) -> Report:
    """A whole report on two models."""
    forest = record_of(1, names[0], "random_forest", skills[0])
    trees = record_of(2, names[1], "xgboost", skills[1], certificate=None)
    tests = (result_of(forest, skills[0]), result_of(trees, skills[1]))
    return Report(
        title="Two models on a simulated market",
        introduction="A market was simulated, two models were trained on its first half and judged on the second.",
        written_at=datetime(2024, 9, 2, 9, 15, 30, tzinfo=UTC),
        models=(ReportedModel(forest, tests[:1]), ReportedModel(trees, tests[1:])),
        comparisons=(comparison_of(*tests, skills, names),),
        steps=(
            Step("Simulated a market", "6 coins over 50 hours, seed 11", 1.234),
            Step("Trained forest", "21 features, 5 folds", 12.5),
            Step("Wrote this page"),
        ),
        places=(
            Place("database", "postgresql://postgres:s3cret@127.0.0.1:5432/kurswerk", "starts by itself"),
            Place("specification", "exports/forest.json"),
        ),
        commands=(Command("kurswerk models forest", "Look at a model:"), Command("kurswerk predict COIN0", "Predict:")),
        market=MarketOverview.of(market()[0], "Simulated on bonding curves.", "COIN2"),
    )
