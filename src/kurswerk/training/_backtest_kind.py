"""The kind of job that back-tests a model."""

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from kurswerk.backtest import SignalRule, TradingRules
from kurswerk.core.timestamps import to_us
from kurswerk.jobs import Job, JobKind, JobResult, Progress
from kurswerk.training._backtesting import ModelTrading, backtest_model, check_backtest
from kurswerk.training._job_kinds import Mints, ModelKey
from kurswerk.training._period import Period
from kurswerk.training.ports import TrainingStores
from kurswerk.training.spec import UtcTime, problems_of


class BacktestRequest(BaseModel):
    """A model, a period, when its probabilities become signals, and the rules by which these trade."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        json_schema_extra={
            "examples": [
                {
                    "model_id": 7,
                    "test_start": "2025-01-01T04:00:00Z",
                    "test_end": "2025-01-01T06:00:00Z",
                    "signal": {"enter": 0.6, "leave": 0.4},
                    "rules": {"exits": {"stop_loss": 0.05}},
                }
            ]
        },
    )

    model_id: ModelKey = Field(description="A model, by id or name.")
    test_start: UtcTime = Field(description="First moment of the bars that are traded.")
    test_end: UtcTime = Field(description="Last moment.")
    mints: Mints = Field(default=None, description="Only these instruments; null is all.")
    signal: SignalRule = Field(
        default=SignalRule(), description="When a probability becomes a signal; the direction is that of the target."
    )
    rules: TradingRules = Field(default=TradingRules(), description="Account, execution, costs, sizes and exits.")
    trials: Annotated[StrictInt, Field(ge=1, le=10**9)] = Field(
        default=1, description="How many variants were tried, this one included; deflates the Sharpe ratio."
    )

    @classmethod
    def parse(cls, document: object) -> Self:
        """Validate a JSON object; SpecError with all that is wrong."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise problems_of(error) from error

    @property
    def trading(self) -> ModelTrading:
        """What is to be done; SpecError if the period is empty or reversed."""
        period = Period(to_us(self.test_start), to_us(self.test_end))
        return ModelTrading(self.model_id, period, self.mints, self.signal, self.rules, self.trials)


class BacktestResult(BaseModel):
    """Metrics with intervals, baselines, findings, costs, the curve of the equity and trades."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: int
    start: str
    end: str
    data_fingerprint: str
    rules: dict[str, Any]
    metrics: dict[str, float | int | None]
    intervals: dict[str, dict[str, float | None]]
    costs: dict[str, float]
    baselines: dict[str, Any]
    deflated_sharpe: dict[str, float] | None
    findings: list[dict[str, Any]]
    signals: int
    equity: list[dict[str, Any]]
    trades: list[dict[str, Any]]
    open_positions: list[dict[str, Any]]


def backtest_kind(stores: TrainingStores) -> JobKind[BacktestRequest]:
    """Return the kind of job that back-tests a model; its result is stored with the job."""

    def check(request: BacktestRequest) -> BacktestRequest:
        return request.model_copy(update={"model_id": check_backtest(request.trading, stores).id})

    def run(_: Job, request: BacktestRequest, progress: Progress) -> Callable[[], JobResult]:
        document = BacktestResult.model_validate(backtest_model(request.trading, stores, progress))
        return lambda: JobResult(document)

    return JobKind(
        name="BACKTEST",
        title="Back-test of {model_id}",
        label="Back-test of models",
        request=BacktestRequest,
        check=check,
        run=run,
        result=BacktestResult,
    )
