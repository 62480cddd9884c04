"""A stored prediction computed again from the stored rows, and held against what was stored, bit by bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.market import COIN_COLUMNS, SOL_PRICE
from kurswerk.models import as_model_input
from kurswerk.registry import ModelStore, load_model, plan_of
from kurswerk.serving._digest import feature_digests
from kurswerk.serving._known_rows import rows_at
from kurswerk.serving.ports import CoinHistory


@dataclass(frozen=True)
class StoredPrediction:
    """What a replay needs of a prediction; score and digest are None where another program stored it."""

    id: int
    coin_id: str
    timestamp_us: int
    model_id: int
    score: float | None
    features_digest: int | None


class PredictionLog(Protocol):
    """Knows stored predictions, and what became known after them."""

    def stored_prediction(self, prediction_id: int) -> StoredPrediction:
        """Return a prediction; NotFoundError if there is none."""
        ...

    def unknown_to(self, coin: str, prediction_id: int) -> tuple[Sequence[int], Sequence[int]]:
        """Return timestamps of a coin's rows that a prediction did not know, and of those corrected after it."""
        ...


@dataclass(frozen=True)
class Replay:
    """What came out.

    Attributes
    ----------
    equal
        Whether features and probability have the stored bits.
    score, stored_score
        The probability now and then.
    features_equal
        Whether the model saw the same features, by their digest.
    late_rows
        Rows up to the prediction's that came after it, and were left out.
    corrected_rows
        Timestamps of rows up to the prediction's that were corrected after it: a reason for other bits.
    """

    prediction_id: int
    equal: bool
    score: float
    stored_score: float
    features_equal: bool
    late_rows: int
    corrected_rows: tuple[int, ...]


def replay(prediction_id: int, log: PredictionLog, history: CoinHistory, models: ModelStore) -> Replay:
    """Compute a stored prediction again, from the rows that were known then.

    Raises
    ------
    NotFoundError
        If there is no such prediction, or its row is no longer stored.
    ConflictError
        If another program stored it, without what it could be held against.
    ArtifactError
        If the model must not be loaded any more.
    """
    stored = log.stored_prediction(prediction_id)
    if stored.score is None or stored.features_digest is None:
        raise ConflictError(f"prediction {prediction_id} was not stored by a predictor; there are no bits to compare")
    record = models.get(stored.model_id)
    plan = plan_of(record)
    columns = [name for name in (*COIN_COLUMNS, SOL_PRICE) if name in plan.inputs]
    panel = history.load_panel(columns, end_us=stored.timestamp_us, mints=[stored.coin_id])
    # Asked after the rows were read: what came in between is named, and left out.
    late, corrected = log.unknown_to(stored.coin_id, prediction_id)
    known = panel.where(~np.isin(panel.timestamps, late))
    found, features = rows_at(plan, known, [(stored.coin_id, stored.timestamp_us)])
    if not len(found):
        moment = format_timestamp(stored.timestamp_us)
        raise NotFoundError(f"the row of '{stored.coin_id}' at {moment} is no longer stored; it cannot be replayed")
    X = as_model_input(features)
    score = load_model(record, models).predict_proba(X)[0]
    features_equal = int(feature_digests(X)[0]) == stored.features_digest
    return Replay(
        prediction_id=prediction_id,
        equal=features_equal and score.tobytes() == np.float32(stored.score).tobytes(),
        score=float(score),
        stored_score=float(np.float32(stored.score)),
        features_equal=features_equal,
        late_rows=sum(moment <= stored.timestamp_us for moment in late),
        corrected_rows=tuple(moment for moment in corrected if moment <= stored.timestamp_us),
    )
