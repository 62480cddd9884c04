"""Test results and comparisons."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt

from kurswerk.api.schemas._base import (
    LARGEST_ID,
    Importance,
    Json,
    PageQuery,
    PageResponse,
    Ratio,
    RequestModel,
    ResponseModel,
    UtcTime,
)
from kurswerk.training import CostsField
from kurswerk.training.spec import UtcTime as GivenTime

Id = Annotated[StrictInt, Field(ge=1, le=LARGEST_ID)]
IdQuery = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Mint = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
Mints = Annotated[list[Mint] | None, Field(min_length=1, max_length=100_000)]

_PERIOD: Json = {"test_start": "2024-03-01T00:00:00Z", "test_end": "2024-04-01T00:00:00Z"}


class TestCreate(RequestModel):
    """The period to test in; both ends belong to it."""

    __test__ = False  # no test case, whatever pytest makes of the name

    model_config = ConfigDict(json_schema_extra={"examples": [_PERIOD]})

    test_start: GivenTime = Field(description="First moment of the rows to judge.")
    test_end: GivenTime = Field(description="Last moment of the rows to judge; must lie after test_start.")
    mints: Mints = Field(None, description="Only these coins; null is all.")
    costs: CostsField = Field(
        None, description="Of simulated trades: a preset's name, or fee and slippage; null is the model's."
    )


class ComparisonCreate(TestCreate):
    """Two different models and the period to compare them in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model_a_id": 7, "model_b_id": 8, **_PERIOD}]})

    model_a_id: Id = Field(description="A READY model.")
    model_b_id: Id = Field(description="Another READY model.")


class ResultQuery(PageQuery):
    """Which results, newest first unless turned round."""

    sort: Literal["id"] = Field("id", description="What to sort by.")
    model_id: IdQuery | None = Field(None, description="Only those of this model.")


class TestRead(ResponseModel):
    """How a model did in a period."""

    __test__ = False

    id: int = Field(examples=[3])
    model_id: int = Field(examples=[7])
    test_start: UtcTime
    test_end: UtcTime
    accuracy: Ratio
    f1_score: Ratio
    precision_score: Ratio
    recall: Ratio
    roc_auc: Ratio
    mcc: float | None
    fpr: Ratio
    fnr: Ratio
    confusion_matrix: dict[str, int] | None
    tp: int | None
    tn: int | None
    fp: int | None
    fn: int | None
    num_samples: int | None
    num_positive: int | None
    num_negative: int | None
    has_overlap: bool = Field(description="Whether the period overlaps the training period.")
    overlap_note: str | None
    feature_importance: Importance
    train_accuracy: Ratio
    accuracy_degradation: float | None
    is_overfitted: bool | None
    simulated_profit_pct: float | None
    evaluation: Json | None = Field(description="Metrics with confidence intervals, against naive baselines.")
    created_at: UtcTime


class TestPage(PageResponse):
    """One page of test results."""

    __test__ = False

    test_results: list[TestRead]


class ComparisonRead(ResponseModel):
    """How two models did on identical rows."""

    id: int = Field(examples=[2])
    model_a_id: int = Field(examples=[7])
    model_b_id: int = Field(examples=[8])
    test_a_id: int | None
    test_b_id: int | None
    test_start: UtcTime
    test_end: UtcTime
    num_samples: int | None
    a_accuracy: Ratio
    a_f1: Ratio
    a_precision: Ratio
    a_recall: Ratio
    b_accuracy: Ratio
    b_f1: Ratio
    b_precision: Ratio
    b_recall: Ratio
    winner_id: int | None = Field(description="Higher F1 wins; null is a draw.")
    significance: Json | None = Field(description="Whether the difference is more than luck.")
    created_at: UtcTime


class ComparisonPage(PageResponse):
    """One page of comparisons."""

    comparisons: list[ComparisonRead]
