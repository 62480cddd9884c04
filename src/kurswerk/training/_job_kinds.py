"""The kinds of job of training: train, test, compare and certify."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt
from typing_extensions import override

from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_us
from kurswerk.jobs import Job, JobHooks, JobKind, JobResult, Progress
from kurswerk.registry import ModelStore, NewModel, plan_of
from kurswerk.training._certifying import evaluate_certificate
from kurswerk.training._checks import check_scoring, check_training, different_models, ready_model
from kurswerk.training._comparing import evaluate_comparison
from kurswerk.training._costs import CostsField
from kurswerk.training._period import Period
from kurswerk.training._testing import evaluate_test
from kurswerk.training._training import train_version
from kurswerk.training.ports import TrainingStores
from kurswerk.training.spec import ModelSpec, Text, UtcTime

ModelKey = Annotated[StrictInt, Field(ge=1, le=2**63 - 1)] | Annotated[Text, Field(min_length=1, max_length=255)]
Mints = Annotated[tuple[Text, ...] | None, Field(min_length=1, max_length=100_000)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class CertifyRequest(_Request):
    """A model, by id or name."""

    model_id: ModelKey


class PeriodRequest(_Request):
    """A period, both ends inclusive, on some coins or all, with costs other than the model's own if given."""

    test_start: UtcTime
    test_end: UtcTime
    mints: Mints = None
    costs: CostsField = None

    @property
    def period(self) -> Period:
        """The period; SpecError if it is empty or reversed."""
        return Period(to_us(self.test_start), to_us(self.test_end))


class TestRequest(PeriodRequest):
    """A model to test and the period to test it in."""

    __test__ = False  # no test case, whatever pytest makes of the name

    model_id: ModelKey


class CompareRequest(PeriodRequest):
    """Two models and the period to compare them in."""

    model_a_id: ModelKey
    model_b_id: ModelKey


class ModelJobResult(BaseModel):
    """The model that was trained or certified, and the findings of its certificate."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: int
    certified: bool


class TestJobResult(BaseModel):
    """The stored test result."""

    __test__ = False

    test_id: int


class CompareJobResult(BaseModel):
    """The stored comparison with its two tests; ``winner_id`` None is a draw."""

    comparison_id: int
    test_a_id: int
    test_b_id: int
    winner_id: int | None


class _ReservedModel(JobHooks[ModelSpec]):
    """A training has its model from the order on: it reserves the name, and ends with the job."""

    def __init__(self, models: ModelStore) -> None:
        self._models = models

    @override
    def ordered(self, request: ModelSpec, /) -> int | None:
        return self._models.create(NewModel(request.as_json()))

    @override
    def failed(self, job: Job, reason: Message, /) -> None:
        with suppress(NotFoundError, ConflictError):  # deleted meanwhile
            self._models.fail(int(job.result_model_id or 0), reason)

    @override
    def cancelled(self, job: Job, reason: Message, /) -> None:
        self.failed(job, reason)
        with suppress(NotFoundError):
            self._models.delete(int(job.result_model_id or 0))

    @override
    def retried(self, job: Job, /) -> None:
        self._models.reopen(int(job.result_model_id or 0))


class _CertifiedModel(JobHooks[CertifyRequest]):
    """A certificate is about its model from the start."""

    def __init__(self, models: ModelStore) -> None:
        self._models = models

    @override
    def ordered(self, request: CertifyRequest, /) -> int | None:
        return self._models.get(request.model_id).id


def train_kind(stores: TrainingStores) -> JobKind[ModelSpec]:
    """Return the kind of job that trains a model and certifies it."""

    def check(spec: ModelSpec) -> ModelSpec:
        check_training(spec, stores)
        return spec

    def run(job: Job, _: ModelSpec, progress: Progress) -> Callable[[], JobResult]:
        record = stores.models.get(int(job.result_model_id or 0))
        version = train_version(record, stores, progress)

        def save() -> JobResult:
            stores.models.complete(record.id, version)
            certified = bool((version.certificate or {}).get("certified"))
            return JobResult(ModelJobResult(model_id=record.id, certified=certified))

        return save

    return JobKind(
        name="TRAIN",
        title="Training of {name}",
        label="Training of models",
        request=ModelSpec,
        check=check,
        run=run,
        result=ModelJobResult,
        hooks=_ReservedModel(stores.models),
        read=ModelSpec.stored,
        write=ModelSpec.as_json,
        order_page="new",
    )


def test_kind(stores: TrainingStores) -> JobKind[TestRequest]:
    """Return the kind of job that tests a model."""

    def check(order: TestRequest) -> TestRequest:
        record = ready_model(order.model_id, stores.models)
        check_scoring(record, order.period, order.mints, stores)
        return order.model_copy(update={"model_id": record.id})

    def run(_: Job, order: TestRequest, progress: Progress) -> Callable[[], JobResult]:
        result = evaluate_test(
            order.model_id, order.period, stores, mints=order.mints, costs=order.costs, progress=progress
        )

        def save() -> JobResult:
            test_id = stores.results.save_test(result)
            return JobResult(TestJobResult(test_id=test_id), test_id=test_id)

        return save

    return JobKind("TEST", "Test of {model_id}", TestRequest, check, run, TestJobResult, label="Test of models")


def compare_kind(stores: TrainingStores) -> JobKind[CompareRequest]:
    """Return the kind of job that compares two models on identical rows."""

    def check(order: CompareRequest) -> CompareRequest:
        record_a, record_b = different_models(order.model_a_id, order.model_b_id, stores.models)
        for record in (record_a, record_b):
            check_scoring(record, order.period, order.mints, stores)
        return order.model_copy(update={"model_a_id": record_a.id, "model_b_id": record_b.id})

    def run(_: Job, order: CompareRequest, progress: Progress) -> Callable[[], JobResult]:
        evaluated = evaluate_comparison(
            order.model_a_id,
            order.model_b_id,
            order.period,
            stores,
            mints=order.mints,
            costs=order.costs,
            progress=progress,
        )

        def save() -> JobResult:
            number, comparison = evaluated.save(stores.results)
            document = CompareJobResult(
                comparison_id=number,
                test_a_id=comparison.test_a_id,
                test_b_id=comparison.test_b_id,
                winner_id=comparison.winner_id,
            )
            return JobResult(document, comparison_id=number)

        return save

    title = "Comparison of {model_a_id} with {model_b_id}"
    return JobKind("COMPARE", title, CompareRequest, check, run, CompareJobResult, label="Comparison of models")


def certify_kind(stores: TrainingStores) -> JobKind[CertifyRequest]:
    """Return the kind of job that certifies a model anew."""

    def check(order: CertifyRequest) -> CertifyRequest:
        record = ready_model(order.model_id, stores.models)
        plan_of(record)
        return order.model_copy(update={"model_id": record.id})

    def run(_: Job, order: CertifyRequest, progress: Progress) -> Callable[[], JobResult]:
        record, document = evaluate_certificate(order.model_id, stores.markets, stores.models, progress=progress)

        def save() -> JobResult:
            stores.models.set_certificate(record.id, document)
            return JobResult(ModelJobResult(model_id=record.id, certified=bool(document["certified"])))

        return save

    return JobKind(
        name="CERTIFY",
        title="Certificate of {model_id}",
        label="Certification",
        request=CertifyRequest,
        check=check,
        run=run,
        result=ModelJobResult,
        hooks=_CertifiedModel(stores.models),
    )
