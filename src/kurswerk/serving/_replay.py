"""A stored prediction computed again from the stored rows, and held against what was stored, bit by bit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.features import (
    RETURN,
    FeaturePlan,
    Past,
    SealedMoment,
    compare_with,
    compared_features,
    longest_regression,
)
from kurswerk.market import Panel
from kurswerk.registry import ModelStore, load_model, plan_of
from kurswerk.serving._active_models import outputs_of
from kurswerk.serving._known_rows import rows_at
from kurswerk.serving._moments import row_moments
from kurswerk.serving._scoring import score_alone
from kurswerk.serving.ports import Int, JoinedChange, MarketHistory, Score

Float = NDArray[np.float64]


@dataclass(frozen=True)
class StoredPrediction:
    """What a replay needs of a prediction; score and digest are None where another program stored it.

    ``forecast`` is forecast, low and high; None where the model makes none, or they are no longer stored.
    """

    id: int
    coin_id: str
    timestamp_us: int
    model_id: int
    score: float | None
    features_digest: int | None
    forecast: tuple[float, float, float] | None = None


class PredictionLog(Protocol):
    """Knows stored predictions, and what became known after them."""

    def stored_prediction(self, prediction_id: int) -> StoredPrediction:
        """Return a prediction; NotFoundError if there is none."""
        ...

    def revisions_after(self, coin: str, prediction_id: int) -> tuple[Sequence[int], Sequence[int]]:
        """Return timestamps of a coin's rows that a prediction did not know, and of those corrected after it."""
        ...

    def sealed_moments(
        self, market: str, moments: Sequence[int], definitions: Mapping[str, str]
    ) -> Mapping[int, SealedMoment]:
        """Return sealed moments of a market with the values of features (name → definition hash) that each has."""
        ...

    def joined_changes_after(self, coin: str, prediction_id: int) -> Sequence[JoinedChange]:
        """Return the changes of joined values that a prediction of a coin cannot have known."""
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
        Timestamps of rows up to the prediction's that were corrected after it, or that the model joins with a value,
        such as an exchange rate, which was added or changed after it: a reason for other bits.
    forecast, stored_forecast
        The forecast now and then, of a forecast model; ``equal`` is about its interval too.
    """

    prediction_id: int
    equal: bool
    score: float
    stored_score: float
    features_equal: bool
    late_rows: int
    corrected_rows: tuple[int, ...]
    forecast: float | None = None
    stored_forecast: float | None = None


def replay(prediction_id: int, log: PredictionLog, markets: Mapping[str, MarketHistory], models: ModelStore) -> Replay:
    """Compute a stored prediction again, from the rows that were known then.

    Raises
    ------
    NotFoundError
        If there is no such prediction, or its row is no longer stored.
    ConflictError
        If another program stored it, without what it could be held against, or the moment that it compares at is no
        longer kept.
    ArtifactError
        If the model must not be loaded any more.
    """
    stored = log.stored_prediction(prediction_id)
    if stored.score is None or stored.features_digest is None:
        raise ConflictError("prediction.not_replayable", id=prediction_id)
    record = models.get(stored.model_id)
    plan = plan_of(record)
    columns = plan.market.in_order(plan.inputs)
    panel = markets[plan.market.name].load_panel(columns, end_us=stored.timestamp_us, mints=[stored.coin_id])
    # Asked after the rows were read: what came in between is named, and left out.
    late, corrected = log.revisions_after(stored.coin_id, prediction_id)
    changes = log.joined_changes_after(stored.coin_id, prediction_id)
    known = panel.where(~np.isin(panel.timestamps, late))
    found, _, features = rows_at(plan.first_stage, known, [(stored.coin_id, stored.timestamp_us)])
    if not len(found):
        moment = format_timestamp(stored.timestamp_us)
        raise NotFoundError("prediction.row_gone", coin=stored.coin_id, time=moment)
    if plan.second_stage is not None:
        features = _compared(log, stored, plan, known, features)
    model = load_model(record, models)
    scores, digests, forecasts = score_alone(lambda X: outputs_of(model, X, record.name), features)
    score, features_equal = scores[0], int(digests[0]) == stored.features_digest
    forecast_equal = forecasts is None or stored.forecast is None or _same_bits(forecasts[0], stored.forecast)
    return Replay(
        prediction_id=prediction_id,
        equal=features_equal and forecast_equal and score.tobytes() == np.float32(stored.score).tobytes(),
        score=float(score),
        stored_score=float(np.float32(stored.score)),
        features_equal=features_equal,
        late_rows=sum(moment <= stored.timestamp_us for moment in late),
        corrected_rows=tuple(
            moment
            for moment in sorted({*corrected, *_joined_anew(plan, known.timestamps, changes)})
            if moment <= stored.timestamp_us
        ),
        forecast=None if forecasts is None else float(forecasts[0, 0]),
        stored_forecast=None if stored.forecast is None else stored.forecast[0],
    )


def _compared(
    log: PredictionLog, stored: StoredPrediction, plan: FeaturePlan, known: Panel, first: Float
) -> Float:  # fmt: skip
    """Return all features of a row, given its first stage, from the moments as they were sealed."""
    market = plan.market
    place = int(np.searchsorted(known.timestamps, stored.timestamp_us))
    past = known.timestamps[max(0, place + 1 - max(1, longest_regression(plan))) : place + 1]
    exchanges = dict(zip(known.instruments, known.exchanges, strict=False))
    reads, _ = row_moments(market, exchanges, [stored.coin_id] * len(past), past)
    names = compared_features(plan)
    found = log.sealed_moments(market.name, np.unique(reads).tolist(), FeaturePlan(names, market).definitions)
    sealed = found.get(int(reads[-1]))
    if sealed is None or not set(names) <= sealed.values.keys():
        raise ConflictError("prediction.moment_not_kept", id=stored.id, moment=format_timestamp(int(reads[-1])))
    pasts = None
    if longest_regression(plan):
        own = np.asarray(FeaturePlan([RETURN], market).compute(known), dtype=np.float64)[:, 0]
        means = {moment: one.mean(RETURN) for moment, one in found.items() if RETURN in one.values}
        mean = np.array([means.get(moment, np.nan) for moment in reads.tolist()])
        pasts = [Past(own[place + 1 - len(past) : place + 1], mean)]
    return compare_with(plan, sealed, first, pasts)


def _same_bits(found: Score, stored: Sequence[float]) -> bool:
    return found.tobytes() == np.array(stored, dtype=np.float32).tobytes()


def _joined_anew(plan: FeaturePlan, timestamps: Int, changes: Sequence[JoinedChange]) -> list[int]:
    """Return those of the rows that a prediction depends on whose joined values have changed; the last is its own."""
    joined = plan.market.joined
    sources = {joined[name].table for name in plan.inputs if name in joined}
    reach = timestamps if plan.lookback is None else timestamps[-plan.lookback - 1 :]
    found: set[int] = set()
    for change in changes:
        if change.source in sources:
            found.update(reach[change.covers(reach)].tolist())
    return sorted(found)
