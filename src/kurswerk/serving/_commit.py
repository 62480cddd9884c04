"""The one path by which predictions, alerts and notifications are stored, live as in backfill."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.alerts import evaluate_rules
from kurswerk.serving._active_models import ServedModel
from kurswerk.serving._scoring import feature_json
from kurswerk.serving.ports import Bool, FeedTransaction, Int, NewAlert, NewPredictions, Score

Float = NDArray[np.float64]
STORE_FEATURES = ("none", "alerts", "all")


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows with what models predict of them.

    Attributes
    ----------
    instruments, timestamps
        Of the rows, shape (n,); microseconds UTC.
    models
        Those that were asked, in the order of the columns.
    scores, given, digests
        Shape (n, m): probability, whether there is one to store, and the digest of the features the model saw.
    segments
        The rows' segments, such as a coin's phase, shape (n,); NaN where there is none.
    forecasts
        Shape (n, m, 3), as in `NewPredictions`.
    """

    instruments: Sequence[str]
    timestamps: Int
    models: Sequence[ServedModel]
    scores: Score
    given: Bool
    digests: Int
    segments: Float
    forecasts: Score | None = None

    @property
    def model_ids(self) -> Int:
        """Ids of the models, shape (m,)."""
        return np.array([served.model.id for served in self.models], dtype=np.int64)

    @property
    def thresholds(self) -> Float:
        """The models' own alert thresholds, shape (m,)."""
        return np.array([served.model.alert_threshold for served in self.models])

    @property
    def in_scope(self) -> Bool:
        """Which predictions are of rows that their model was made for, shape (n, m)."""
        columns = [served.scope.covers(self.instruments, self.segments) for served in self.models]
        return np.column_stack(columns) if columns else np.zeros((len(self.instruments), 0), dtype=np.bool_)


@dataclass(frozen=True)
class Committed:
    """What was stored: the first id of the batch, and how many alerts each model raised."""

    first_id: int
    alerts: dict[int, int]


def commit(
    tx: FeedTransaction, rows: ScoredRows, features: Float | None = None, store_features: str = "none"
) -> Committed:
    """Store predictions, the alerts they raise and the notifications that rules call for, in the caller's transaction.

    Predictions of rows out of a model's scope are stored and raise nothing. An id is reserved even where there is
    nothing to store: it separates the predictions that knew a late or corrected row from those that did not.

    Parameters
    ----------
    features
        The rows' features, those of all models united, shape (n, f); needed where features are stored.
    store_features
        Whose features are kept with the prediction, of `STORE_FEATURES`.
    """
    count = int(rows.given.sum())
    ids = tx.reserve(max(1, count))
    in_scope = rows.in_scope
    alerting = rows.given & in_scope & (rows.scores.astype(np.float64) >= rows.thresholds)
    if count:
        kept = None
        if features is not None and store_features != "none":
            wanted = rows.given if store_features == "all" else alerting
            kept = _feature_texts(rows, features, wanted)
        batch = NewPredictions(
            ids[:count],
            rows.instruments,
            rows.timestamps,
            rows.model_ids,
            rows.scores,
            rows.given,
            rows.digests,
            kept,
            in_scope,
            rows.forecasts,
        )
        tx.store(batch, _alerts(rows, ids[:count], alerting))
        _enqueue_notifications(tx, rows, in_scope)
    per_model = alerting.sum(axis=0).tolist()
    return Committed(int(ids[0]), {int(m): n for m, n in zip(rows.model_ids, per_model, strict=True) if n})


def _alerts(rows: ScoredRows, ids: Int, alerting: Bool) -> list[NewAlert]:
    id_of = np.full(rows.given.shape, -1, dtype=np.int64)
    id_of[rows.given] = ids
    models, thresholds = rows.model_ids, rows.thresholds
    return [
        NewAlert(
            int(id_of[i, j]), rows.instruments[i], int(rows.timestamps[i]), int(models[j]), float(rows.scores[i, j]),
            float(thresholds[j]),
        )
        for i, j in np.argwhere(alerting).tolist()
    ]  # fmt: skip


def _feature_texts(rows: ScoredRows, features: Float, wanted: Bool) -> list[bytes | None]:
    return [
        feature_json(rows.models[j], features[i]) if wanted[i, j] else None for i, j in np.argwhere(rows.given).tolist()
    ]


def _enqueue_notifications(tx: FeedTransaction, rows: ScoredRows, in_scope: Bool) -> None:
    # Asked only where there is something to hold against them.
    if rules := tx.alert_rules():
        outcome = rows.scores, rows.given & in_scope
        found = evaluate_rules(
            rules, rows.model_ids, rows.thresholds.tolist(), rows.instruments, rows.timestamps, outcome
        )
        if found:
            tx.enqueue_notifications(found)
