"""Small models registered as training would leave them, and coin rows for them to predict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kurswerk.evaluation import Metrics
from kurswerk.features import FeaturePlan
from kurswerk.market import COINS
from kurswerk.models import create
from kurswerk.registry import ModelStore, NewModel, TrainedVersion
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database

START_US = 1_704_067_200_000_000
STEP_US = 5_000_000
WINDOWED = ("price_close", "price_change_5", "volume_ratio_10", "buy_sell_ratio", "price_volatility_5")
RECURSIVE = ("price_close", "ath_distance_pct", "ema_20", "rsi_14")
COLUMNS = ("price_open", "price_high", "price_low", "price_close", "volume_sol", "buy_volume_sol", "sell_volume_sol")


def artifact(features: Sequence[str], *, model_type: str = "xgboost", seed: int = 0, trees: int = 10) -> bytes:
    """Fit a small classifier on noise with some missing values."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, len(features))).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, 0]) + rng.normal(size=400) * 0.5 > 0).astype(np.int8)
    params = {"n_estimators": trees, "max_depth": 4}
    return create(model_type, params).fit(X, y).to_onnx(list(features), {"seed": seed})


def forecast_artifact(features: Sequence[str], *, seed: int = 0) -> bytes:
    """Fit and calibrate a small linear forecast on noise with some missing values."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, len(features))).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    y = np.nan_to_num(X[:, 0]) + rng.normal(size=400)
    model = create("ridge").fit(X, y, rows=np.arange(300))
    return model.calibrate(X, y, np.arange(300, 400)).to_onnx(list(features), {"seed": seed})


def register_forecast(database: Database, name: str, features: Sequence[str] = WINDOWED, **given: Any) -> int:
    """Register a forecast model of the return over a minute; see `register`."""
    scope = {"model_type": "ridge", "target": "return", "future_minutes": 1, "operator": None, "target_value": None}
    return register(database, name, features, data=forecast_artifact(features), scope=scope, **given)


def register(
    database: Database,
    name: str,
    features: Sequence[str] = WINDOWED,
    *,
    active: bool = True,
    certified: bool = True,
    threshold: float = 0.7,
    data: bytes | None = None,
    scope: Mapping[str, Any] | None = None,
    **shape: Any,
) -> int:
    """Register a READY model; certified and active unless asked otherwise. Return its id."""
    models = PostgresModelStore(database)
    model_id = register_in(models, name, features, certified=certified, data=data, scope=scope, **shape)
    if active:
        with database.connection() as connection:
            connection.execute(
                "UPDATE ml_models SET is_active = true, active_since = now(), alert_threshold = %s WHERE id = %s",
                [threshold, model_id],
            )
    return model_id


def register_in(
    models: ModelStore,
    name: str,
    features: Sequence[str] = WINDOWED,
    *,
    certified: bool = True,
    data: bytes | None = None,
    scope: Mapping[str, Any] | None = None,
    **shape: Any,
) -> int:
    """Register a READY model in any registry; return its id."""
    spec = {
        "name": name,
        "model_type": "xgboost",
        "features": list(features),
        "target_var": "price_close",
        "operator": ">",
        "target_value": 1.0,
        "train_start": "2024-01-01T00:00:00+00:00",
        "train_end": "2024-01-02T00:00:00+00:00",
    }
    model_id = models.create(NewModel(spec | dict(scope or {})))
    data = data if data is not None else artifact(features, **shape)
    models.complete(
        model_id,
        TrainedVersion(
            artifact=data,
            features=tuple(features),
            feature_hashes=FeaturePlan(features, COINS).definitions,
            dataset_fingerprint="0" * 64,
            library_versions={},
            metrics=_metrics(),
            evaluation={},
            cv_scores=None,
            cv_overfitting_gap=None,
            feature_importance=dict.fromkeys(features, 1 / len(features)),
        ),
    )
    sha = models.get(model_id).artifact_sha256
    models.set_certificate(
        model_id,
        {
            "certified": certified,
            "artifact_sha256": sha,
            "probes": [{"check": "future_rows", "subject": name, "passed": certified, "message": "looks ahead"}],
        },
    )
    return model_id


def _metrics() -> Metrics:
    return Metrics(
        accuracy=0.5, f1=0.5, precision=0.5, recall=0.5, roc_auc=0.5, mcc=0.0, fpr=0.5, fnr=0.5,
        tp=1, tn=1, fp=1, fn=1, simulated_profit_pct=None,
    )  # fmt: skip


def coin_rows(coins: Sequence[str], first: int, last: int, seed: int = 0) -> dict[tuple[str, int], list[float]]:
    """Return rows ``first`` … ``last - 1`` of every coin: (coin, microseconds) → values of `COLUMNS`."""
    found = {}
    for coin in coins:
        for k in range(first, last):
            rng = np.random.default_rng([seed, k, *coin.encode()])
            low = 1 + rng.random()
            values = [low * 1.1, low * 1.3, low, low * 1.2, *(rng.random(3) * 10)]
            found[coin, START_US + k * STEP_US] = values
    return found


def write_rows(database: Database, rows: dict[tuple[str, int], list[float]]) -> None:
    """Insert or correct rows, in one transaction, in the order given."""
    keys = list(rows)
    arrays = {
        "mint": pa.array([coin for coin, _ in keys]),
        "timestamp": pa.array([us for _, us in keys], pa.timestamp("us", "UTC")),
        **{name: pa.array([rows[key][k] for key in keys], pa.float64()) for k, name in enumerate(COLUMNS)},
    }
    PostgresMarketStore(database, COINS).upsert(pa.table(arrays).to_batches())
