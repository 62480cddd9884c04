"""What is kept of a model, a test and a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kurswerk.core.messages import Message
from kurswerk.evaluation import Metrics

Json = Mapping[str, Any]
# Those of an older service have NO_ARTIFACT: they are listed, and can be trained again.
MODEL_STATUSES = ("TRAINING", "READY", "FAILED", "NO_ARTIFACT")


@dataclass(frozen=True)
class NewModel:
    """A model about to be trained: its whole specification as JSON (contracts.md, "A model's specification")."""

    spec: Json


@dataclass(frozen=True)
class TrainedVersion:
    """All that training leaves behind; stored in the transaction that turns the model READY.

    Attributes
    ----------
    artifact
        ONNX bytes; kept under their SHA-256.
    features
        Names in the order of the model's input.
    feature_hashes
        Name → hash of the feature's definition.
    dataset_fingerprint
        SHA-256 of the panel the model was trained from.
    library_versions
        Name → version of what took part.
    metrics
        Of the final model, out of fold where folds were asked for.
    evaluation
        Metrics with confidence intervals beside the baselines, as JSON.
    cv_scores, cv_overfitting_gap
        Scores per fold, and mean train minus mean test F1.
    feature_importance
        Name → share in [0, 1], descending.
    certificate
        What the leak probes found; None where they have not been tried yet.
    """

    artifact: bytes
    features: tuple[str, ...]
    feature_hashes: Mapping[str, str]
    dataset_fingerprint: str
    library_versions: Mapping[str, str]
    metrics: Metrics
    evaluation: Json
    cv_scores: Json | None
    cv_overfitting_gap: float | None
    feature_importance: Mapping[str, float]
    certificate: Json | None = None


@dataclass(frozen=True)
class ModelRecord:
    """One row of ``ml_models``."""

    id: int
    name: str
    model_type: str
    status: str
    is_deleted: bool
    is_active: bool
    alert_threshold: float
    spec: Json
    features: tuple[str, ...]
    train_start: datetime
    train_end: datetime
    created_at: datetime
    description: str | None = None
    metrics: Metrics | None = None
    artifact_sha256: str | None = None
    dataset_fingerprint: str | None = None
    feature_hashes: Mapping[str, str] = field(default_factory=dict)
    library_versions: Mapping[str, str] = field(default_factory=dict)
    evaluation: Json | None = None
    cv_scores: Json | None = None
    cv_overfitting_gap: float | None = None
    feature_importance: Mapping[str, float] = field(default_factory=dict)
    certificate: Json | None = None
    error_msg: str | None = None
    error_detail: Message | None = None


@dataclass(frozen=True)
class TestResult:
    """One row of ``ml_test_results`` (``id`` and ``created_at`` are given by the store).

    ``overlap_note`` describes by how much the period overlaps the training period; ``evaluation`` holds metrics
    with confidence intervals beside the baselines.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    model_id: int
    test_start: datetime
    test_end: datetime
    metrics: Metrics
    num_samples: int
    num_positive: int
    num_negative: int
    has_overlap: bool
    overlap_note: str | None
    train_accuracy: float | None
    accuracy_degradation: float | None
    is_overfitted: bool | None
    feature_importance: Mapping[str, float]
    evaluation: Json
    id: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Comparison:
    """One row of ``ml_comparisons``; ``winner_id`` None is a draw, ``significance`` the paired tests as JSON."""

    model_a_id: int
    model_b_id: int
    test_a_id: int
    test_b_id: int
    test_start: datetime
    test_end: datetime
    num_samples: int
    a_metrics: Metrics
    b_metrics: Metrics
    winner_id: int | None
    significance: Json
    id: int | None = None
    created_at: datetime | None = None
