"""Only a certified model may predict."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kurswerk.core.errors import ConflictError, SpecError
from kurswerk.core.messages import Message
from kurswerk.registry import ModelRecord, ModelStore, load_model, plan_of


class ActivationStore(Protocol):
    """Turns models on and off."""

    def activate(self, model_id: int, *, forced: bool = False, reason: str | None = None) -> bool:
        """Let a model predict every row committed from now on; return whether it did not already."""
        ...

    def deactivate(self, model_id: int, reason: str | None = None) -> bool:
        """Let a model predict no more; return whether it did."""
        ...

    def reload(self, model_id: int) -> None:
        """Make every replica load the model anew."""
        ...

    def active(self) -> Sequence[Mapping[str, Any]]:
        """Return the active models and how they do."""
        ...


class NotCertifiedError(ConflictError):
    """A model must not be activated; ``failed_checks`` states why, one object per check."""

    def __init__(self, code: str, /, *, failed_checks: Sequence[Mapping[str, Any]], **params: Any) -> None:
        super().__init__(code, **params)
        self.failed_checks = tuple(failed_checks)


def activate(
    model: int | str, models: ModelStore, store: ActivationStore, *, force: bool = False, reason: str | None = None
) -> tuple[ModelRecord, bool]:
    """Let a model predict every row that is committed from now on.

    Parameters
    ----------
    model
        Id or name.
    force
        Activate it though it is not certified; ``reason`` is recorded and must be given.

    Returns
    -------
    tuple
        The model, and whether it was not active before.

    Raises
    ------
    NotFoundError
        If there is no such model.
    NotCertifiedError
        If its certificate is missing, was not passed, or belongs to another artifact; it names the failed checks.
    ConflictError, ArtifactError
        If it is not READY or cannot be loaded.
    SpecError
        If it is forced without a reason.
    """
    if force and not (reason or "").strip():
        raise SpecError("model.activation_needs_reason")
    record = models.get(model)
    load_model(record, models)
    plan_of(record)
    if not force:
        require_certificate(record)
    return record, store.activate(record.id, forced=force, reason=reason)


def require_certificate(record: ModelRecord) -> None:
    """Raise NotCertifiedError unless the model's own artifact passed every check."""
    certificate = record.certificate
    if not certificate:
        raise NotCertifiedError("model.not_certified", name=record.name, id=record.id, failed_checks=[])
    if certificate.get("artifact_sha256") != record.artifact_sha256:
        raise NotCertifiedError(
            "model.certificate_of_other_artifact",
            name=record.name,
            id=record.id,
            failed_checks=[],
        )
    if not certificate.get("certified"):
        failed = [
            {"check": probe.get("check"), "message": probe.get("message")}
            for probe in certificate.get("probes", ())
            if not probe.get("passed")
        ]
        names = [_check_name(str(probe["check"])) for probe in failed] or Message("model.nothing_compared")
        raise NotCertifiedError("model.certificate_failed", name=record.name, checks=names, failed_checks=failed)


def _check_name(check: str) -> Message | str:
    """Return the name of a check in every language, where this version knows it."""
    code = f"check.{check}"
    return Message(code) if Message(code).is_known else check
