"""Loading a registered model: only bytes that are proven to be what was registered."""

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ArtifactCorruptError, ArtifactForeignError, ConflictError
from kurswerk.features import FeaturePlan
from kurswerk.models import OnnxModel
from kurswerk.registry._records import ModelRecord
from kurswerk.registry.ports import ModelStore


def load_model(record: ModelRecord, store: ModelStore) -> OnnxModel:
    """Fetch a model's artifact, verify it against its record and load it.

    Raises
    ------
    ConflictError
        If the model is not READY.
    ArtifactCorruptError
        If the stored bytes differ from the SHA-256 of the record.
    ArtifactForeignError
        If the bytes are no Kurswerk model, or one of other features.
    """
    if record.status != "READY" or record.artifact_sha256 is None:
        raise ConflictError(f"model '{record.name}' is {record.status}, not READY; train it first")
    data = store.artifact(record.artifact_sha256)
    found = sha256_bytes(data)
    if found != record.artifact_sha256:
        raise ArtifactCorruptError(
            f"the artifact of model '{record.name}' has SHA-256 {found[:12]}…, registered is "
            f"{record.artifact_sha256[:12]}…; train it again or restore the database"
        )
    model = OnnxModel.load(data)
    if tuple(model.feature_names) != record.features:
        raise ArtifactForeignError(f"the artifact of model '{record.name}' was made for other features than its record")
    return model


def plan_of(record: ModelRecord) -> FeaturePlan:
    """Return the plan that computes a model's features as they were defined when it was trained.

    Raises
    ------
    ArtifactForeignError
        If a feature's definition has changed since; the model would be fed other numbers than it learnt from.
    """
    plan = FeaturePlan(record.features)
    changed = [name for name, digest in plan.definitions.items() if record.feature_hashes.get(name) != digest]
    if changed:
        raise ArtifactForeignError(
            f"model '{record.name}' was trained with another definition of {', '.join(changed[:5])}"
            f"{' and others' if len(changed) > 5 else ''}; train it again"
        )
    return plan
