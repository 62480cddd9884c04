"""The prediction service as a part: lanes in threads, which spend their time in compiled code and in the database."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from cachetools.func import ttl_cache

from kurswerk.alerts import Dispatcher
from kurswerk.bootstrap.kernels import compile_elsewhere
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.setting_groups import PredictorSettings
from kurswerk.channels import WebhookChannel, open_channels
from kurswerk.core.errors import KurswerkError
from kurswerk.market import DEFAULT_MARKET, MARKETS, MarketSchema
from kurswerk.observability import Metrics, get_logger
from kurswerk.serving import BatchReport, LaneOptions, ModelCache, Predictor
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import MarketRowReader
from kurswerk.storage.operations import clean_up
from kurswerk.storage.predictions import PostgresAlertStore
from kurswerk.storage.registry import PostgresActivationStore

# Of each batch so many lags are counted, evenly over its rows: a histogram is not worth a share of the processor.
_LAGS_PER_BATCH = 16
_ALERT_LOOK_S = 0.5
# How long a market's first active model waits for its lanes at most; its rows wait in the feed meanwhile.
_MARKET_LOOK_S = 1.0
# The rule that posts every alert where the settings say; their older name is its name.
WEBHOOK_RULE = "ALERT_WEBHOOK_URL"
# How often is looked for messages that wait only because the clock was set back.
_CLOCK_LOOK_S = 10.0
_CLEAN_UP_S = 3600.0

log = get_logger(__name__)


def part(service: Service) -> "PredictorPart":
    """Make the predictor."""
    return PredictorPart(service)


class PredictorPart:
    """Predicts new rows with all active models until ``stop``."""

    def __init__(self, service: Service) -> None:
        settings = service.settings.predictor
        self.ready = asyncio.Event()
        cache = ModelCache(
            service.stores.models,
            settings.model_cache,
            on_load=service.metrics.model_load_seconds.observe,
        )
        tally = Tally(service.metrics)
        self._database = service.database
        self._alerts = PostgresAlertStore(service.database, rows=MarketRowReader(service.database))
        alerts = service.settings.alerts
        secret = alerts.webhook_secret.get_secret_value() if alerts.webhook_secret else None
        self._alerts.keep_rule(WEBHOOK_RULE, WebhookChannel.kind.name, alerts.webhook_url, secret)
        self._stop, self._raised = threading.Event(), threading.Event()
        active_markets = ttl_cache(1, _MARKET_LOOK_S)(PostgresActivationStore(service.database).active_markets)
        self._lanes = settings.lanes

        def predictor(market: MarketSchema, lane: int) -> Predictor:
            return Predictor(
                lambda: PostgresFeedSession(service.database, market, overlap_s=settings.overlap_seconds),
                cache,
                lane_options(settings),
                LaneEvents(tally, f"{market.name}-{lane}", on_alerts=self._raised.set),
                market,
                poll_s=settings.poll_seconds,
                # Health counts the lanes of the default market: they stay connected.
                has_work=lambda: market.name == DEFAULT_MARKET or market.name in active_markets(),
            )

        self._predictors = {
            f"{market.name}-{lane}": predictor(market, lane)
            for market in MARKETS.values()
            for lane in range(settings.lanes)
        }

    @property
    def addresses(self) -> Mapping[str, str]:
        """What it does."""
        lanes = self._lanes
        return {"predictor": f"every new row, {lanes} lane{'s' if lanes > 1 else ''}"}

    async def run(self, stop: asyncio.Event) -> None:
        """Predict until ``stop`` is set, and the batch under way to its end."""
        threads = [
            threading.Thread(target=predictor.run, args=[self._stop], name=f"kurswerk-lane-{lane}", daemon=True)
            for lane, predictor in self._predictors.items()
        ]
        # Rows wait in the feed, so that nobody has to wait for the first kernels to be compiled.
        self.ready.set()
        await compile_elsewhere(stop)
        # Not waited for in the end: what it was about to send is sent again.
        threading.Thread(target=self._deliver, name="kurswerk-alerts", daemon=True).start()
        threading.Thread(target=self._clean_up, name="kurswerk-retention", daemon=True).start()
        for thread in threads:
            thread.start()
        try:
            await stop.wait()
        finally:
            self._stop.set()
            self._raised.set()
            for thread in threads:
                await asyncio.to_thread(thread.join)

    def _clean_up(self) -> None:
        """Remove what nobody needs any more, now and then; cut off in the middle, it is rolled back."""
        while not self._stop.is_set():
            try:
                log.info("retention cleanup", **clean_up(self._database))
            except KurswerkError as error:
                log.warning("retention cleanup failed", reason=str(error))
            self._stop.wait(_CLEAN_UP_S)

    def _deliver(self) -> None:
        """Send alerts until told to stop; a slow receiver holds up nobody."""
        dispatcher, next_look = Dispatcher(self._alerts, open_channels()), 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() >= next_look:
                    self._alerts.release_after_clock_change()
                    next_look = time.monotonic() + _CLOCK_LOOK_S
                idle = not dispatcher.start_due() and not dispatcher.under_way
                if not idle:
                    dispatcher.collect(_ALERT_LOOK_S)
            except KurswerkError as error:
                log.warning("alerts wait", reason=str(error))
                idle = True
            # Alerts of these lanes are heard of at once; others, and those to be tried again, are looked for.
            if idle and self._raised.wait(_ALERT_LOOK_S):
                self._raised.clear()


def lane_options(settings: PredictorSettings) -> LaneOptions:
    """Return how a lane works, of as many as there are."""
    return LaneOptions(
        batch_rows=settings.batch_size,
        store_features=settings.store_features,
        max_instruments=max(1, settings.most_coins // settings.lanes),
    )


class Tally:
    """Counts what all lanes of this process do, in the service's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._states: dict[str, Mapping[str, Any]] = {}

    def stored(self, report: BatchReport) -> None:
        """Count a batch."""
        metrics, total = self._metrics, sum(report.predictions.values())
        metrics.predictions.inc(total)
        for model, count in report.predictions.items():
            metrics.predictions_by_model.labels(str(model), report.names.get(model, "")).inc(count)
        for model, count in report.alerts.items():
            metrics.alerts.labels(str(model)).inc(count)
        metrics.feature_seconds.observe(report.feature_seconds)
        if total:
            metrics.prediction_seconds.observe(report.predict_seconds / total)
        lags = time.time() - report.committed_us / 1e6
        for place in np.linspace(0, len(lags) - 1, min(len(lags), _LAGS_PER_BATCH)).astype(int):
            metrics.commit_to_prediction_seconds.observe(max(0.0, float(lags[place])))

    def failed(self, kind: str) -> None:
        """Count an error."""
        self._metrics.errors.labels(kind).inc()

    def state(self, lane: str, state: Mapping[str, Any]) -> None:
        """Keep a lane's figures and show the sum."""
        with self._lock:
            self._states[lane] = state
            states = list(self._states.values())
        self._metrics.coins_tracked.set(sum(one["coins"] for one in states))
        self._metrics.models_loaded.set(len({model for one in states for model in one["loaded"]}))


class LaneEvents:
    """One lane's voice in the tally; ``on_alerts`` is called when a batch raised any."""

    def __init__(self, tally: Tally, lane: str, on_alerts: Callable[[], None]) -> None:
        self._tally, self._lane, self._on_alerts = tally, lane, on_alerts

    def stored(self, report: BatchReport) -> None:
        """Count a batch."""
        if report.alerts:
            self._on_alerts()
        self._tally.stored(report)

    def failed(self, kind: str) -> None:
        """Count an error."""
        self._tally.failed(kind)

    def state(self, state: Mapping[str, Any]) -> None:
        """Show how the lane is."""
        self._tally.state(self._lane, state)
