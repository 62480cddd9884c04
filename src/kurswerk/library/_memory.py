"""Markets and models in memory: what trainings and tests work with where there is no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.market import MarketSchema, Panel
from kurswerk.registry import Comparison, ModelRecord, NewModel, TestResult, TrainedVersion
from kurswerk.training import Availability, ModelSpec

_ALERT_THRESHOLD = 0.7


class PanelMarket:
    """The rows of a panel as a market's store.

    Parameters
    ----------
    panel
        All rows there are.
    market
        Whose rows they are.
    """

    def __init__(self, panel: Panel, market: MarketSchema) -> None:
        self._panel, self._market = panel, market

    def columns(self) -> tuple[str, ...]:
        """Return the panel's columns."""
        return self._panel.columns

    def load_panel(
        self,
        columns: Sequence[str],
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        mints: Iterable[str] | None = None,
    ) -> Panel:
        """Return rows from ``start_us`` to ``end_us``, both inclusive, of all or of some instruments."""
        panel = self._panel
        taken = np.ones(len(panel), dtype=np.bool_)
        if start_us is not None:
            taken &= panel.timestamps >= start_us
        if end_us is not None:
            taken &= panel.timestamps <= end_us
        if mints is not None:
            wanted = set(mints)
            taken &= np.asarray([name in wanted for name in panel.instruments], dtype=np.bool_)[panel.codes]
        kept = panel if taken.all() else panel.where(taken)
        places = [kept.columns.index(name) for name in columns]
        return replace(kept, columns=tuple(columns), values=np.ascontiguousarray(kept.values[places]))

    def mark_outsiders(self, panel: Panel) -> Panel:
        """Return the panel as it is: without a live service no moment was sealed."""
        return panel

    def instruments(self) -> Sequence[str]:
        """Return the names of all instruments."""
        return self._panel.instruments

    def has_rows(
        self, *, start_us: int, end_us: int, mints: Sequence[str] | None = None, phases: Sequence[int] | None = None
    ) -> bool:
        """Return whether there is a row in a period, both ends inclusive."""
        segment = self._market.segment
        columns = [segment.column] if segment and phases is not None else []
        found = self.load_panel(columns, start_us=start_us, end_us=end_us, mints=mints)
        return bool(np.isin(found.values[0], list(phases or ())).any() if columns else len(found))

    def estimated_rows(self, *, end_us: int, mints: Sequence[str] | None = None) -> int:
        """Return how many rows there are up to a moment."""
        return len(self.load_panel([], end_us=end_us, mints=mints))

    def availability(self) -> Availability:
        """Return what there is altogether."""
        times = self._panel.timestamps
        if not len(times):
            return Availability(None, None, 0, 0)
        return Availability(int(times.min()), int(times.max()), len(times), len(self._panel.instruments))


class MemoryModels:
    """Models and results in dictionaries, by the ports of the registry."""

    def __init__(self) -> None:
        self._records: dict[int, ModelRecord] = {}
        self._artifacts: dict[str, bytes] = {}
        self._tests: list[TestResult] = []
        self._comparisons: list[Comparison] = []

    def add(self, record: ModelRecord, artifact: bytes) -> None:
        """Take a model as it is; whether the bytes are those of the record is found when it is loaded."""
        self._records[record.id] = record
        self._artifacts[str(record.artifact_sha256)] = artifact

    def create(self, model: NewModel) -> int:
        """Insert a model with status TRAINING and return its id."""
        spec = ModelSpec.parse(model.spec)
        self._refuse_taken(spec.name)
        number = max(self._records, default=0) + 1
        self._records[number] = ModelRecord(
            id=number,
            name=spec.name,
            model_type=spec.model_type,
            status="TRAINING",
            is_deleted=False,
            is_active=False,
            alert_threshold=_ALERT_THRESHOLD,
            spec=model.spec,
            features=(),
            train_start=spec.train_start,
            train_end=spec.train_end,
            created_at=datetime.now(UTC),
            description=spec.description,
        )
        return number

    def complete(self, model_id: int, version: TrainedVersion) -> None:
        """Keep artifact and metrics and turn the model READY."""
        digest = sha256_bytes(version.artifact)
        self._artifacts[digest] = version.artifact
        learnt = {name: value for name, value in vars(version).items() if name != "artifact"}
        self._records[model_id] = replace(self._records[model_id], status="READY", artifact_sha256=digest, **learnt)

    def fail(self, model_id: int, reason: Message) -> None:
        """Turn the model FAILED with a reason."""
        record = self._records[model_id]
        self._records[model_id] = replace(record, status="FAILED", error_msg=str(reason), error_detail=reason)

    def reopen(self, model_id: int) -> None:
        """Turn a FAILED model TRAINING again."""
        record = self._records[model_id]
        self._records[model_id] = replace(record, status="TRAINING", error_msg=None, error_detail=None)

    def get(self, model: int | str) -> ModelRecord:
        """Return a model by id or name; NotFoundError if there is none."""
        for record in self._records.values():
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
    ) -> Sequence[ModelRecord]:
        """Return models, newest first."""
        wanted = {"status": status, "model_type": model_type}
        found = [
            record
            for record in reversed(self._records.values())
            if all(value in {None, getattr(record, name)} for name, value in wanted.items())
            and market in {None, ModelSpec.stored(record.spec).market}
        ]
        return found[offset : offset + limit]

    def artifact(self, sha256: str) -> bytes:
        """Return the bytes kept under a hash."""
        return self._artifacts[sha256]

    def set_certificate(self, model_id: int, certificate: Mapping[str, Any]) -> None:
        """Keep a certificate as the model's latest."""
        self._records[model_id] = replace(self._records[model_id], certificate=certificate)

    def update(self, model_id: int, changes: Mapping[str, Any]) -> None:
        """Change name, description or alert threshold; ConflictError if the name is taken."""
        if changes.get("name", self.get(model_id).name) != self.get(model_id).name:
            self._refuse_taken(changes["name"])
        self._records[model_id] = replace(self.get(model_id), **changes)

    def delete(self, model_id: int) -> None:
        """Forget a model."""
        del self._records[model_id]

    def save_test(self, result: TestResult) -> int:
        """Keep a test and return its number."""
        self._tests.append(result)
        return len(self._tests)

    def save_comparison(self, comparison: Comparison) -> int:
        """Keep a comparison and return its number."""
        self._comparisons.append(comparison)
        return len(self._comparisons)

    def tests_of(self, model_id: int, limit: int = 100) -> Sequence[TestResult]:
        """Return a model's tests, newest first."""
        return [test for test in reversed(self._tests) if test.model_id == model_id][:limit]

    def _refuse_taken(self, name: str) -> None:
        if any(record.name == name for record in self._records.values()):
            raise ConflictError("model.name_taken", name=name)
