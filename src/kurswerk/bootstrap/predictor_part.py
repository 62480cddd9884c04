"""The prediction service as a part: lanes in threads, which spend their time in compiled code and in the database."""

import asyncio
import threading
from collections.abc import Callable, Mapping

from cachetools.func import ttl_cache

from kurswerk.alerts import DeliveryLoop
from kurswerk.archive import PredictionArchive
from kurswerk.bootstrap.kernels import compile_elsewhere
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.setting_groups import PredictorSettings
from kurswerk.channels import WebhookChannel, open_channels
from kurswerk.market import DEFAULT_MARKET, MARKETS, MarketSchema
from kurswerk.serving import LaneOptions, ModelCache, MomentOptions, Predictor, PredictorMetrics
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.jobs import FolderJobFiles
from kurswerk.storage.markets import MarketRowReader
from kurswerk.storage.operations import Retention, clean_up, clean_up_regularly
from kurswerk.storage.predictions import PostgresAlertStore, PredictionRetention, retain_predictions
from kurswerk.storage.registry import PostgresActivationStore

# How long a market's first active model waits for its lanes at most; its rows wait in the feed meanwhile.
_MARKET_LOOK_S = 1.0
# The rule that posts every alert to the address of the settings; it is named after their older variable.
WEBHOOK_RULE = "ALERT_WEBHOOK_URL"


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
        metrics = PredictorMetrics(service.metrics)
        self._retention = retention_steps(service)
        store = PostgresAlertStore(service.database, rows=MarketRowReader(service.database))
        alerts = service.settings.alerts
        secret = alerts.webhook_secret.get_secret_value() if alerts.webhook_secret else None
        store.keep_rule(WEBHOOK_RULE, WebhookChannel.kind.name, alerts.webhook_url, secret)
        self._stop, self._delivery = threading.Event(), DeliveryLoop(store, open_channels())
        active_markets = ttl_cache(1, _MARKET_LOOK_S)(PostgresActivationStore(service.database).active_markets)
        self._lanes = settings.lanes

        def predictor(market: MarketSchema, lane: int) -> Predictor:
            return Predictor(
                lambda: PostgresFeedSession(service.database, market, overlap_s=settings.overlap_seconds),
                cache,
                lane_options(settings),
                metrics.lane(f"{market.name}-{lane}", on_alerts=self._delivery.wake),
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
        if stop.is_set():
            return  # a lane would compile by itself what is not there yet, and nothing can interrupt that
        # Not waited for in the end: what it was about to send is sent again.
        threading.Thread(target=self._delivery.run, args=[self._stop], name="kurswerk-alerts", daemon=True).start()
        threading.Thread(
            target=clean_up_regularly, args=[self._retention, self._stop], name="kurswerk-retention", daemon=True
        ).start()
        for thread in threads:
            thread.start()
        try:
            await stop.wait()
        finally:
            self._stop.set()
            self._delivery.wake()
            for thread in threads:
                await asyncio.to_thread(thread.join)


def retention_steps(service: Service) -> list[Callable[[], Mapping[str, int]]]:
    """Return what removes records that are older than the settings ask for."""
    database, settings = service.database, service.settings
    days = settings.retention
    archive = PredictionArchive(settings.archive_dir)
    predictions = PredictionRetention(
        days.predictions_days, days.days_of_models, days.features_days, archive if days.archive else None
    )

    def others() -> Mapping[str, int]:
        retention = Retention(
            days.alerts_days, days.deliveries_days, days.jobs_days, days.job_log_days, days.feed_days, days.states_days,
            days.moments_days,
            keep_revisions=days.archive or bool(archive.manifests()),
        )  # fmt: skip
        return clean_up(database, retention, remove_file=FolderJobFiles(settings.data_dir).remove)

    return [lambda: retain_predictions(database, predictions), others]


def lane_options(settings: PredictorSettings) -> LaneOptions:
    """Return how a lane works, of as many as there are."""
    return LaneOptions(
        batch_rows=settings.batch_size,
        store_features=settings.store_features,
        max_instruments=max(1, settings.most_coins // settings.lanes),
        moments=MomentOptions(settings.session_grace_seconds, settings.bucket_grace_seconds, settings.moment_clock),
    )
