"""Training on real bars against the straightforward pandas and scikit-learn version, and once on ten million rows."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import TimeSeriesSplit
from xgboost import XGBClassifier

from benchmarks._measure import in_child
from benchmarks.features import WINDOWS, pandas_features, pandas_frame, read_bars, synthetic_bars
from kurswerk.core.timestamps import format_timestamp
from kurswerk.market import Panel
from kurswerk.training import Dataset, ModelSpec, build_dataset, fit_final, run_folds, training_plan

FOLDS, TREES, DEPTH, RATE = 5, 100, 6, 0.1
HORIZON_BARS, BAR_MINUTES, PERCENT = 12, 5, 2.0
LARGE_ROWS, LARGE_WINDOWS = 10_000_000, (3, 5, 7, 10, 15, 20, 30, 45)


def run(data: Path | None = None, *, large: bool = True, bars: int = 923_030) -> list[dict[str, Any]]:
    """Measure one training of each side, from candles in memory to the final model with out-of-fold PR-AUC.

    Parameters
    ----------
    data
        Parquet of bars; a synthetic market of the same shape if None or absent.
    large
        Also train once on ten million rows of 80 features, in a process of its own.
    bars
        Rows of the synthetic market.

    Returns
    -------
    list of dict
        ``name, ours_s, peer, peer_s, ratio, at_least, note`` each.
    """
    panel = read_bars(data) if data is not None and data.exists() else synthetic_bars(bars)
    training_plan(specification(panel), panel).compute(panel, rows=slice(0, 64))  # compile
    start = time.perf_counter()
    ours = train_ours(panel)
    ours_s = time.perf_counter() - start
    rows = []
    for peer, estimator, at_least in (
        ("pandas + scikit-learn HistGradientBoosting", _scikit_learn, 3.0),
        ("pandas + XGBClassifier", _xgboost, 0.0),
    ):
        start = time.perf_counter()
        theirs = train_straightforward(panel, estimator)
        peer_s = time.perf_counter() - start
        note = f"{len(panel):,} bars, {FOLDS} folds; PR-AUC out of fold {ours:.4f}, peer {theirs:.4f}"
        rows.append(_row("training", ours_s, peer, peer_s, at_least, note))
    if large:
        (seconds, shape), peak = in_child(train_large)
        note = f"{shape[0]:,} × {shape[1]}, at most {TREES} trees; peak memory {peak / 2**30:.2f} GiB, allowed 10"
        rows.append(_row("training, large", seconds, "10 GiB", peak / 2**30, 0.0, note) | {"ratio": 10 * 2**30 / peak})
    return rows


def specification(
    panel: Panel, windows: tuple[int, ...] = WINDOWS, features: tuple[str, ...] = ("volume_sol",)
) -> ModelSpec:
    """Return the work: will the close be up 2 % in an hour?"""
    return ModelSpec.parse(
        {
            "name": "bench",
            "model_type": "xgboost",
            "features": list(features),
            "train_start": format_timestamp(int(panel.timestamps.min())),
            "train_end": format_timestamp(int(panel.timestamps.max())),
            "target_var": "price_close",
            "use_time_based_prediction": True,
            "future_minutes": HORIZON_BARS * BAR_MINUTES,
            "min_percent_change": PERCENT,
            "direction": "up",
            "use_engineered_features": True,
            "feature_engineering_windows": list(windows),
            "use_smote": False,
            "cv_splits": FOLDS,
            "params": {"n_estimators": TREES, "max_depth": DEPTH, "learning_rate": RATE},
        }
    )


def train_ours(panel: Panel) -> float:
    """Features, labels, purged folds and the final model; return the out-of-fold PR-AUC."""
    spec = specification(panel)
    dataset = _dataset(spec, panel)
    outcomes = run_folds(spec, dataset, lambda _share, _text: None)
    fit_final(spec, dataset)
    rows = np.concatenate([outcome.rows for outcome in outcomes])
    probability = np.concatenate([outcome.probability for outcome in outcomes])
    return float(average_precision_score(dataset.labels.values[rows], probability))


def _dataset(spec: ModelSpec, panel: Panel) -> Dataset:
    period = (spec.train_start_us, spec.train_end_us)
    return build_dataset(panel, training_plan(spec, panel), spec.label_spec(), period, None)


def train_straightforward(panel: Panel, estimator: Any) -> float:
    """Do the same as one writes it with pandas and scikit-learn; return the out-of-fold PR-AUC."""
    frame = pandas_frame(panel)
    future = frame.groupby("key", sort=False)["price_close"].shift(-HORIZON_BARS)
    frame["label"] = (future / frame["price_close"] - 1 >= PERCENT / 100).astype(int).where(future.notna())
    features = frame[["key", "time", "label", "volume_sol"]].assign(**pandas_features(frame))
    features = features[features["label"].notna()].sort_values("time", kind="stable")
    X = features.drop(columns=["key", "time", "label"]).to_numpy()
    y = features["label"].to_numpy(dtype=int)
    truth, probability = [], []
    for train, test in TimeSeriesSplit(FOLDS).split(X):
        model = estimator().fit(X[train], y[train])
        seen = train[:: max(1, len(train) // 100_000)]
        model.predict_proba(X[seen])  # the score on training rows, as ours reports it
        truth.append(y[test])
        probability.append(model.predict_proba(X[test])[:, 1])
    estimator().fit(X, y)
    return float(average_precision_score(np.concatenate(truth), np.concatenate(probability)))


def _scikit_learn() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=TREES, max_depth=DEPTH, learning_rate=RATE, random_state=42)


def _xgboost() -> XGBClassifier:
    return XGBClassifier(n_estimators=TREES, max_depth=DEPTH, learning_rate=RATE, random_state=42)


def train_large(rows: int = LARGE_ROWS) -> tuple[float, tuple[int, int]]:
    """Train the final model once on many rows of 80 features; return the seconds and the shape."""
    panel = synthetic_bars(rows)
    spec = specification(panel, LARGE_WINDOWS, features=("volume_sol", "price_open", "price_high"))
    start = time.perf_counter()
    dataset = _dataset(spec, panel)
    fit_final(spec, dataset)
    return time.perf_counter() - start, (len(dataset.rows), dataset.features.shape[1])


def _row(name: str, ours_s: float, peer: str, peer_s: float, at_least: float, note: str) -> dict[str, Any]:
    return {
        "name": name,
        "ours_s": ours_s,
        "peer": peer,
        "peer_s": peer_s,
        "ratio": peer_s / ours_s,
        "at_least": at_least,
        "note": note,
    }
