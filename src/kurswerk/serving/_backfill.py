"""Backfill: a model that recovered predicts the rows it missed, each from what was known when it was its turn."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kurswerk.features import FeaturePlan
from kurswerk.market import MarketSchema
from kurswerk.market.schema import Segment
from kurswerk.serving._active_models import ServedModel
from kurswerk.serving._commit import ScoredRows, commit
from kurswerk.serving._instrument_states import COINS_AT_ONCE
from kurswerk.serving._known_rows import rows_at, without
from kurswerk.serving._moments import Moments, row_moments
from kurswerk.serving._scoring import score_alone
from kurswerk.serving.ports import FeedTransaction, MissedRows

Float = NDArray[np.float64]
_NO_ROW = np.iinfo(np.int64).max


def backfill(tx: FeedTransaction, served: ServedModel, limit: int, market: MarketSchema, moments: Moments) -> int:
    """Take rows that a model missed, predict and store them; return how many predictions were stored.

    Rows that are no longer in the table are skipped. A model that compares instruments waits for a row's moment.
    """
    missed = tx.take_missed(served.model.id, limit)
    plan = served.plan
    if not len(missed) or plan is None:
        return 0
    places, features, segments = missed_features(tx, plan.first_stage, missed, market.segment)
    coins, times = [missed.instruments[i] for i in places], missed.timestamps[places]
    if plan.second_stage is not None:
        reads, _ = row_moments(market, tx.exchanges(coins), coins, times)
        ready = moments.ready(tx, reads)
        _put_back(tx, served, missed, [places[i] for i in np.flatnonzero(~ready).tolist()])
        coins, times = [coins[i] for i in np.flatnonzero(ready).tolist()], times[ready]
        features, segments = moments.compare(tx, plan, reads[ready], coins, times, features[ready]), segments[ready]
    scores, digests, forecasts = score_alone(served.predict_all, features)
    given = ~tx.existing(coins, times, np.array([served.model.id], dtype=np.int64))
    if given.any():
        several = None if forecasts is None else forecasts[:, None]
        rows = ScoredRows(coins, times, (served,), scores[:, None], given, digests[:, None], segments, several)
        commit(tx, rows)
    return int(given.sum())


def _put_back(tx: FeedTransaction, served: ServedModel, missed: MissedRows, places: Sequence[int]) -> None:
    """Note again that a model missed rows."""
    if places:
        names = [missed.instruments[i] for i in places]
        rows = MissedRows(names, missed.timestamps[list(places)], missed.first_ids[list(places)])
        tx.put_back_missed(served.model.id, rows)


def missed_features(
    tx: FeedTransaction, plan: FeaturePlan, missed: MissedRows, segment: Segment | None
) -> tuple[list[int], Float, Float]:
    """Return positions, features and segments of missed rows that are still there; NaN where there is no segment."""
    coins = sorted(set(missed.instruments))
    kept: list[int] = []
    parts = [np.empty((0, len(plan.names) + 1))]
    for start in range(0, len(coins), COINS_AT_ONCE):
        mine = set(coins[start : start + COINS_AT_ONCE])
        places = [i for i, coin in enumerate(missed.instruments) if coin in mine]
        some = MissedRows([missed.instruments[i] for i in places], missed.timestamps[places], missed.first_ids[places])
        found, features = _features_of(tx, plan, some, segment)
        kept += [places[k] for k in found]
        parts.append(features)
    both = np.concatenate(parts)
    return kept, np.ascontiguousarray(both[:, :-1]), both[:, -1]


def _features_of(
    tx: FeedTransaction, plan: FeaturePlan, missed: MissedRows, segment: Segment | None
) -> tuple[list[int], Float]:
    """Return positions of rows that are there, and their features with the segment as last column."""
    coins = sorted(set(missed.instruments))
    first = dict.fromkeys(coins, _NO_ROW)
    for coin, moment in zip(missed.instruments, missed.timestamps.tolist(), strict=True):
        first[coin] = min(first[coin], moment)
    late = tx.late_rows(coins)
    # Rows that came later take places in a window which older ones had: read so many more.
    spare = max((sum(len(times) for _, times in entries) for entries in late.values()), default=0)
    reach = None if plan.lookback is None else plan.lookback + spare
    extra = [] if segment is None or segment.column in plan.inputs else [segment.column]
    columns = (*plan.inputs, *extra)
    panel = tx.history(coins, np.array([first[coin] for coin in coins]), columns, reach)
    code = {coin: k for k, coin in enumerate(panel.instruments)}
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, (coin, first_id) in enumerate(zip(missed.instruments, missed.first_ids.tolist(), strict=True)):
        unknown = sorted(t for known_from, times in late.get(coin, ()) if known_from > first_id for t in times)
        groups.setdefault((code.get(coin, -1), *unknown) if unknown else (-1,), []).append(i)
    kept: list[int] = []
    parts: list[Float] = []
    for (place, *unknown), members in groups.items():
        past = panel if place < 0 else without(panel, place, unknown)
        keys = [(missed.instruments[i], int(missed.timestamps[i])) for i in members]
        found, at, features = rows_at(plan, past, keys)
        segments = np.full(len(at), np.nan) if segment is None else past.column(segment.column)[at]
        kept += [members[k] for k in found.tolist()]
        parts.append(np.column_stack([features, segments]))
    return kept, np.concatenate(parts)
