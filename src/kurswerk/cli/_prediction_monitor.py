"""Follows the predictions of a market that trades, as they are stored, and how long each took."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kurswerk.bootstrap.simulation import Sent
from kurswerk.bootstrap.stores import Stores
from kurswerk.core.errors import StorageError
from kurswerk.core.timestamps import to_us
from kurswerk.serving import PredictionFilter

_REFRESH_S = 0.5
_PAUSE_S = 0.5
_MOST_ROWS, _MOST_ALERTS = 100, 20
_MOST_SENT = 100_000
_MOST_LAGS = 1_000_000
# A predictor that compiles its first kernels on a slow machine takes a minute.
_MOST_LOADING_S = 180.0
_MOST_REST_S = 15.0


@dataclass
class Row:
    """A row that was sent, with its predictions; ``lag_s`` is from sending it to receiving the last of them."""

    moment: datetime
    coin: str
    price: float
    sent_s: float
    probabilities: dict[int, float] = field(default_factory=dict)
    lag_s: float | None = None


@dataclass(frozen=True)
class Lags:
    """How long predictions took, from sending the row to receiving them, in milliseconds."""

    predictions: int
    p50_ms: float | None
    p99_ms: float | None


class PredictionMonitor:
    """Receives stored predictions the way WebSocket clients do; a part of the service.

    Parameters
    ----------
    stores
        Where predictions are stored.
    models
        Id → name of the models to wait for.
    """

    def __init__(self, stores: Stores, models: Mapping[int, str]) -> None:
        self._feed, self._store, self._activations = stores.prediction_feed, stores.predictions, stores.activations
        self._sent: dict[tuple[str, int], Row] = {}
        self._lags: deque[float] = deque(maxlen=_MOST_LAGS)
        self._began = datetime.now(UTC)
        self._alerts_before: int | None = None
        self._refreshing = threading.Lock()
        self.models = dict(models)
        self.newest: deque[Row] = deque(maxlen=_MOST_ROWS)
        self.alerts: Sequence[Mapping[str, Any]] = ()
        self.n_rows = self.n_predictions = self.n_alerts = self.n_waiting = 0
        self.waits_for = "the models to be loaded"
        self.addresses: Mapping[str, str] = {}
        self.ready = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until ``stop`` is set."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._refresh_until_cancelled())]
        try:
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def rows_sent(self, rows: Sent) -> None:
        """Note rows that are on their way."""
        for coin, us, price in zip(rows.mints, rows.timestamps_us, rows.prices, strict=True):
            moment = datetime.fromtimestamp(us / 1e6, UTC)
            self._sent[coin, us] = Row(moment, coin, price, rows.sent_s)
        while len(self._sent) > _MOST_SENT:
            del self._sent[next(iter(self._sent))]

    def lags(self, newest: int | None = None) -> Lags:
        """Return how long predictions took, or so many newest ones."""
        taken = np.array(self._lags if newest is None else list(self._lags)[-newest:])
        if not len(taken):
            return Lags(self.n_predictions, None, None)
        p50, p99 = np.percentile(taken, [50, 99]) * 1000
        return Lags(self.n_predictions, float(p50), float(p99))

    async def loaded(self) -> None:
        """Return when a predictor has all models, or after minutes."""
        await self.ready.wait()
        deadline = time.monotonic() + _MOST_LOADING_S
        while time.monotonic() < deadline and not self.models.keys() <= await asyncio.to_thread(self._loaded):
            await asyncio.sleep(_PAUSE_S)
        self.waits_for = "the first row"

    async def all_received(self) -> None:
        """Return when every row that was sent has its predictions, or after seconds."""
        deadline = time.monotonic() + _MOST_REST_S
        while self._sent and time.monotonic() < deadline:
            await asyncio.sleep(_REFRESH_S / 10)
        await asyncio.to_thread(self._refresh)

    def _loaded(self) -> set[int]:
        try:
            return {row["id"] for row in self._activations.active() if row["loaded"]}
        except StorageError:
            return set()

    async def _listen(self) -> None:
        while True:
            try:
                async for rows in self._feed.stored(lambda: True):
                    self.ready.set()
                    self._receive(rows)
            except StorageError:
                await asyncio.sleep(_PAUSE_S)

    def _receive(self, rows: Sequence[Mapping[str, Any]]) -> None:
        now = time.perf_counter()
        self.n_predictions += len(rows)
        for prediction in rows:
            key = prediction["coin_id"], to_us(prediction["timestamp"])
            row = self._sent.get(key)
            if row is None:  # another writer's, or dropped as the oldest of too many
                continue
            # A model may have been activated beside those of the demo: its predictions are waited for from now on.
            self.models.setdefault(prediction["model_id"], prediction["model_name"])
            if not row.probabilities:
                self.n_rows += 1
                self.newest.appendleft(row)
            row.probabilities[prediction["model_id"]] = prediction["probability"]
            row.lag_s = now - row.sent_s
            self._lags.append(row.lag_s)
            if row.probabilities.keys() >= self.models.keys():
                del self._sent[key]

    async def _refresh_until_cancelled(self) -> None:
        while True:
            await asyncio.to_thread(self._refresh)
            await asyncio.sleep(_REFRESH_S)

    def _refresh(self) -> None:
        with self._refreshing:  # or what was read first might be noted last
            try:
                stats = self._store.stats()
                self.alerts = self._store.alerts(PredictionFilter(since=self._began), _MOST_ALERTS)
            except StorageError:
                return
            if self._alerts_before is None:
                self._alerts_before = int(stats["total_alerts"])
            self.n_alerts = int(stats["total_alerts"]) - self._alerts_before
            self.n_waiting = int(stats["lag_rows"])
