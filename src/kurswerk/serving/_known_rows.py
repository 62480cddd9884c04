"""What was known of a coin, and the features that follow from it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kurswerk.features import FeaturePlan
from kurswerk.market import Panel
from kurswerk.serving.ports import Int

Float = NDArray[np.float64]


def rows_at(plan: FeaturePlan, panel: Panel, keys: Sequence[tuple[str, int]]) -> tuple[Int, Int, Float]:
    """Return which (coin, timestamp) a panel has, as places in ``keys`` and in the panel, and their features."""
    places, found = [], []
    spans = {coin: (int(panel.offsets[k]), int(panel.offsets[k + 1])) for k, coin in enumerate(panel.instruments)}
    for k, (coin, moment) in enumerate(keys):
        first, last = spans.get(coin, (0, 0))
        place = first + int(np.searchsorted(panel.timestamps[first:last], moment))
        if place < last and panel.timestamps[place] == moment:
            places.append(place)
            found.append(k)
    at = np.array(places, dtype=np.int64)
    features = plan.compute(panel)[at] if places else np.empty((0, len(plan.names)))
    return np.array(found, dtype=np.int64), at, np.ascontiguousarray(features)


def find_late_rows(panel: Panel, wanted: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Return the new rows that are older than a row that was known before."""
    late = {}
    for k, coin in enumerate(panel.instruments):
        new = wanted.get(coin)
        times = panel.timestamps[int(panel.offsets[k]) : int(panel.offsets[k + 1])]
        known = times[~np.isin(times, new)] if new else times
        if new and len(known):
            newest = int(known[-1])
            if older := [moment for moment in new if moment < newest]:
                late[coin] = older
    return late


def without(panel: Panel, code: int, moments: Sequence[int]) -> Panel:
    """Return one coin of a panel without some of its rows."""
    mask = np.zeros(len(panel), dtype=np.bool_)
    rows = slice(int(panel.offsets[code]), int(panel.offsets[code + 1]))
    mask[rows] = ~np.isin(panel.timestamps[rows], moments)
    return panel.where(mask)
