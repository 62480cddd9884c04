"""What the service answers, typed. Fields that a newer service adds are kept as attributes too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")
JobStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class _Record(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class Order(_Record):
    """The answer to a training, test or comparison that was ordered: the job that will do it."""

    job_id: int
    message: str = ""
    status: JobStatus = "PENDING"


class Model(_Record):
    """A model; its metrics are out of fold and None until it is READY."""

    id: int
    name: str
    market: str = "coins"
    model_type: str
    status: Literal["TRAINING", "READY", "FAILED", "NO_ARTIFACT"]
    is_active: bool = False
    alert_threshold: float = 0.7
    description: str | None = None
    features: list[str] = Field(default_factory=list)
    train_start: datetime
    train_end: datetime
    training_accuracy: float | None = None
    training_f1: float | None = None
    training_precision: float | None = None
    training_recall: float | None = None
    roc_auc: float | None = None
    artifact_sha256: str | None = None
    certificate: dict[str, Any] | None = None


class TestResult(_Record):
    """A model's metrics on a period of your choice."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    id: int
    model_id: int
    test_start: datetime
    test_end: datetime
    accuracy: float | None = None
    f1_score: float | None = None
    precision_score: float | None = None
    recall: float | None = None
    roc_auc: float | None = None
    num_samples: int
    has_overlap: bool = False
    overlap_note: str | None = None


class Comparison(_Record):
    """Two models on identical rows; ``winner_id`` None is a draw."""

    id: int
    model_a_id: int
    model_b_id: int
    test_a_id: int | None = None
    test_b_id: int | None = None
    test_start: datetime
    test_end: datetime
    num_samples: int
    a_f1: float | None = None
    b_f1: float | None = None
    winner_id: int | None = None


class Detail(_Record):
    """Code and parameters of a message; the text beside it is its English rendering."""

    code: str
    params: dict[str, Any] = {}


class Job(_Record):
    """A job; ``progress`` is in [0, 1], and one of the results is there once it is COMPLETED."""

    id: int
    job_type: str
    status: JobStatus
    priority: int = 0
    progress: float = 0.0
    progress_msg: str | None = None
    progress_detail: Detail | None = None
    error_msg: str | None = None
    error_detail: Detail | None = None
    result: dict[str, Any] | None = None
    result_model_id: int | None = None
    result_test_id: int | None = None
    result_comparison_id: int | None = None
    result_model: Model | None = None
    result_test: TestResult | None = None
    result_comparison: Comparison | None = None
    attempt: int = 0
    request_id: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


class JobLine(_Record):
    """One line of a job's log: what happened in which run, ``level`` is ``info``, ``warning`` or ``error``."""

    id: int
    created_at: datetime
    attempt: int
    level: str
    message: str
    detail: Detail | None = None


class Outcome(_Record):
    """What became of a prediction: ``label`` is 1 or 0, or None for a ``reason``."""

    label: int | None = None
    reason: str | None = None
    judged_at: datetime
    corrected_at: datetime | None = None


class Prediction(_Record):
    """A stored prediction; ``in_scope`` is whether its row is of the phases and mints that the model was made for.

    ``outcome`` is None until its horizon has passed. ``forecast``, ``low`` and ``high`` are those of a forecast model.
    """

    id: int
    coin_id: str
    timestamp: datetime
    model_id: int
    model_name: str
    prediction: int
    probability: float
    in_scope: bool = True
    features: dict[str, Any] | None = None
    created_at: datetime
    outcome: Outcome | None = None
    forecast: float | None = None
    low: float | None = None
    high: float | None = None


class Estimate(_Record):
    """A metric with its 95 % interval; None where it is undefined or there is too little to draw from."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Performance(_Record):
    """A model's live predictions of rows in scope, compared with what became of them."""

    model_id: int
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    threshold: float
    known: int
    positive: int
    predicted_positive: int
    true_positive: int
    unknown: dict[str, int] = Field(default_factory=dict)
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    calibration: list[dict[str, Any]] = Field(default_factory=list)
    forecast: dict[str, Any] | None = None


class ModelPrediction(_Record):
    """What one model predicts on demand; ``alert_triggered`` is never true for a row out of scope."""

    model_id: int
    model_name: str
    prediction: int
    probability: float
    alert_triggered: bool = False
    in_scope: bool = True
    missing_features: list[str] = Field(default_factory=list)
    forecast: float | None = None
    low: float | None = None
    high: float | None = None


class RowPredictions(_Record):
    """What the models predict on demand from one row of a coin, that of ``timestamp``; nothing of it is stored."""

    coin_id: str
    timestamp: datetime
    predictions: list[ModelPrediction]


class Phase(_Record):
    """A phase in a coin's life."""

    id: int
    name: str
    interval_seconds: int | None = None


class Availability(_Record):
    """Which market data there are; the timestamps are None where there are none."""

    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    rows: int
    coins: int


class Health(_Record):
    """How the service is; ``checks`` has a status and a message for each thing it depends on."""

    status: Literal["healthy", "degraded", "unhealthy"]
    uptime_seconds: float
    db_connected: bool
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list, and how many entries there are on all pages together."""

    items: Sequence[Item]
    total: int
    limit: int
    offset: int

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
