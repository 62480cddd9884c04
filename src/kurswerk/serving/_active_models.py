"""The models that predict: loaded, kept apart from each other's faults, and fed from one union of features."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError
from kurswerk.features import FeaturePlan
from kurswerk.models import OnnxModel
from kurswerk.registry import ModelStore, load_model, plan_of
from kurswerk.serving._scope import Scope
from kurswerk.serving.ports import ActiveModel, Int

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class ModelCache:
    """Loaded models, the least recently used beyond a bound dropped; may be shared by threads.

    Parameters
    ----------
    models
        Where they come from.
    capacity
        How many are kept; models in use stay alive whatever the bound.
    on_load
        Called after every load with the seconds it took.
    """

    def __init__(self, models: ModelStore, capacity: int = 32, on_load: Callable[[float], None] | None = None) -> None:
        self._models, self._on_load = models, on_load
        self._kept: LRUCache[tuple[int, str, int], tuple[OnnxModel, FeaturePlan, Scope]] = LRUCache(capacity)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def load(self, model: ActiveModel) -> tuple[OnnxModel, FeaturePlan, Scope]:
        """Return a model, its plan and its scope, loading it if it is not here.

        Raises
        ------
        KurswerkError
            If it cannot be fetched, or must not be loaded.
        """
        key = (model.id, model.artifact_sha256, model.epoch)
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        started = time.perf_counter()
        record = self._models.get(model.id)
        loaded = load_model(record, self._models), plan_of(record), Scope.of(record.spec)
        if self._on_load is not None:
            self._on_load(time.perf_counter() - started)
        with self._lock:
            self._kept[key] = loaded
        return loaded


@dataclass
class ServedModel:
    """An active model as a lane serves it.

    Attributes
    ----------
    scope
        The rows that it was made for.
    feature_columns
        Columns of its features in the union of all models' features.
    fault
        Why it does not predict at present; None if it does.
    failures, retry_at
        Consecutive faults, and when (monotonic seconds) it is retried.
    """

    model: ActiveModel
    runtime: OnnxModel | None = None
    plan: FeaturePlan | None = None
    scope: Scope = field(default_factory=Scope)
    feature_columns: Int = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    fault: str | None = None
    failures: int = 0
    retry_at: float = 0.0

    @property
    def compares(self) -> bool:
        """Whether it compares instruments, so that it predicts moment by moment."""
        return self.plan is not None and self.plan.second_stage is not None

    def fail(self, error: Exception) -> None:
        """Suspend it; each consecutive fault doubles the pause before the next retry."""
        self.fault = f"{type(error).__name__}: {error}"
        self.failures += 1
        self.retry_at = time.monotonic() + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (self.failures - 1))

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities of rows in the model's own features.

        Raises
        ------
        KurswerkError
            If a probability lies outside [0, 1] or is none.
        """
        if self.runtime is None:
            raise KurswerkError("model.not_loaded", name=self.model.name)
        scores = self.runtime.predict_proba(X)
        if not np.all((scores >= 0) & (scores <= 1)):
            raise KurswerkError("model.probability_out_of_range", name=self.model.name)
        return scores

    def predict_all(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return probabilities as `predict` does, and of a forecast model forecast, low and high, shape (n, 3).

        Raises
        ------
        KurswerkError
            As `predict`, or if a forecast is no finite number.
        """
        if self.runtime is None or not self.runtime.is_forecast:
            return self.predict(X), None
        return outputs_of(self.runtime, X, self.model.name)


def outputs_of(runtime: OnnxModel, X: NDArray[np.float32], name: str) -> tuple[NDArray[np.float32], Any]:
    """Return a loaded model's probabilities, and of a forecast model forecast, low and high, shape (n, 3), else None.

    Raises
    ------
    KurswerkError
        If a forecast is no finite number.
    """
    if not runtime.is_forecast:
        return runtime.predict_proba(X), None
    found = runtime.forecast(X)
    forecasts = np.stack((found.forecast, found.low, found.high), axis=1)
    if not np.isfinite(forecasts).all():
        raise KurswerkError("model.forecast_not_finite", name=name)
    return found.probability, forecasts


class ActiveModels:
    """The models that a lane serves, and the union of their features.

    ``plan`` is the union of what they need of single instruments, ``compared`` that of all features of the models that
    compare instruments, None where there are none; ``first_columns`` are the places of its first stage in ``plan``.

    Parameters
    ----------
    cache
        Where models come from.
    on_fault
        Called with the type of every fault.
    """

    def __init__(self, cache: ModelCache, on_fault: Callable[[str], None] | None = None) -> None:
        self._cache, self._on_fault = cache, on_fault
        self._active: tuple[ActiveModel, ...] = ()
        self.models: list[ServedModel] = []
        self.plan: FeaturePlan | None = None
        self.compared: FeaturePlan | None = None
        self.first_columns: Int = np.empty(0, dtype=np.int64)

    @property
    def alone(self) -> list[ServedModel]:
        """Models that predict each row as it comes, and those that could not be loaded."""
        return [served for served in self.models if not served.compares]

    @property
    def comparing(self) -> list[ServedModel]:
        """Models that predict a row once its moment is sealed."""
        return [served for served in self.models if served.compares]

    @property
    def healthy(self) -> list[ServedModel]:
        """Models that predict."""
        return [served for served in self.models if served.fault is None]

    @property
    def faulty(self) -> list[ServedModel]:
        """Models that are suspended after a fault."""
        return [served for served in self.models if served.fault is not None]

    def update(self, active: Sequence[ActiveModel]) -> bool:
        """Serve these models, all of one market, and retry those whose pause is over; return whether the union changed.

        Raises
        ------
        DatabaseUnavailableError
            If a model cannot be fetched because there is no connection.
        """
        now = time.monotonic()
        wanted = tuple(active)
        due = [served for served in self.models if served.fault is not None and now >= served.retry_at]
        if wanted == self._active and not due:
            return False
        known = {(served.model.id, served.model.artifact_sha256, served.model.epoch): served for served in self.models}
        self.models = []
        for model in wanted:
            served = known.get((model.id, model.artifact_sha256, model.epoch)) or ServedModel(model)
            served.model = model
            if served.runtime is None or served in due:
                self._load(served)
            self.models.append(served)
        self._active = wanted
        return self._build_plan()

    def fail(self, served: ServedModel, error: Exception) -> None:
        """Suspend a model because of an error."""
        served.fail(error)
        if self._on_fault is not None:
            self._on_fault(type(error).__name__)

    def _load(self, served: ServedModel) -> None:
        try:
            served.runtime, served.plan, served.scope = self._cache.load(served.model)
        except DatabaseUnavailableError:
            raise
        except KurswerkError as error:
            self.fail(served, error)
        else:
            served.fault = None

    def _build_plan(self) -> bool:
        """Unite the features of all loaded models; a union that already has all of them is kept."""
        self._unite_compared()
        plans = [served.plan.first_stage for served in self.models if served.plan is not None]
        if self.compared is not None:
            plans.append(self.compared.first_stage)
        names = dict.fromkeys(name for plan in plans for name in plan.names)
        before = self.plan.names if self.plan is not None else ()
        changed = not (set(names) <= set(before) and len(before) <= 2 * len(names))
        if changed:
            self.plan = FeaturePlan(list(names), plans[0].market) if plans else None
        place = {name: k for k, name in enumerate(self.plan.names if self.plan is not None else ())}
        for served in self.alone:
            if served.plan is not None:
                served.feature_columns = np.array([place[name] for name in served.plan.names], dtype=np.int64)
        first = self.compared.first_stage.names if self.compared is not None else ()
        self.first_columns = np.array([place[name] for name in first], dtype=np.int64)
        return changed

    def _unite_compared(self) -> None:
        plans = [served.plan for served in self.comparing if served.plan is not None]
        names = list(dict.fromkeys(name for plan in plans for name in plan.names))
        if names != list(self.compared.names if self.compared is not None else ()):
            self.compared = FeaturePlan(names, plans[0].market) if plans else None
        place = {name: k for k, name in enumerate(names)}
        for served in self.comparing:
            if served.plan is not None:
                served.feature_columns = np.array([place[name] for name in served.plan.names], dtype=np.int64)
