"""Loading a registered model: only bytes that are proven to be what was registered."""

from collections.abc import Sequence

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ArtifactCorruptError, ArtifactForeignError, ConflictError
from kurswerk.features import FeaturePlan
from kurswerk.market import DEFAULT_MARKET, MarketSchema, market_named
from kurswerk.models import OnnxModel
from kurswerk.registry._records import ModelRecord
from kurswerk.registry.ports import ModelStore

# Of the features whose definitions have changed.
_MOST_NAMED = 5


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
        raise ConflictError("model.not_ready_for_use", name=record.name, status=record.status)
    data = store.artifact(record.artifact_sha256)
    found = sha256_bytes(data)
    if found != record.artifact_sha256:
        raise ArtifactCorruptError(
            "artifact.not_the_registered_one",
            name=record.name,
            found=found[:12],
            registered=record.artifact_sha256[:12],
        )
    model = OnnxModel.load(data)
    if tuple(model.feature_names) != record.features:
        raise ArtifactForeignError("artifact.of_other_features", name=record.name)
    return model


def market_of(record: ModelRecord) -> MarketSchema:
    """Return the market whose rows a model predicts.

    Raises
    ------
    UnknownNameError
        If it is not registered any more.
    """
    return market_named(record.spec.get("market", DEFAULT_MARKET))


def common_market(records: Sequence[ModelRecord]) -> MarketSchema:
    """Return the market of several models, at least one.

    Raises
    ------
    ConflictError
        If they are of different markets, so that no row can be predicted by all of them.
    UnknownNameError
        As for `market_of`.
    """
    first, market = records[0], market_of(records[0])
    for other in records[1:]:
        if market_of(other) is not market:
            raise ConflictError(
                "model.different_markets",
                a=first.name,
                market_a=market.name,
                b=other.name,
                market_b=market_of(other).name,
            )
    return market


def plan_of(record: ModelRecord) -> FeaturePlan:
    """Return the plan that computes a model's features as they were defined when it was trained.

    Raises
    ------
    ArtifactForeignError
        If a feature's definition has changed since; the model would be fed other numbers than it learnt from.
    """
    plan = FeaturePlan(record.features, market_of(record))
    changed = [name for name, digest in plan.definitions.items() if record.feature_hashes.get(name) != digest]
    if changed:
        code = "model.features_redefined" if len(changed) <= _MOST_NAMED else "model.many_features_redefined"
        raise ArtifactForeignError(code, name=record.name, features=changed[:_MOST_NAMED])
    return plan
