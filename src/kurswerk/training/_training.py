"""Train a model: from its specification to a READY, certified version in the registry."""

from dataclasses import replace

from kurswerk.core.errors import KurswerkError
from kurswerk.core.messages import Message
from kurswerk.jobs import Progress, no_progress, unexpected_error
from kurswerk.registry import ModelRecord, NewModel, TrainedVersion
from kurswerk.training._certifying import certify_version
from kurswerk.training._checks import check_training
from kurswerk.training._fit import fit_version, load_dataset
from kurswerk.training.ports import TrainingStores
from kurswerk.training.spec import ModelSpec

# Of a training's progress; the rest is its certificate.
_TRAINING_SHARE = 0.8


def train(spec: ModelSpec, stores: TrainingStores, *, progress: Progress = no_progress) -> ModelRecord:
    """Train a model, certify it and register it: what a job of kind TRAIN does, at once.

    Returns
    -------
    ModelRecord
        The model, READY.

    Raises
    ------
    UnknownNameError, NoDataError, DataError
        If it cannot succeed on the data as they are, as `check_training` finds; nothing is written.
    ConflictError
        If the name is taken.
    KurswerkError
        If it cannot be trained; the model is then FAILED with the same reason.
    """
    check_training(spec, stores)
    models = stores.models
    model_id = models.create(NewModel(spec.as_json()))
    try:
        models.complete(model_id, train_version(models.get(model_id), stores, progress))
    except KurswerkError as error:
        models.fail(model_id, error.message)
        raise
    except BaseException as error:  # interrupted or out of memory: the row must not stay TRAINING for ever
        models.fail(model_id, unexpected_error(error))
        raise
    return models.get(model_id)


def train_version(record: ModelRecord, stores: TrainingStores, progress: Progress = no_progress) -> TrainedVersion:
    """Train the version of a model that its stored specification describes, and certify it; nothing is stored.

    Raises
    ------
    KurswerkError
        If it cannot be trained.
    """
    spec = ModelSpec.stored(record.spec)
    check_training(spec, stores)
    training = _part(progress, 0, _TRAINING_SHARE)
    dataset = load_dataset(spec, stores.markets[spec.market], training)
    version = fit_version(spec, dataset, progress=training)
    panel = dataset.panel
    del dataset  # the features of all rows: the probes compute those they need
    document = certify_version(record, version, panel, progress=_part(progress, _TRAINING_SHARE, 1))
    return replace(version, certificate=document)


def _part(progress: Progress, start: float, end: float) -> Progress:
    """Return a progress whose 0 to 1 is a part of another one."""

    def report(fraction: float, message: Message, /) -> None:
        progress(start + (end - start) * fraction, message)

    return report
