"""Certify a model: replay its own pipeline on its own data and look for a leak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks import (
    Comparisons,
    Effort,
    FeatureSet,
    Finding,
    FoldRows,
    PlanFeatures,
    TrainingRows,
    certificate,
    differing_bits,
    probe_pipeline,
)
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import KurswerkError
from kurswerk.core.messages import Message
from kurswerk.evaluation import Fold
from kurswerk.features import FeaturePlan
from kurswerk.jobs import Progress, no_progress
from kurswerk.labels import Labels, compute_labels, deadlines
from kurswerk.market import Panel
from kurswerk.models import Estimator, OnnxModel, as_model_input
from kurswerk.registry import ModelRecord, ModelStore, TrainedVersion, load_model, plan_of
from kurswerk.training._dataset import Examples, build_dataset, load_for_plan
from kurswerk.training._fit import fit_final, load_dataset
from kurswerk.training._folds import fit_rows, plan_folds
from kurswerk.training._versions import library_versions
from kurswerk.training.ports import MarketStore
from kurswerk.training.spec import ModelSpec

_MOST_ROWS_SERVED = 20_000


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fold's classifier as the probes look at it: its artifact holds all that was fitted."""

    classifier: Estimator
    names: Sequence[str]

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the probability of class 1, shape (n,)."""
        return self.classifier.predict_proba(as_model_input(X))

    def state(self) -> Mapping[str, Any]:
        """Return the ONNX bytes, which hold everything that was learnt."""
        return {"onnx": self.classifier.to_onnx(self.names, {})}


@dataclass(frozen=True, eq=False)
class TrainingPipeline:
    """The pipeline that `train` runs, opened up for the probes: the same functions, called one by one."""

    spec: ModelSpec
    plan: FeaturePlan

    @property
    def features(self) -> FeatureSet:
        """The model's feature vector, batch and live."""
        return PlanFeatures(self.plan)

    @property
    def comparisons(self) -> Comparisons:
        """What of the model compares instruments."""
        plan = self.plan if self.plan.second_stage is not None else None
        return Comparisons(plan, self.plan.market if self.spec.compares else None)

    def deadlines(self, panel: Panel) -> NDArray[np.int64] | None:
        """Return up to which moment each row's label may look; None where it looks at the next row.

        One that compares instruments looks as far as the furthest member of its moment does.
        """
        if self.spec.compares:
            return self.labels(panel).end_us
        return deadlines(panel, self.spec.label_spec())

    def labels(self, panel: Panel) -> Labels:
        """Return the labels of all rows."""
        return compute_labels(panel, self.spec.label_spec())

    def training_rows(self, panel: Panel) -> TrainingRows:
        """Return the rows that take part, as training sees them."""
        spec = self.spec
        period = (spec.train_start_us, spec.train_end_us)
        dataset = build_dataset(panel, self.plan, spec.label_spec(), period, spec.phases, spec.mints, from_cache=False)
        rows = dataset.rows
        return TrainingRows(
            X=as_model_input(dataset.features[rows]),
            y=dataset.y,
            timestamps=dataset.timestamps,
            label_end_us=dataset.labels.end_us[rows],
            embargo_us=dataset.embargo_us[rows],
            codes=dataset.codes,
            panel_rows=rows,
            returns=None if dataset.labels.returns is None else dataset.returns,
        )

    def folds(self, rows: TrainingRows) -> list[Fold]:
        """Cut the folds that training cuts."""
        return plan_folds(self.spec, rows.timestamps, rows.label_end_us, rows.embargo_us)

    def fit_fold(self, rows: TrainingRows, fold: FoldRows) -> FittedModel:
        """Resample and fit on a fold's training rows."""
        X = np.asarray(rows.X, dtype=np.float32)
        examples = Examples(X, rows.y, rows.timestamps, rows.label_end_us, rows.embargo_us, rows.returns)
        return FittedModel(fit_rows(self.spec, examples, np.asarray(fold.train)), self.plan.names)


def certify(
    model: int | str,
    markets: Mapping[str, MarketStore],
    models: ModelStore,
    *,
    effort: Effort | None = None,
    random_state: int = 0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Probe a model's pipeline on the data it was trained from, and store the certificate.

    Returns
    -------
    dict
        ``certified``, ``values_compared``, ``differing_bits``, ``leak_probes``, ``leaks_found``, ``probes`` (one object
        each) and what it was about: model, artifact, dataset, library versions.

    Raises
    ------
    NotFoundError, ConflictError, ArtifactError
        If the model does not exist, is not READY or must not be loaded.
    """
    record, document = evaluate_certificate(
        model, markets, models, effort=effort, random_state=random_state, progress=progress
    )
    models.set_certificate(record.id, document)
    return document


def evaluate_certificate(
    model: int | str,
    markets: Mapping[str, MarketStore],
    models: ModelStore,
    *,
    effort: Effort | None = None,
    random_state: int = 0,
    progress: Progress = no_progress,
) -> tuple[ModelRecord, dict[str, Any]]:
    """Do what `certify` does, and store nothing."""
    record = models.get(model)
    spec, served, plan = ModelSpec.stored(record.spec), load_model(record, models), plan_of(record)
    progress(0.0, Message("progress.loading_model_data"))
    panel = load_for_plan(markets[spec.market], plan, spec.label_spec(), spec.train_end_us, spec.mints)
    document = _examine(record, TrainingPipeline(spec, plan), served, panel, effort, random_state, progress)
    return record, document


def certify_version(
    record: ModelRecord,
    version: TrainedVersion,
    panel: Panel,
    *,
    effort: Effort | None = None,
    random_state: int = 0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Probe a version that is not stored yet and return its certificate.

    Parameters
    ----------
    record
        The model, TRAINING.
    panel
        The rows that the version was trained from.
    """
    complete = replace(
        record,
        artifact_sha256=sha256_bytes(version.artifact),
        dataset_fingerprint=version.dataset_fingerprint,
    )
    spec = ModelSpec.stored(record.spec)
    pipeline = TrainingPipeline(spec, FeaturePlan(version.features, spec.market_schema))
    return _examine(complete, pipeline, OnnxModel.load(version.artifact), panel, effort, random_state, progress)


def _examine(
    record: ModelRecord,
    pipeline: TrainingPipeline,
    served: OnnxModel,
    panel: Panel,
    effort: Effort | None,
    random_state: int,
    progress: Progress,
) -> dict[str, Any]:
    findings: list[Finding] = []
    for finding in probe_pipeline(pipeline, panel, random_state, name=record.name, effort=effort):
        findings.append(finding)
        code = "progress.probe_held" if finding.passed else "progress.probe_broken"
        check = f"check.{finding.check}"
        progress(min(0.05 * len(findings), 0.9), Message(code, check=Message(check)))
    findings.append(_served_alike(record, pipeline, served, panel))
    return certificate(
        findings,
        model_id=record.id,
        model=record.name,
        artifact_sha256=record.artifact_sha256,
        dataset_fingerprint=record.dataset_fingerprint,
        random_state=random_state,
        library_versions=library_versions(),
    )


def _served_alike(record: ModelRecord, pipeline: TrainingPipeline, served: OnnxModel, panel: Panel) -> Finding:
    """Check that the stored artifact gives a row alone the same bits as among others."""
    rows = slice(max(0, len(panel) - _MOST_ROWS_SERVED), len(panel))
    batch = as_model_input(pipeline.plan.compute(panel, rows=rows))
    whole = served.predict_proba(batch)
    single = np.concatenate([served.predict_proba(batch[i : i + 1]) for i in range(len(batch))])
    differing = int(differing_bits(whole, single).sum())
    outside = int(np.count_nonzero(~((whole >= 0) & (whole <= 1))))
    held = "the artifact gives one row alone the same bits as among others"
    broken = f"{differing} bits differ when rows are served alone, {outside} probabilities lie outside [0, 1]"
    return Finding(
        check="served_row_by_row",
        subject=record.name,
        passed=differing == 0 and outside == 0,
        message=held if differing == 0 and outside == 0 else broken,
        values_compared=len(whole),
        differing_bits=differing,
    )


def reproduce(
    model: int | str, markets: Mapping[str, MarketStore], models: ModelStore, progress: Progress = no_progress
) -> bytes:
    """Train a stored version again from its record and return the artifact's bytes.

    Raises
    ------
    KurswerkError
        If the market data have changed since, so that the version cannot come out again.
    """
    record = models.get(model)
    spec = ModelSpec.stored(record.spec)
    dataset = load_dataset(spec, markets[spec.market], progress)
    found = dataset.panel.fingerprint()
    if found != record.dataset_fingerprint:
        raise KurswerkError(
            "model.market_data_changed", name=record.name, found=found[:12], then=str(record.dataset_fingerprint)[:12]
        )
    if tuple(dataset.plan.names) != record.features:
        raise KurswerkError("model.features_changed", name=record.name)
    progress(0.5, Message("progress.fitting_again"))
    return fit_final(spec, dataset)[1]
