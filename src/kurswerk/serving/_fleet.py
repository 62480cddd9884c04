"""The models that predict: loaded, kept apart from each other's faults, and fed from one union of features."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError
from kurswerk.features import FeaturePlan
from kurswerk.models import OnnxModel
from kurswerk.registry import ModelStore, load_model, plan_of
from kurswerk.serving.ports import ActiveModel, Int

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class ModelShelf:
    """Loaded models, the least recently used beyond a bound dropped; may be shared by threads.

    Parameters
    ----------
    models
        Where they come from.
    capacity
        How many are kept; models in use are held by their users whatever the bound.
    on_load
        Hears of every load: seconds it took.
    """

    def __init__(self, models: ModelStore, capacity: int = 32, on_load: Callable[[float], None] | None = None) -> None:
        self._models, self._capacity, self._on_load = models, capacity, on_load
        self._kept: OrderedDict[tuple[int, str, int], tuple[OnnxModel, FeaturePlan]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def load(self, model: ActiveModel) -> tuple[OnnxModel, FeaturePlan]:
        """Return a model and its plan, loading it if it is not here.

        Raises
        ------
        KurswerkError
            If it cannot be fetched, or must not be loaded.
        """
        key = (model.id, model.artifact_sha256, model.epoch)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        started = time.perf_counter()
        record = self._models.get(model.id)
        loaded = load_model(record, self._models), plan_of(record)
        if self._on_load is not None:
            self._on_load(time.perf_counter() - started)
        with self._lock:
            self._kept[key] = loaded
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return loaded


@dataclass
class Member:
    """A model in the fleet.

    Attributes
    ----------
    places
        Its features' columns in the union.
    fault
        Why it does not predict at present; None if it does.
    failures, retry_at
        Faults in a row, and when (monotonic seconds) it is tried again.
    """

    model: ActiveModel
    runtime: OnnxModel | None = None
    plan: FeaturePlan | None = None
    places: Int = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    fault: str | None = None
    failures: int = 0
    retry_at: float = 0.0

    def fail(self, error: Exception) -> None:
        """Take it out until its pause is over; each fault in a row doubles the pause."""
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
            raise KurswerkError(f"model '{self.model.name}' is not loaded")
        scores = self.runtime.predict_proba(X)
        if not np.all((scores >= 0) & (scores <= 1)):
            raise KurswerkError(f"model '{self.model.name}' gave a probability outside [0, 1]")
        return scores


class Fleet:
    """All active models of a lane and the union of their features."""

    def __init__(self, shelf: ModelShelf, on_fault: Callable[[str], None] | None = None) -> None:
        self._shelf, self._on_fault = shelf, on_fault
        self._active: tuple[ActiveModel, ...] = ()
        self.members: list[Member] = []
        self.plan: FeaturePlan | None = None

    @property
    def healthy(self) -> list[Member]:
        """Members that predict."""
        return [member for member in self.members if member.fault is None]

    @property
    def faulty(self) -> list[Member]:
        """Members that do not predict at present."""
        return [member for member in self.members if member.fault is not None]

    def adopt(self, active: Sequence[ActiveModel]) -> bool:
        """Make these the fleet, and try those again whose pause is over; return whether the union has changed.

        Raises
        ------
        DatabaseUnavailableError
            If a model cannot be fetched because there is no connection.
        """
        now = time.monotonic()
        wanted = tuple(active)
        due = [member for member in self.members if member.fault is not None and now >= member.retry_at]
        if wanted == self._active and not due:
            return False
        known = {(member.model.id, member.model.artifact_sha256, member.model.epoch): member for member in self.members}
        self.members = []
        for model in wanted:
            member = known.get((model.id, model.artifact_sha256, model.epoch)) or Member(model)
            member.model = model
            if member.runtime is None or member in due:
                self._load(member)
            self.members.append(member)
        self._active = wanted
        return self._unite()

    def fail(self, member: Member, error: Exception) -> None:
        """Take a member out because of an error."""
        member.fail(error)
        if self._on_fault is not None:
            self._on_fault(type(error).__name__)

    def _load(self, member: Member) -> None:
        try:
            member.runtime, member.plan = self._shelf.load(member.model)
        except DatabaseUnavailableError:
            raise
        except KurswerkError as error:
            self.fail(member, error)
        else:
            member.fault = None

    def _unite(self) -> bool:
        """Lay the features of all loaded members side by side; a union that has all of them stays as it is."""
        plans = [member.plan for member in self.members if member.plan is not None]
        names = dict.fromkeys(name for plan in plans for name in plan.names)
        before = self.plan.names if self.plan is not None else ()
        changed = not (set(names) <= set(before) and len(before) <= 2 * len(names))
        if changed:
            self.plan = FeaturePlan(list(names)) if names else None
        place = {name: k for k, name in enumerate(self.plan.names if self.plan is not None else ())}
        for member in self.members:
            if member.plan is not None:
                member.places = np.array([place[name] for name in member.plan.names], dtype=np.int64)
        return changed
