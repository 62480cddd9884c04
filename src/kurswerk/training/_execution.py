"""Carry out what was ordered; the result and the job's end commit together."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kurswerk.core.timestamps import parse_timestamp
from kurswerk.training._certifying import certify, certify_version
from kurswerk.training._comparing import evaluate_comparison
from kurswerk.training._fit import fit_version, load_dataset
from kurswerk.training._jobs import Job
from kurswerk.training._orders import OrderDesk, check_scoring, check_training
from kurswerk.training._testing import Period, evaluate_test
from kurswerk.training.ports import Progress
from kurswerk.training.spec import ModelSpec

# Of a training's progress; the rest is its certificate.
_TRAINING_SHARE = 0.8


def run_job(job: Job, desk: OrderDesk, progress: Progress) -> None:
    """Carry out a RUNNING job and complete it.

    A job that is begun again after a crash does no harm: nothing of an earlier run has been stored, because results are
    stored in the transaction that completes the job, and only by the present run.

    Raises
    ------
    ConflictError
        If this run of the job is not the present one any more; nothing is stored.
    KurswerkError
        If the work fails for a reason that would be the same next time.
    DatabaseUnavailableError
        If the database is lost; the job may be tried again.
    """
    _WORK[job.job_type](job, desk, progress)


def _train(job: Job, desk: OrderDesk, progress: Progress) -> None:
    record = desk.models.get(int(job.result_model_id or 0))
    spec = ModelSpec.parse(record.spec)
    check_training(spec, desk)
    heard = _part(progress, 0, _TRAINING_SHARE)
    dataset = load_dataset(spec, desk.market, heard)
    version = fit_version(spec, dataset, progress=heard)
    panel = dataset.panel
    del dataset  # the features of all rows: the probes compute those they need
    document = certify_version(record, version, panel, progress=_part(progress, _TRAINING_SHARE, 1))
    with desk.jobs.transaction():
        desk.jobs.complete(job)
        desk.models.complete(record.id, replace(version, certificate=document))


def _test(job: Job, desk: OrderDesk, progress: Progress) -> None:
    model_id, period, mints = int(job.request["model_id"]), _period(job), job.request.get("mints")
    check_scoring(desk.models.get(model_id), period, mints, desk)
    result = evaluate_test(model_id, period, desk.market, desk.models, mints=mints, progress=progress)
    with desk.jobs.transaction():
        desk.jobs.complete(job, test_id=desk.results.save_test(result))


def _compare(job: Job, desk: OrderDesk, progress: Progress) -> None:
    sides, period = (int(job.request["model_a_id"]), int(job.request["model_b_id"])), _period(job)
    mints = job.request.get("mints")
    for side in sides:
        check_scoring(desk.models.get(side), period, mints, desk)
    duel = evaluate_comparison(*sides, period, desk.market, desk.models, mints=mints, progress=progress)
    with desk.jobs.transaction():
        desk.jobs.complete(job, comparison_id=duel.save(desk.results)[0])


def _certify(job: Job, desk: OrderDesk, progress: Progress) -> None:
    certify(int(job.request["model_id"]), desk.market, desk.models, progress=progress)
    desk.jobs.complete(job)


_WORK: Mapping[str, Callable[[Job, OrderDesk, Progress], None]] = {
    "TRAIN": _train,
    "TEST": _test,
    "COMPARE": _compare,
    "CERTIFY": _certify,
}


def _period(job: Job) -> Period:
    return Period(parse_timestamp(job.request["test_start"]), parse_timestamp(job.request["test_end"]))


def _part(progress: Progress, start: float, end: float) -> Progress:
    """Return a progress whose 0 to 1 is a part of another one."""

    def heard(fraction: float, message: str, /) -> None:
        progress(start + (end - start) * fraction, message)

    return heard
