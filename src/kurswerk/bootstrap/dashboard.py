"""Joins the dashboard's pages to the adapters."""

import dataclasses
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from kurswerk.bootstrap.quality import MarketQuality
from kurswerk.bootstrap.settings import Settings
from kurswerk.bootstrap.stores import Stores
from kurswerk.channels import KINDS
from kurswerk.core.errors import InvalidInputError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_us
from kurswerk.dashboard import (
    Alert,
    ApiKey,
    DashboardServices,
    HealthReport,
    MinuteCount,
    Prediction,
    PredictionBatch,
    UploadedBars,
)
from kurswerk.ingest import MarketSink, QuarantinedRow, ingest_files, quarantined_rows
from kurswerk.jobs import JobService, Progress
from kurswerk.market import MarketSchema, market_named
from kurswerk.market.calendar import Calendar, calendar_of
from kurswerk.market.series import SeriesOrigin
from kurswerk.observability import ResourceSample
from kurswerk.oversight import LivePerformance, OutcomeLog, live_performance
from kurswerk.registry import ModelRecord
from kurswerk.reports import without_secret
from kurswerk.serving import PredictionFilter, Replay, activate, replay
from kurswerk.sources import CoinMarket
from kurswerk.sources.files import open_candles
from kurswerk.sources.simulated_candles import SimulatedCandles
from kurswerk.storage.markets import MarketContextStore, PostgresMarketStore, coverage
from kurswerk.storage.operations import PostgresKeyStore
from kurswerk.storage.predictions import PostgresAlertStore, PostgresPredictionStore, SharedPredictionFeed
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore
from kurswerk.training import ModelSpec

_MOST_UPLOAD_BYTES = 512 << 20
_SECRET_NAMES = ("password", "secret", "token", "key")


class LocalDataIngestion:
    """Fills markets from a simulation of coins or an uploaded file."""

    def __init__(
        self, markets: Mapping[str, PostgresMarketStore], context: MarketContextStore, quarantine: Path
    ) -> None:
        self._markets, self._context, self._quarantine = markets, context, quarantine

    def simulate(self, coins: int, hours: float, seed: int, progress: Progress) -> int:
        """Store a simulated market that ends now."""
        start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=hours)
        market, coins_market = CoinMarket(coins, hours, seed, to_us(start)), market_named("coins")
        summary = ingest_files(
            [SimulatedCandles(market)],
            coins_market,
            self._markets[coins_market.name],
            self._quarantine,
            progress=lambda step: progress((step.fraction + (step.step == "store")) / 2, step.message),
        )
        self._context.write_streams(market.streams())
        self._context.write_exchange_rates(market.exchange_rates())
        return summary.accepted

    def ingest(self, file_name: str, content: bytes, market: MarketSchema, bars: UploadedBars | None = None) -> Message:
        """Store the rows of a CSV or Parquet file in a market and return how many were accepted."""
        if len(content) > _MOST_UPLOAD_BYTES:
            raise InvalidInputError(
                "upload.too_large",
                file=file_name,
                size=len(content) / 1000000.0,
                most=_MOST_UPLOAD_BYTES / 1000000.0,
                name=file_name,
            )
        with tempfile.TemporaryDirectory(prefix="kurswerk-upload-") as folder:
            path = Path(folder) / Path(file_name.replace("\\", "/")).name
            path.write_bytes(content)
            sink, calendar = self._sink(market, path.stem, bars or UploadedBars())
            summary = ingest_files([open_candles(path, market)], market, sink, self._quarantine, calendar=calendar)
        return Message(
            "ingest.summary",
            file=file_name,
            count=summary.rows_read,
            accepted=summary.accepted,
            repeated=summary.duplicates,
            quarantined=sum(sum(file.quarantined.values()) for file in summary.files),
        )

    def _sink(self, market: MarketSchema, file_name: str, bars: UploadedBars) -> tuple[MarketSink, Calendar | None]:
        """Return what writes rows of a market, and whose sessions their dates are, if they are days."""
        store = self._markets[market.name]
        if market.series is None:
            return store, None
        origin = SeriesOrigin.of(bars.source or file_name, bars.price_basis)
        return store.series_sink(origin, bars.exchange), None if market.on_demand else calendar_of(bars.exchange)

    def quarantined(self, limit: int) -> Sequence[QuarantinedRow]:
        """Return refused rows, those of the newest files first."""
        return quarantined_rows(self._quarantine, limit)


class StoredPredictions:
    """Models at work, over what the predictor stores."""

    def __init__(
        self,
        models: PostgresModelStore,
        store: PostgresPredictionStore,
        activations: PostgresActivationStore,
        markets: Mapping[str, PostgresMarketStore],
        feed: SharedPredictionFeed,
        outcomes: OutcomeLog,
    ) -> None:
        self._models, self._store, self._activations, self._markets = models, store, activations, markets
        self._feed, self._outcomes = feed, outcomes

    def activate(self, model_id: int) -> None:
        """Let a certified model predict each new row."""
        activate(model_id, self._models, self._activations)

    def deactivate(self, model_id: int) -> None:
        """Let a model predict no more."""
        self._activations.deactivate(model_id)

    def reload(self, model_id: int) -> None:
        """Let every running predictor load a model anew."""
        self._activations.reload(model_id)

    def missing_columns(self, model: ModelRecord) -> Sequence[str]:
        """Return the columns that a model needs and the database lacks."""
        return self._activations.missing_columns(model)

    def set_threshold(self, model_id: int, alert_threshold: float) -> None:
        """Change from which probability a model raises alerts."""
        self._models.update(model_id, {"alert_threshold": alert_threshold})

    def predictions(
        self,
        *,
        coin_id: str | None = None,
        coin_ids: frozenset[str] | None = None,
        model_id: int | None = None,
        min_probability: float | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[Prediction]:
        """Return predictions of rows in scope, the newest first."""
        chosen = PredictionFilter(coin_id, model_id, min_probability, since, until, in_scope=True, coin_ids=coin_ids)
        return self._with_alerts(self._store.find(chosen, limit))

    def performance(self, model: ModelRecord) -> LivePerformance:
        """Measure a model by what became of its newest predictions of rows in scope."""
        return live_performance(self._outcomes, model.id, ModelSpec.stored(model.spec).label_spec())

    def replay(self, prediction_id: int) -> Replay:
        """Compute a stored prediction again, and hold it against what was stored."""
        return replay(prediction_id, self._store, self._markets, self._models)

    def alerts(self, *, model_id: int | None = None, limit: int = 100) -> Sequence[Alert]:
        """Return alerts, the newest first."""
        return [
            Alert(
                row["id"],
                row["coin_id"],
                row["model_id"],
                row["probability"],
                row["threshold"],
                row["created_at"],
                row["alert_sent"],
            )
            for row in self._store.alerts(PredictionFilter(model_id=model_id), limit)
        ]

    def minute_counts(self, minutes: int) -> Sequence[MinuteCount]:
        """Return how many predictions of rows in scope were stored in each of the last full minutes, oldest first."""
        return [MinuteCount(row["minute"], row["predictions"]) for row in self._store.minute_counts(minutes)]

    async def stream(
        self,
        *,
        coin_id: str | None = None,
        coin_ids: frozenset[str] | None = None,
        model_id: int | None = None,
        min_probability: float | None = None,
        max_rows: int = 300,
    ) -> AsyncGenerator[PredictionBatch, None]:
        """Yield predictions of rows in scope as they are stored."""

        def fits(row: Mapping[str, Any]) -> bool:
            return bool(
                row["in_scope"]
                and (coin_id is None or row["coin_id"] == coin_id)
                and (coin_ids is None or row["coin_id"] in coin_ids)
                and (model_id is None or row["model_id"] == model_id)
                and (min_probability is None or row["probability"] >= min_probability)
            )

        async with aclosing(self._feed.subscribe(fits, max_rows=max_rows)) as batches:
            async for batch in batches:
                yield PredictionBatch(
                    tuple(_prediction(row, alert=row["alert_id"] is not None) for row in batch.rows),
                    tuple(_alert_of_prediction(row) for row in batch.alerts),
                    batch.skipped,
                )

    def _with_alerts(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Prediction]:
        thresholds = self._models.alert_thresholds() if rows else {}
        return [_prediction(row, alert=row["probability"] >= thresholds.get(row["model_id"], 2.0)) for row in rows]


def _prediction(row: Mapping[str, Any], *, alert: bool) -> Prediction:
    forecast = None if row["forecast"] is None else (row["forecast"], row["low"], row["high"])
    return Prediction(
        id=row["id"],
        coin_id=row["coin_id"],
        timestamp=row["timestamp"],
        model_id=row["model_id"],
        prediction=row["prediction"],
        probability=row["probability"],
        alert=alert,
        forecast=forecast,
    )


def _alert_of_prediction(row: Mapping[str, Any]) -> Alert:
    """Return the alert that a prediction has just raised; it cannot have been sent yet."""
    return Alert(
        row["alert_id"],
        row["coin_id"],
        row["model_id"],
        row["probability"],
        row["alert_threshold"],
        row["alert_created_at"],
        sent=False,
    )


class StoredKeys:
    """API keys, as the dashboard shows and checks them."""

    def __init__(self, store: PostgresKeyStore) -> None:
        self._store = store

    def scopes_of(self, key: str) -> frozenset[str] | None:
        """Return what a key allows; None if it is unknown or revoked."""
        found = self._store.find(key)
        return None if found is None else frozenset(s for s in ("read", "train", "admin") if found.allows(s))

    def all(self) -> Sequence[ApiKey]:
        """Return all keys."""
        return [ApiKey(**dataclasses.asdict(key)) for key in self._store.all()]

    def create(self, name: str, scopes: Sequence[str]) -> str:
        """Make a key and return it."""
        return self._store.create(name, scopes)[1]

    def revoke(self, key_id: int) -> None:
        """Make a key useless."""
        self._store.revoke(key_id)


def dashboard_services(
    settings: Settings,
    stores: Stores,
    feed: SharedPredictionFeed,
    jobs: JobService,
    health: Callable[[], HealthReport],
    resource_samples: Callable[[], Sequence[ResourceSample]],
) -> DashboardServices:
    """Return what the dashboard's pages work with.

    Parameters
    ----------
    feed
        Reports stored predictions.
    jobs
        Where the API takes orders.
    health
        As the API answers ``/health``.
    resource_samples
        What machine and service did until now.
    """
    database, models, markets = stores.database, stores.models, stores.markets
    return DashboardServices(
        models=models,
        results=stores.results,
        markets=markets,
        job_service=jobs,
        jobs=jobs.store,
        ingestion=LocalDataIngestion(markets, MarketContextStore(database), settings.quarantine_dir),
        quality=MarketQuality(markets, settings.quarantine_dir).check,
        coverage=lambda market: coverage(database, market),
        health=health,
        resource_samples=resource_samples,
        settings=settings_in_force(settings.model_dump()),
        keys=StoredKeys(PostgresKeyStore(database)),
        live=StoredPredictions(
            models,
            stores.predictions,
            PostgresActivationStore(database),
            markets,
            feed,
            stores.outcome_log,
        ),
        alerts=PostgresAlertStore(database, KINDS),
        channels=KINDS,
        instruments=stores.instruments,
        watchlists=stores.watchlists,
    )


def settings_in_force(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten settings to text, with what is secret masked; of an address only the password is.

    Examples
    --------
    >>> settings_in_force({"url": "postgresql://me:secret@host/db", "webhook_token": "abc"})
    {'url': 'postgresql://me:•••@host/db', 'webhook_token': '•••'}
    """
    found: dict[str, str] = {}
    for name, given in settings.items():
        value = given.get_secret_value() if isinstance(given, SecretStr) else given
        if isinstance(value, Mapping):
            found |= settings_in_force(value, f"{prefix}{name}.")
        elif value is not None and any(name.endswith(secret) for secret in _SECRET_NAMES):
            found[f"{prefix}{name}"] = "•••"
        else:
            found[f"{prefix}{name}"] = "–" if value is None else without_secret(str(value))
    return found
