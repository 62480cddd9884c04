"""Jobs with the stores that they work with, and orders of each kind as tests write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kurswerk.bootstrap.job_kinds import job_kinds
from kurswerk.jobs import Job, JobService, JobStore
from kurswerk.registry import ModelStore, ResultStore
from kurswerk.training import MarketSurvey, ModelSpec, Period, TrainingStores


@dataclass(frozen=True)
class JobDesk:
    """Market, models, results and jobs, all of one database or all in memory."""

    market: MarketSurvey
    models: ModelStore
    results: ResultStore
    jobs: JobStore
    memory_budget_bytes: int | None = None

    @property
    def stores(self) -> TrainingStores:
        return TrainingStores(self.market, self.models, self.results, self.memory_budget_bytes)

    @property
    def service(self) -> JobService:
        return JobService(job_kinds(self.stores), self.jobs)


def order_training(spec: ModelSpec, desk: JobDesk, **options: Any) -> Job:
    return desk.service.order("TRAIN", spec, **options)


def order_test(model: int | str, period: Period, mints: Sequence[str] | None, desk: JobDesk, **options: Any) -> Job:
    return desk.service.order("TEST", {"model_id": model, **period.as_request(), "mints": mints}, **options)


def order_comparison(
    a: int | str, b: int | str, period: Period, mints: Sequence[str] | None, desk: JobDesk, **options: Any
) -> Job:
    request = {"model_a_id": a, "model_b_id": b, **period.as_request(), "mints": mints}
    return desk.service.order("COMPARE", request, **options)


def order_certificate(model: int | str, desk: JobDesk, **options: Any) -> Job:
    return desk.service.order("CERTIFY", {"model_id": model}, **options)
