"""A model that was out predicts what it owes, each row from what was known when it was its turn."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.features import FeaturePlan
from kurswerk.models import as_model_input
from kurswerk.serving._alerting import say
from kurswerk.serving._coin_memory import COINS_AT_ONCE
from kurswerk.serving._digest import feature_digests
from kurswerk.serving._fleet import Member
from kurswerk.serving._known_rows import rows_at, without
from kurswerk.serving.ports import FeedWork, NewAlert, NewPredictions, OwedRows

Float = NDArray[np.float64]
_NO_ROW = np.iinfo(np.int64).max


def settle(work: FeedWork, member: Member, limit: int) -> int:
    """Take rows that a model owes, predict and store them; return how many predictions there are more.

    Rows that are no longer in the table are owed no more.
    """
    owed = work.take_owed(member.model.id, limit)
    plan = member.plan
    if not len(owed) or plan is None:
        return 0
    places, features = owed_features(work, plan, owed)
    coins, times = [owed.coins[i] for i in places], owed.timestamps[places]
    X = as_model_input(features)
    scores = member.predict(X)[:, None]
    models = np.array([member.model.id], dtype=np.int64)
    given = ~work.stored(coins, times, models)
    count = int(given.sum())
    if not count:
        return 0
    ids = work.reserve(count)
    threshold = member.model.alert_threshold
    alerts = [
        NewAlert(int(ids[k]), coins[i], int(times[i]), member.model.id, float(scores[i, 0]), threshold)
        for k, i in enumerate(np.flatnonzero(given[:, 0]).tolist())
        if float(scores[i, 0]) >= threshold
    ]
    digests = feature_digests(X)[:, None]
    work.store(NewPredictions(ids, coins, times, models, scores, given, digests, None), alerts)
    say(work, models, [threshold], (coins, times), (scores, given))
    return count


def owed_features(work: FeedWork, plan: FeaturePlan, owed: OwedRows) -> tuple[list[int], Float]:
    """Return places and features of owed rows that are still there."""
    coins = sorted(set(owed.coins))
    kept: list[int] = []
    parts = [np.empty((0, len(plan.names)))]
    for start in range(0, len(coins), COINS_AT_ONCE):
        mine = set(coins[start : start + COINS_AT_ONCE])
        places = [i for i, coin in enumerate(owed.coins) if coin in mine]
        some = OwedRows([owed.coins[i] for i in places], owed.timestamps[places], owed.first_ids[places])
        found, features = _features_of(work, plan, some)
        kept += [places[k] for k in found]
        parts.append(features)
    return kept, np.concatenate(parts)


def _features_of(work: FeedWork, plan: FeaturePlan, owed: OwedRows) -> tuple[list[int], Float]:
    coins = sorted(set(owed.coins))
    first = dict.fromkeys(coins, _NO_ROW)
    for coin, moment in zip(owed.coins, owed.timestamps.tolist(), strict=True):
        first[coin] = min(first[coin], moment)
    late = work.learnt_late(coins)
    # Rows that came later take places in a window which older ones had: read so many more.
    spare = max((sum(len(times) for _, times in entries) for entries in late.values()), default=0)
    reach = None if plan.lookback is None else plan.lookback + spare
    panel = work.history(coins, np.array([first[coin] for coin in coins]), plan.inputs, reach)
    code = {coin: k for k, coin in enumerate(panel.instruments)}
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, (coin, first_id) in enumerate(zip(owed.coins, owed.first_ids.tolist(), strict=True)):
        unknown = sorted(t for known_from, times in late.get(coin, ()) if known_from > first_id for t in times)
        groups.setdefault((code.get(coin, -1), *unknown) if unknown else (-1,), []).append(i)
    kept: list[int] = []
    parts: list[Float] = []
    for (place, *unknown), members in groups.items():
        past = panel if place < 0 else without(panel, place, unknown)
        found, features = rows_at(plan, past, [(owed.coins[i], int(owed.timestamps[i])) for i in members])
        kept += [members[k] for k in found.tolist()]
        parts.append(features)
    return kept, np.concatenate(parts)
