"""A trained model in memory: its metrics, its predictions, its certificate, and the file that keeps it."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kurswerk.core.errors import ArtifactForeignError, SpecError
from kurswerk.core.timestamps import format_timestamp, to_us
from kurswerk.evaluation import Metrics
from kurswerk.jobs import Progress, no_progress
from kurswerk.library._bars import Bars, Time, moment_us, read
from kurswerk.library._memory import MemoryModels, PanelMarket
from kurswerk.models import as_model_input
from kurswerk.registry import ModelRecord, ModelStore, TestResult, load_model, market_of, plan_of
from kurswerk.training import FEATURE_THREADS, Costs, ModelSpec, Period, TrainingStores, certify, evaluate_test
from kurswerk.training import train as train_in

_ARTIFACT, _RECORD, _FORMAT = "model.onnx", "model.json", "kurswerk-model-1"
_TIMES = ("train_start", "train_end", "created_at")


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model; made by `train`, `load`, `Store.train` or `Store.model`.

    Attributes
    ----------
    record
        All that is known of it: specification, features with the hashes of their definitions, versions, certificate.
    artifact
        The ONNX graph that predicts, everywhere the same bytes.
    """

    record: ModelRecord
    artifact: bytes

    def __repr__(self) -> str:
        return f"<model {self.name!r}: {self.record.model_type} of {len(self.record.features)} features>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def spec(self) -> dict[str, Any]:
        """The specification it was trained from, as `train` takes it."""
        return dict(self.record.spec)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the model's input."""
        return self.record.features

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics out of fold: of predictions for rows that the fold's model was not trained on."""
        return asdict(self.record.metrics) if self.record.metrics else {}

    @property
    def evaluation(self) -> dict[str, Any]:
        """The same with confidence intervals, beside the baselines, and the simulated trades."""
        return dict(self.record.evaluation or {})

    @property
    def importance(self) -> dict[str, float]:
        """Share of each feature in the model, descending."""
        return dict(self.record.feature_importance)

    @property
    def certificate(self) -> dict[str, Any]:
        """What the leak probes and the comparison of batch and live found; ``certified`` is the verdict."""
        return dict(self.record.certificate or {})

    def predict(self, data: Any) -> Any:
        """Predict every row.

        Parameters
        ----------
        data
            `Bars`, or a data frame as `read` takes it. Rows before the ones of interest belong to it: a feature's
            look-back reads them.

        Returns
        -------
        frame
            Instrument, time, ``probability`` (float32 in [0, 1]) and ``prediction`` (bool: the probability is at least
            0.5), with the bits that a live prediction of the same row has. A model of returns adds ``forecast``,
            ``low`` and ``high`` (float32, per cent: the return up to the horizon, the ends of its interval); its
            probability is that of a rise.

        Raises
        ------
        ArtifactForeignError
            If a feature is defined differently today.
        """
        bars = self._bars(data)
        plan = plan_of(self.record)
        model = load_model(self.record, self._store())
        values = plan.compute(bars.panel, threads=FEATURE_THREADS, dtype=np.float32)
        X = as_model_input(values)
        columns = model.forecast(X)._asdict() if model.is_forecast else {"probability": model.predict_proba(X)}
        return bars.with_columns({**columns, "prediction": columns["probability"] >= 0.5})

    def test(
        self,
        data: Any,
        start: Time | None = None,
        end: Time | None = None,
        *,
        costs: str | Mapping[str, Any] | None = None,
    ) -> TestResult:
        """Evaluate the model on a period, beside baselines and with intervals.

        Parameters
        ----------
        data
            As for `predict`.
        start, end
            Both inclusive. By default the rows after those it was trained on, to the last one.
        costs
            Of the simulated trades; by default the specification's.

        Raises
        ------
        NoDataError
            If no row of the period has a known label.
        """
        bars = self._bars(data)
        first = to_us(self.record.train_end) + 1 if start is None else moment_us(start)
        last = int(bars.panel.timestamps.max()) if end is None else moment_us(end)
        stores = _stores(bars, self._store())
        return evaluate_test(self.record.id, Period(first, last), stores, costs=given_costs(costs))

    def certify(self, data: Any) -> dict[str, Any]:
        """Run the leak probes on the rows it was trained from, and return the certificate.

        A training certifies already; this one is for other rows, or after an update of Kurswerk.
        """
        bars = self._bars(data)
        return certify(self.record.id, _stores(bars, self._store()).markets, self._store())

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the model to a file that `load` reads; nothing in it is ever executed.

        The file is a ZIP archive with the ONNX artifact and the record as JSON.
        """
        target = Path(path)
        record = {item.name: getattr(self.record, item.name) for item in fields(ModelRecord)}
        record |= {name: format_timestamp(to_us(record[name])) for name in _TIMES}
        record |= {"metrics": self.metrics or None, "error_detail": None, "format": _FORMAT}
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_ARTIFACT, self.artifact)
            archive.writestr(_RECORD, json.dumps(record, indent=1))
        return target

    def _bars(self, data: Any) -> Bars:
        bars = data if isinstance(data, Bars) else read(data, market_of(self.record).name)
        if bars.market is not market_of(self.record):
            raise SpecError("library.other_market", given=market_of(self.record).name, market=bars.market.name)
        return bars

    def _store(self) -> MemoryModels:
        models = MemoryModels()
        models.add(self.record, self.artifact)
        return models


def train(spec: Mapping[str, Any], data: Any, *, progress: Progress = no_progress) -> Model:
    """Train, evaluate out of fold and certify a model, without a database.

    Parameters
    ----------
    spec
        A model's specification, as `kurswerk train` and the REST API take it. What may be left out: ``name``,
        ``market``, ``train_start`` and ``train_end`` (all rows), ``target_var`` (the close).
    data
        `Bars`, or a data frame as `read` takes it.
    progress
        Called with the fraction done and a message.

    Raises
    ------
    SpecError, UnknownNameError
        All that is wrong with the specification, one clause per field.
    NoDataError, DataError
        If the rows allow no training.

    Examples
    --------
    >>> import kurswerk as kw
    >>> model = kw.train({
    ...     "model_type": "xgboost", "features": ["rsi_14", "price_change_5"], "future_minutes": 60,
    ...     "min_percent_change": 1, "direction": "up"}, frame)  # doctest: +SKIP
    >>> model.certificate["certified"]  # doctest: +SKIP
    True
    """
    bars = data if isinstance(data, Bars) else read(data, spec.get("market", "candles"))
    stores = _stores(bars, MemoryModels())
    record = train_in(ModelSpec.parse(complete(spec, bars)), stores, progress=progress)
    return model_of(record, stores.models)


def complete(spec: Mapping[str, Any], bars: Bars) -> dict[str, Any]:
    """Return a specification with what follows from the rows where it is not given."""
    times = bars.panel.timestamps
    period = (int(times.min()), int(times.max())) if len(times) else (0, 1)
    return {
        "name": f"model of {len(bars.instruments)} instruments",
        "train_start": format_timestamp(period[0]),
        "train_end": format_timestamp(period[1]),
        **bars.defaults_of(dict(spec)),
        **spec,
    }


def model_of(record: ModelRecord, models: ModelStore) -> Model:
    """Return a READY model of a store."""
    load_model(record, models)  # verifies the bytes
    return Model(record, models.artifact(str(record.artifact_sha256)))


def load(path: str | PathLike[str]) -> Model:
    """Read a model that `Model.save` wrote.

    Raises
    ------
    ArtifactForeignError, ArtifactCorruptError
        If it is no such file, or was changed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            artifact, document = archive.read(_ARTIFACT), json.loads(archive.read(_RECORD))
        record = _record(document)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise ArtifactForeignError("library.no_model_file", path=str(path), reason=str(error)) from error
    models = MemoryModels()
    models.add(record, artifact)
    return model_of(record, models)


def _record(document: dict[str, Any]) -> ModelRecord:
    """Read what `Model.save` wrote; KeyError, TypeError or ValueError where it is something else."""
    if document.pop("format") != _FORMAT:
        raise ValueError(_FORMAT)
    document |= {name: datetime.fromisoformat(document[name]).astimezone(UTC) for name in _TIMES}
    metrics = document.pop("metrics")
    document["features"] = tuple(document["features"])
    return ModelRecord(**document, metrics=Metrics(**metrics) if metrics else None)


def given_costs(costs: str | Mapping[str, Any] | None) -> str | Costs | None:
    """Return costs as tests take them: the name of a preset, or values."""
    return Costs(**costs) if isinstance(costs, Mapping) else costs


def _stores(bars: Bars, models: MemoryModels) -> TrainingStores:
    return TrainingStores({bars.market.name: PanelMarket(bars.panel, bars.market)}, models, models)
