"""A market and a registry in memory, for tests of use cases; the PostgreSQL ones have tests of their own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import MINUTE_US, to_datetime, to_us
from kurswerk.market import Panel
from kurswerk.registry import Comparison, ModelRecord, NewModel, TestResult, TrainedVersion
from kurswerk.training import Availability, ModelSpec, TrainingStores

START_US = to_us(to_datetime(1_704_067_200_000_000))  # 2024-01-01


def random_market(coins: int = 4, minutes: int = 600, seed: int = 1) -> Panel:
    """Minute candles whose volatility comes in clusters, so that large moves can be predicted a little."""
    rng = np.random.default_rng(seed)
    keys, times, columns = [], [], {name: [] for name in ("open", "high", "low", "close", "volume")}
    for coin in range(coins):
        volatility = (
            np.exp(np.convolve(rng.normal(size=minutes + 30), np.ones(30) / 6, "valid")[:minutes] * 0.6) * 0.004
        )
        close = np.exp(np.cumsum(rng.normal(size=minutes) * volatility))
        opened = np.concatenate(([1.0], close[:-1]))
        keys += [f"COIN{coin}"] * minutes
        times.append(START_US + np.arange(minutes) * MINUTE_US)
        columns["open"].append(opened)
        columns["high"].append(np.maximum(opened, close) * (1 + volatility / 2))
        columns["low"].append(np.minimum(opened, close) * (1 - volatility / 2))
        columns["close"].append(close)
        columns["volume"].append(rng.lognormal(size=minutes) * volatility * 1000)
    prices = {f"price_{name}": np.concatenate(columns[name]) for name in ("open", "high", "low", "close")}
    return Panel.from_columns(keys, np.concatenate(times), prices | {"volume_sol": np.concatenate(columns["volume"])})


def a_spec(**changes: Any) -> ModelSpec:
    """A small specification that trains on `random_market` in a second."""
    document: dict[str, Any] = {
        "name": "small",
        "model_type": "xgboost",
        "features": ["price_close", "volume_sol"],
        "train_start": "2024-01-01T00:00:00Z",
        "train_end": "2024-01-01T06:40:00Z",
        "target_var": "price_close",
        "use_time_based_prediction": True,
        "future_minutes": 5,
        "min_percent_change": 1.0,
        "direction": "up",
        "use_engineered_features": True,
        "feature_engineering_windows": [5, 10],
        "use_smote": False,
        "cv_splits": 3,
        "params": {"n_estimators": 10, "max_depth": 3},
    }
    return ModelSpec.parse(document | changes)


def write_panel(panel: Panel, path: Path, names: dict[str, str] | None = None) -> None:
    """Write a panel as Parquet, columns under the names given."""
    table = {
        "mint": pa.array(np.asarray(panel.instruments, dtype=object)[panel.codes]),
        "timestamp": pa.array(panel.timestamps).view(pa.timestamp("us", "UTC")),
        **{name: pa.array(panel.column(name)) for name in panel.columns},
    }
    pq.write_table(pa.table({(names or {}).get(name, name): column for name, column in table.items()}), path)


def stores_of(panel: Panel, registry: "MemoryRegistry") -> TrainingStores:
    """Return what trainings and tests work with, over one panel."""
    return TrainingStores({"coins": MemoryMarket(panel)}, registry, registry)


class MemoryMarket:
    """A `MarketStore` over one panel."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    def columns(self) -> tuple[str, ...]:
        return self.panel.columns

    def load_panel(
        self,
        columns: Sequence[str],
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        mints: Iterable[str] | None = None,
    ) -> Panel:
        mask = np.ones(len(self.panel), dtype=bool)
        if start_us is not None:
            mask &= self.panel.timestamps >= start_us
        if end_us is not None:
            mask &= self.panel.timestamps <= end_us
        if mints is not None:
            mask &= np.isin(np.asarray(self.panel.instruments)[self.panel.codes], list(mints))
        kept = self.panel.where(mask)
        values = np.stack([kept.column(name) for name in columns]) if columns else np.empty((0, len(kept)))
        return replace(kept, columns=tuple(columns), values=values)

    def mark_outsiders(self, panel: Panel) -> Panel:
        return panel

    def instruments(self) -> list[str]:
        return list(self.panel.instruments)

    def has_rows(
        self, *, start_us: int, end_us: int, mints: Sequence[str] | None = None, phases: Sequence[int] | None = None
    ) -> bool:
        found = self.load_panel(self.panel.columns, start_us=start_us, end_us=end_us, mints=mints)
        return bool(len(found) if phases is None else np.isin(found.column("phase_id_at_time"), phases).any())

    def estimated_rows(self, *, end_us: int, mints: Sequence[str] | None = None) -> int:
        return len(self.load_panel([], end_us=end_us, mints=mints))

    def availability(self) -> Availability:
        times = self.panel.timestamps
        return Availability(int(times.min()), int(times.max()), len(times), len(self.panel.instruments))


class MemoryRegistry:
    """A `ModelStore` and `ResultStore` in dictionaries."""

    def __init__(self) -> None:
        self.records: dict[int, ModelRecord] = {}
        self.artifacts: dict[str, bytes] = {}
        self.tests: list[TestResult] = []
        self.comparisons: list[Comparison] = []

    def create(self, model: NewModel) -> int:
        spec = ModelSpec.parse(model.spec)
        if any(record.name == spec.name for record in self.records.values()):
            raise ConflictError("model.name_taken", name=spec.name)
        number = len(self.records) + 1
        self.records[number] = ModelRecord(
            id=number,
            name=spec.name,
            model_type=spec.model_type,
            status="TRAINING",
            is_deleted=False,
            is_active=False,
            alert_threshold=0.7,
            spec=model.spec,
            features=(),
            train_start=spec.train_start,
            train_end=spec.train_end,
            created_at=to_datetime(START_US),
        )
        return number

    def complete(self, model_id: int, version: TrainedVersion) -> None:
        digest = sha256_bytes(version.artifact)
        self.artifacts[digest] = version.artifact
        self.records[model_id] = replace(
            self.records[model_id],
            status="READY",
            artifact_sha256=digest,
            features=version.features,
            feature_hashes=version.feature_hashes,
            dataset_fingerprint=version.dataset_fingerprint,
            library_versions=version.library_versions,
            metrics=version.metrics,
            evaluation=version.evaluation,
            cv_scores=version.cv_scores,
            cv_overfitting_gap=version.cv_overfitting_gap,
            feature_importance=version.feature_importance,
            certificate=version.certificate,
        )

    def fail(self, model_id: int, reason: Message) -> None:
        self.records[model_id] = replace(
            self.records[model_id], status="FAILED", error_msg=str(reason), error_detail=reason
        )

    def reopen(self, model_id: int) -> None:
        self.records[model_id] = replace(self.records[model_id], status="TRAINING", error_msg=None, error_detail=None)

    def get(self, model: int | str) -> ModelRecord:
        for record in self.records.values():
            if model in {record.id, record.name}:
                return record
        raise NotFoundError("model.not_found", id=model)

    def find(
        self,
        *,
        status: str | None = None,
        model_type: str | None = None,
        market: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[ModelRecord]:
        found = [
            record
            for record in reversed(self.records.values())
            if status in {None, record.status}
            and model_type in {None, record.model_type}
            and market in {None, record.spec.get("market", "coins")}
        ]
        return found[offset : offset + limit]

    def artifact(self, sha256: str) -> bytes:
        return self.artifacts[sha256]

    def set_certificate(self, model_id: int, certificate: Mapping[str, Any]) -> None:
        self.records[model_id] = replace(self.records[model_id], certificate=certificate)

    def update(self, model_id: int, changes: Mapping[str, Any]) -> None:
        if any(record.name == changes.get("name") and record.id != model_id for record in self.records.values()):
            raise ConflictError("model.name_taken", name=changes["name"])
        self.records[model_id] = replace(self.get(model_id), **changes)

    def delete(self, model_id: int) -> None:
        del self.records[model_id]

    def save_test(self, result: TestResult) -> int:
        self.tests.append(result)
        return len(self.tests)

    def save_comparison(self, comparison: Comparison) -> int:
        self.comparisons.append(comparison)
        return len(self.comparisons)

    def tests_of(self, model_id: int, limit: int = 100) -> list[TestResult]:
        return [test for test in reversed(self.tests) if test.model_id == model_id][:limit]
