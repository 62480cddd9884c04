"""Moments live: when one is sealed, who its members are, and what rows are compared with."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, UnknownNameError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.features import (
    RETURN,
    FeaturePlan,
    Past,
    SealedMoment,
    compare_with,
    compared_features,
    longest_regression,
)
from kurswerk.market import MarketSchema
from kurswerk.market.calendar import ALWAYS_OPEN, calendar_of
from kurswerk.market.moments import bucket_us, moments_joined, moments_read
from kurswerk.serving._active_models import ActiveModels
from kurswerk.serving._instrument_states import FeatureRows, by_coin
from kurswerk.serving._known_rows import rows_at
from kurswerk.serving.moment_ports import Int, PendingRows
from kurswerk.serving.ports import FeedRows, FeedTransaction

Float = NDArray[np.float64]
_MEANS_KEPT = 10_000


@dataclass(frozen=True)
class MomentOptions:
    """When moments are sealed.

    Attributes
    ----------
    session_grace_s, bucket_grace_s
        How long after the close of a session, or the end of a time bucket, rows are waited for, seconds.
    clock
        ``wall``: by the database's clock; ``rows``: by the newest row, where stored rows are replayed faster or slower
        than they came.
    """

    session_grace_s: float = 1800.0
    bucket_grace_s: float = 5.0
    clock: Literal["wall", "rows"] = "wall"

    def grace_us(self, market: MarketSchema) -> int:
        """Return the grace of a market's moments in microseconds."""
        seconds = self.session_grace_s if bucket_us(market) is None else self.bucket_grace_s
        return round(seconds * MICROSECONDS)


def row_moments(market: MarketSchema, exchanges: Mapping[str, str], instruments: Sequence[str], times: Int) -> tuple[
    Int, Int
]:  # fmt: skip
    """Return the moments that rows read and join; an exchange without a calendar for the row counts days UTC."""
    if bucket_us(market) is not None:
        return moments_read(market, times), moments_joined(market, times)
    moments = np.empty(len(times), dtype=np.int64)
    names = np.array([exchanges.get(one, "") for one in instruments], dtype=object)
    for name in set(names.tolist()):
        rows = names == name
        try:
            moments[rows] = moments_joined(market, times[rows], name)
        except (DataError, UnknownNameError):
            moments[rows] = moments_joined(market, times[rows], ALWAYS_OPEN)
    return moments, moments


class Moments:
    """Seals the moments of a market, and compares rows with their members.

    Parameters
    ----------
    market
        Whose moments.
    options
        When they are sealed.
    """

    def __init__(self, market: MarketSchema, options: MomentOptions) -> None:
        self._market, self._options = market, options
        self._newest_us = np.iinfo(np.int64).min
        # Of moments that are sealed, which nothing changes any more.
        self._means: OrderedDict[int, float] = OrderedDict()

    def due(self, tx: FeedTransaction) -> int | None:
        """Return the oldest moment with pending rows that is sealed already, or may be now; None if there is none."""
        moments = tx.pending_moments()
        if not moments:
            return None
        now_us = self._now_us(tx)
        return next((moment for moment, sealed in moments if sealed or self._has_ended(tx, moment, now_us)), None)

    def _has_ended(self, tx: FeedTransaction, moment: int, now_us: int) -> bool:
        """Return whether a moment's grace is over, and no row of it waits in the feed."""
        ended = moment + self._options.grace_us(self._market) <= now_us
        return ended and not tx.is_waiting(self._begin(tx, moment), moment)

    def ready(self, tx: FeedTransaction, moments: Int) -> NDArray[np.bool_]:
        """Return which moments are sealed or may be now, shape (n,)."""
        wanted = np.unique(moments).tolist()
        open_ones = set(wanted) - set(tx.sealed_moments(wanted, {}))
        now_us = self._now_us(tx) if open_ones else 0
        waiting = [moment for moment in open_ones if not self._has_ended(tx, moment, now_us)]
        return ~np.isin(moments, waiting)

    def take(self, tx: FeedTransaction, plan: FeaturePlan, moment: int) -> tuple[PendingRows, Float]:
        """Seal a moment if it is not, take the rows that read it, and return them with a plan's features."""
        self.sealed(tx, [moment], plan)
        rows = tx.take_pending(moment)
        first = values_of(tx, plan.first_stage, rows.instruments, rows.timestamps, rows)
        return rows, self.compare(tx, plan, rows.reads, rows.instruments, rows.timestamps, first)

    def _now_us(self, tx: FeedTransaction) -> int:
        if self._options.clock == "wall":
            return tx.now_us()
        self._newest_us = max(self._newest_us, tx.newest_pending_us() or self._newest_us)
        return int(self._newest_us)

    def sealed(self, tx: FeedTransaction, moments: Sequence[int], plan: FeaturePlan) -> dict[int, SealedMoment]:
        """Return moments with the values that a plan compares, sealing those that are not and adding what they lack."""
        names = compared_features(plan)
        first = FeaturePlan(names, self._market)
        found = dict(tx.sealed_moments(moments, first.definitions))
        for moment in moments:
            there = found.get(moment)
            if there is not None and set(names) <= there.values.keys():
                continue
            known = tx.pending_members(moment)
            members = self._members(tx, moment) if there is None else (there.members, there.timestamps)
            lacking = [name for name in names if there is None or name not in there.values]
            values = values_of(tx, FeaturePlan(lacking, self._market), *members, known)
            kept = {} if there is None else dict(there.values)
            now = {name: np.ascontiguousarray(values[:, k]) for k, name in enumerate(lacking)}
            found[moment] = SealedMoment(moment, members[0], members[1], kept | now)
            tx.seal(replace(found[moment], values=now), first.definitions)
        return found

    def compare(
        self, tx: FeedTransaction, plan: FeaturePlan, moments: Int, instruments: Sequence[str], times: Int, first: Float
    ) -> Float:
        """Return a plan's features of rows, given their first stage; all moments must be sealed or may be."""
        found = self.sealed(tx, np.unique(moments).tolist(), plan)
        pasts = self._pasts(tx, plan, instruments, times)
        out = np.empty((len(times), len(plan.names)))
        for moment, sealed in found.items():
            rows = np.flatnonzero(moments == moment)
            some = None if pasts is None else [pasts[i] for i in rows.tolist()]
            out[rows] = compare_with(plan, sealed, first[rows], some)
        return out

    def _members(self, tx: FeedTransaction, moment: int) -> tuple[tuple[str, ...], Int]:
        """Return the instruments with a row that joins a moment, by name, and the newest such row of each."""
        names, times = tx.rows_between(self._begin(tx, moment), moment)
        _, joins = row_moments(self._market, tx.exchanges(names), names, times)
        newest: dict[str, int] = {}
        for name, us, joined in zip(names, times.tolist(), joins.tolist(), strict=True):
            if joined == moment:
                newest[name] = max(us, newest.get(name, us))
        members = tuple(sorted(newest))
        return members, np.array([newest[name] for name in members], dtype=np.int64)

    def _begin(self, tx: FeedTransaction, moment: int) -> int:
        """Return the earliest moment after which rows can join a moment."""
        bucket = bucket_us(self._market)
        if bucket is not None:
            return moment - bucket
        return min(_session_begin(name, moment) for name in (*tx.exchange_names(), ALWAYS_OPEN))

    def _pasts(
        self, tx: FeedTransaction, plan: FeaturePlan, instruments: Sequence[str], times: Int
    ) -> list[Past] | None:
        """Return the last rows of instruments with the market's mean return of each row's moment."""
        window = longest_regression(plan)
        if not window:
            return None
        base = FeaturePlan([RETURN], self._market)
        first: dict[str, int] = {}
        for name, us in zip(instruments, times.tolist(), strict=True):
            first[name] = min(us, first.get(name, us))
        reach = window + (base.lookback or 0)
        panel = tx.history(list(first), np.array(list(first.values()), dtype=np.int64), base.inputs, reach)
        own = np.asarray(base.compute(panel), dtype=np.float64)[:, 0]
        names = [panel.instruments[code] for code in panel.codes.tolist()]
        reads, _ = row_moments(self._market, tx.exchanges(panel.instruments), names, panel.timestamps)
        windows = []
        for name, us in zip(instruments, times.tolist(), strict=True):
            rows = panel.rows_of(name)
            stop = rows.start + int(np.searchsorted(panel.timestamps[rows], us, side="right"))
            windows.append(slice(max(rows.start, stop - window), stop))
        # The panel goes on behind the rows: moments that none of them has reached must not be sealed for it.
        reached = np.zeros(len(panel), dtype=np.bool_)
        for rows in windows:
            reached[rows] = True
        market = np.full(len(panel), np.nan)
        market[reached] = self._mean_returns(tx, reads[reached])
        return [Past(own[rows], market[rows]) for rows in windows]

    def _mean_returns(self, tx: FeedTransaction, moments: Int) -> Float:
        wanted = np.unique(moments).tolist()
        lacking = [moment for moment in wanted if moment not in self._means]
        if lacking:
            plan = FeaturePlan([f"market_mean_{RETURN}"], self._market)
            for moment, sealed in self.sealed(tx, lacking, plan).items():
                self._means[moment] = sealed.mean(RETURN)
        means = {moment: self._means[moment] for moment in wanted}
        while len(self._means) > _MEANS_KEPT:
            self._means.popitem(last=False)
        return np.array([means[moment] for moment in moments.tolist()])


def _session_begin(exchange: str, moment: int) -> int:
    """Return the close before the session that a moment belongs to; the moment itself where there is none."""
    try:
        calendar = calendar_of(exchange)
        number = int(calendar.session_index(np.array([moment]))[0])
    except (DataError, UnknownNameError):
        return moment
    return int(calendar.sessions.closes_us[number - 1]) if number else moment


def wait_for_moments(
    tx: FeedTransaction, active: ActiveModels, market: MarketSchema, rows: FeedRows, known: FeatureRows, segments: Float
) -> None:
    """Keep new rows with their features of single instruments for the models that compare instruments.

    Pending rows that a late or corrected row changes are computed again when their turn comes.
    """
    plan, names = active.compared, known.instruments
    if plan is None:
        return
    revised = by_coin(rows.instruments, rows.timestamps, np.flatnonzero(~(rows.fresh & rows.present)).tolist())
    for name, moments in known.late.items():
        revised.setdefault(name, []).extend(moments)
    if revised:
        tx.forget_pending_values({name: min(moments) for name, moments in revised.items()})
    if names:
        reads, joins = row_moments(market, tx.exchanges(names), names, known.timestamps)
        values = known.features[:, active.first_columns].tolist()
        first = [plan.first_stage.names] * len(names)
        tx.add_pending(PendingRows(names, known.timestamps, known.partitions, segments, reads, joins, first, values))


def values_of(
    tx: FeedTransaction, plan: FeaturePlan, instruments: Sequence[str], times: Int, known: PendingRows
) -> Float:
    """Return a plan's features of rows, from pending rows where these have them, else from the table; NaN if gone."""
    place = {
        (name, us): k for k, (name, us) in enumerate(zip(known.instruments, known.timestamps.tolist(), strict=True))
    }
    out = np.full((len(times), len(plan.names)), np.nan)
    missing = []
    for i, key in enumerate(zip(instruments, times.tolist(), strict=True)):
        k = place.get(key)
        given = {} if k is None else dict(zip(known.names[k], known.values[k], strict=True))
        if given.keys() >= set(plan.names):
            out[i] = [given[name] for name in plan.names]
        else:
            missing.append(i)
    if missing:
        keys = [(instruments[i], int(times[i])) for i in missing]
        earliest: dict[str, int] = {}
        for name, us in keys:
            earliest[name] = min(us, earliest.get(name, us))
        first = np.array(list(earliest.values()), dtype=np.int64)
        panel = tx.history(list(earliest), first, plan.inputs, plan.lookback)
        found, _, features = rows_at(plan, panel, keys)
        out[np.array(missing)[found]] = features
    return out
