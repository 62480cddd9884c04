"""Jobs with the stores that they work with, and orders of each kind as tests write them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kurswerk.bootstrap.job_kinds import job_files, job_kinds
from kurswerk.core.timestamps import format_timestamp
from kurswerk.jobs import Job, JobService, JobStore
from kurswerk.market import DEFAULT_MARKET
from kurswerk.registry import ModelStore, ResultStore
from kurswerk.training import MarketSurvey, ModelSpec, Period, TrainingStores

# The data folder of tests whose jobs write no files: none can be made in it.
NO_FILES = Path(os.devnull)


@dataclass(frozen=True)
class JobEnvironment:
    """Market, models, results and jobs, all of one database or all in memory."""

    market: MarketSurvey
    models: ModelStore
    results: ResultStore
    jobs: JobStore
    memory_budget_bytes: int | None = None
    data_dir: Path = NO_FILES

    @property
    def stores(self) -> TrainingStores:
        return TrainingStores({DEFAULT_MARKET: self.market}, self.models, self.results, self.memory_budget_bytes)

    @property
    def service(self) -> JobService:
        return JobService(job_kinds(self.stores, job_files(self.data_dir)), self.jobs)


def order_training(spec: ModelSpec, env: JobEnvironment, **options: Any) -> Job:
    return env.service.order("TRAIN", spec, **options)


def order_test(
    model: int | str, period: Period, mints: Sequence[str] | None, env: JobEnvironment, **options: Any
) -> Job:
    return env.service.order("TEST", {"model_id": model, **period.as_request(), "mints": mints}, **options)


def order_comparison(
    a: int | str, b: int | str, period: Period, mints: Sequence[str] | None, env: JobEnvironment, **options: Any
) -> Job:
    request = {"model_a_id": a, "model_b_id": b, **period.as_request(), "mints": mints}
    return env.service.order("COMPARE", request, **options)


def order_certificate(model: int | str, env: JobEnvironment, **options: Any) -> Job:
    return env.service.order("CERTIFY", {"model_id": model}, **options)


def order_features(env: JobEnvironment, *, start_us: int, end_us: int, **request: Any) -> Job:
    period = {"start": format_timestamp(start_us), "end": format_timestamp(end_us)}
    return env.service.order("FEATURES", {**period, **request})
