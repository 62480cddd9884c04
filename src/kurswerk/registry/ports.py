"""What the registry needs of a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kurswerk.core.messages import Message
from kurswerk.registry._records import Comparison, ModelRecord, NewModel, TestResult, TrainedVersion


@dataclass(frozen=True)
class PageRequest:
    """Which part of a list, in which order."""

    limit: int = 100
    offset: int = 0
    sort: str = "id"
    descending: bool = True


@dataclass(frozen=True)
class Listing:
    """One page of rows, and how many rows there are on all pages together."""

    rows: Sequence[Mapping[str, Any]]
    total: int


class ModelStore(Protocol):
    """Keeps models and their artifacts. Deleted models are never found."""

    def create(self, model: NewModel) -> int:
        """Insert a model with status TRAINING and return its id; ConflictError if the name is taken."""
        ...

    def complete(self, model_id: int, version: TrainedVersion) -> None:
        """Store artifact and metrics and turn the model READY, all in one transaction."""
        ...

    def fail(self, model_id: int, reason: Message) -> None:
        """Turn the model FAILED with a reason."""
        ...

    def reopen(self, model_id: int) -> None:
        """Turn a FAILED model TRAINING again, a deleted one too; ConflictError if its name is taken."""
        ...

    def get(self, model: int | str) -> ModelRecord:
        """Return a model by id or name; NotFoundError names the nearest name."""
        ...

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
        ...

    def artifact(self, sha256: str) -> bytes:
        """Return the bytes registered under a hash, unverified; NotFoundError if there are none."""
        ...

    def set_certificate(self, model_id: int, certificate: Mapping[str, Any]) -> None:
        """Store a certificate as the model's latest."""
        ...

    def update(self, model_id: int, changes: Mapping[str, Any]) -> None:
        """Change name, description or alert threshold; ConflictError if the name is taken."""
        ...

    def delete(self, model_id: int) -> None:
        """Mark a model deleted; its name is free again."""
        ...


class ResultStore(Protocol):
    """Keeps tests and comparisons."""

    def save_test(self, result: TestResult) -> int:
        """Insert and return the id."""
        ...

    def save_comparison(self, comparison: Comparison) -> int:
        """Insert and return the id."""
        ...

    def tests_of(self, model_id: int, limit: int = 100) -> Sequence[TestResult]:
        """Return a model's tests, newest first."""
        ...
