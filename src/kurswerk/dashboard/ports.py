"""Ports of the dashboard: what its pages need of the outside."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from kurswerk.alerts import AlertStore, ChannelKind
from kurswerk.core.messages import Message
from kurswerk.ingest import QuarantinedRow
from kurswerk.jobs import JobService, JobStore, Progress
from kurswerk.market import DEFAULT_MARKET, MarketSchema, Panel
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.coverage import CoinCoverage
from kurswerk.market.instruments import Instrument, InstrumentFilter, Series
from kurswerk.market.series import SourceConflict
from kurswerk.market.watchlists import WatchlistStore
from kurswerk.observability import Check, ResourceSample
from kurswerk.oversight import LivePerformance
from kurswerk.quality import QualityReport
from kurswerk.registry import Comparison, ModelRecord, ModelStore, ResultStore, TestResult
from kurswerk.serving import Replay
from kurswerk.training import MarketSurvey

Json = Mapping[str, Any]


class Models(ModelStore, Protocol):
    """Models, in any order, with what a person may change of them."""

    def find(
        self,
        *,
        status: str | None = None,
        model_type: str | None = None,
        market: str | None = None,
        limit: int = 100,
        offset: int = 0,
        sort: str = "id",
        descending: bool = True,
    ) -> Sequence[ModelRecord]:
        """Return models, newest first unless sorted otherwise."""
        ...


class Results(ResultStore, Protocol):
    """Tests and comparisons, one by one and of a model."""

    def test(self, test_id: int) -> TestResult:
        """Return a test; NotFoundError if there is none."""
        ...

    def comparison(self, comparison_id: int) -> Comparison:
        """Return a comparison; NotFoundError if there is none."""
        ...

    def comparisons_of(self, model_id: int, limit: int = 100) -> Sequence[Comparison]:
        """Return the comparisons a model took part in, newest first."""
        ...


class MarketData(MarketSurvey, Protocol):
    """Market data as a whole and coin by coin."""

    def instruments(self) -> Sequence[str]:
        """Return the names of all coins."""
        ...

    def latest_rows(self, mint: str, n: int, columns: Sequence[str] | None = None) -> Panel:
        """Return the last ``n`` rows of a coin; NotFoundError if there are none."""
        ...


@dataclass(frozen=True)
class UploadedBars:
    """What a reader states of the bars in a file, where a market keeps several series of an instrument.

    Attributes
    ----------
    source
        Name of the source; empty is the file's.
    price_basis
        ``raw`` or ``split-adjusted:YYYY-MM-DD``.
    exchange
        Whose sessions the dates of bars are.
    """

    source: str = ""
    price_basis: str = "raw"
    exchange: str = "XNYS"


class KnownValue(Protocol):
    """What somebody stated of an instrument, as it was known at a moment."""

    @property
    def name(self) -> str:
        """The column."""
        ...

    @property
    def value(self) -> float:
        """As stated: of one share of its day where it is per share."""
        ...

    @property
    def as_of_us(self) -> int:
        """Of which moment it is, microseconds UTC."""
        ...

    @property
    def known_us(self) -> int:
        """From which moment on it was known, microseconds UTC."""
        ...

    @property
    def source(self) -> str:
        """Who stated it."""
        ...

    @property
    def is_stale(self) -> bool:
        """Whether it is too old for models."""
        ...


class InstrumentDirectory(Protocol):
    """The instruments of a market that keeps several series of each."""

    def find(self, wanted: InstrumentFilter, limit: int = 100, offset: int = 0) -> tuple[list[Instrument], int]:
        """Return instruments, the best matches first, and how many there are on all pages together."""
        ...

    def get(self, symbol: str) -> Instrument:
        """Return one instrument; NotFoundError if nothing is known of it."""
        ...

    def names(self) -> dict[str, str]:
        """Return symbol → name of those that have one."""
        ...

    def sectors(self) -> list[str]:
        """Return the sectors that instruments are in, ascending."""
        ...

    def series(self, symbols: Sequence[str] | None = None) -> list[Series]:
        """Return the series of instruments, by symbol and length, the preferred one of each first."""
        ...

    def conflicts(self, symbols: Sequence[str] | None = None) -> list[SourceConflict]:
        """Return where other sources of the market's bars differ from the preferred one."""
        ...

    def known_values(self, symbol: str, moment_us: int) -> Sequence[KnownValue]:
        """Return the newest fundamentals, sector and memberships of an instrument known at a moment."""
        ...

    def split_factor(self, symbol: str) -> float:
        """Return what the newest bar's prices are multiplied by for the splits up to it."""
        ...

    def actions(self, symbol: str) -> list[CorporateAction]:
        """Return corporate actions as they are known now, oldest first."""
        ...


class DataIngestion(Protocol):
    """Stores market data; each returns what it stored."""

    def simulate(self, coins: int, hours: float, seed: int, progress: Progress) -> int:
        """Store a simulated market that ends now; return how many rows it has."""
        ...

    def ingest(self, file_name: str, content: bytes, market: MarketSchema, bars: UploadedBars | None = None) -> Message:
        """Store the rows of a CSV or Parquet file in a market and return how many were accepted.

        ``bars`` states more of them where the market keeps series.
        """
        ...

    def quarantined(self, limit: int) -> Sequence[QuarantinedRow]:
        """Return rejected rows, the newest first."""
        ...


@dataclass(frozen=True)
class Prediction:
    """One stored prediction; of a forecast model with forecast, low and high in percent."""

    id: int
    coin_id: str
    timestamp: datetime
    model_id: int
    prediction: int
    probability: float
    alert: bool = False
    forecast: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Alert:
    """One alert that a prediction raised."""

    id: int
    coin_id: str
    model_id: int
    probability: float
    threshold: float
    created_at: datetime
    sent: bool


@dataclass(frozen=True)
class MinuteCount:
    """How many predictions were stored in the minute that begins at ``minute``."""

    minute: datetime
    predictions: int


@dataclass(frozen=True)
class PredictionBatch:
    """What was stored since a reader took the batch before.

    Attributes
    ----------
    predictions
        Those that the reader asked for, in the order they were stored.
    alerts
        Alerts of all models, whatever the reader asked for.
    skipped
        How many predictions were dropped because the reader did not take them in time.
    """

    predictions: Sequence[Prediction] = ()
    alerts: Sequence[Alert] = ()
    skipped: int = 0


class LivePredictions(Protocol):
    """Active models: which are, what they predict, and which alerts they raise."""

    def activate(self, model_id: int) -> None:
        """Let a certified model predict each new row; ConflictError if it may not."""
        ...

    def deactivate(self, model_id: int) -> None:
        """Let a model predict no more."""
        ...

    def reload(self, model_id: int) -> None:
        """Let every running predictor reload a model."""
        ...

    def missing_columns(self, model: ModelRecord) -> Sequence[str]:
        """Return the columns that a model needs and the database lacks, as ``table.column``."""
        ...

    def set_threshold(self, model_id: int, alert_threshold: float) -> None:
        """Change from which probability a model raises alerts."""
        ...

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
        """Return predictions of rows in scope, the newest first; ``since`` and ``until`` are when they were stored."""
        ...

    def performance(self, model: ModelRecord) -> LivePerformance:
        """Measure a model by what became of its newest predictions of rows in scope."""
        ...

    def replay(self, prediction_id: int) -> Replay:
        """Compute a stored prediction again, and compare it with what was stored."""
        ...

    def alerts(self, *, model_id: int | None = None, limit: int = 100) -> Sequence[Alert]:
        """Return alerts, the newest first."""
        ...

    def minute_counts(self, minutes: int) -> Sequence[MinuteCount]:
        """Return how many predictions of rows in scope were stored in each of the last full minutes, oldest first."""
        ...

    def stream(
        self,
        *,
        coin_id: str | None = None,
        coin_ids: frozenset[str] | None = None,
        model_id: int | None = None,
        min_probability: float | None = None,
        max_rows: int = 300,
    ) -> AsyncGenerator[PredictionBatch, None]:
        """Yield predictions of rows in scope as they are stored.

        The first batch is empty and comes once the feed listens: what is stored from then on is reported. Further
        empty ones come about every second in which nothing is stored.

        Parameters
        ----------
        coin_id, coin_ids, model_id, min_probability
            Which predictions; None is all.
        max_rows
            How many predictions may wait for the reader; of more, the oldest are skipped.

        Raises
        ------
        DatabaseUnavailableError
            When the connection cannot be made, or is lost.
        """
        ...


class HealthReport(Protocol):
    """Health of the service."""

    @property
    def status(self) -> str:
        """``healthy``, ``degraded`` or ``unhealthy``."""
        ...

    @property
    def checks(self) -> Mapping[str, Check]:
        """Name → what was found."""
        ...


@dataclass(frozen=True)
class ApiKey:
    """An API key as far as anybody may see it again."""

    id: int
    name: str
    prefix: str
    scopes: Sequence[str]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def is_revoked(self) -> bool:
        """Whether it is refused; one that was replaced is revoked at a moment to come."""
        return self.revoked_at is not None and self.revoked_at <= datetime.now(UTC)


class ApiKeys(Protocol):
    """Knows the API keys."""

    def scopes_of(self, key: str) -> frozenset[str] | None:
        """Return what a key allows; None if it is unknown or revoked."""
        ...

    def all(self) -> Sequence[ApiKey]:
        """Return all keys."""
        ...

    def create(self, name: str, scopes: Sequence[str]) -> str:
        """Make a key and return it; nobody can read it again."""
        ...

    def revoke(self, key_id: int) -> None:
        """Make a key useless."""
        ...


@dataclass(frozen=True)
class DashboardServices:
    """Everything that a page can reach.

    Attributes
    ----------
    models, results
        Models and their results.
    markets
        Name of a registered market → its rows.
    job_service
        Creates jobs.
    jobs
        Stored jobs.
    ingestion
        Stores market data.
    quality
        Checks a market's rows, by its name.
    coverage
        Rows, gaps and newest row of each instrument of a market.
    health
        Checks everything that serving needs.
    resource_samples
        Utilisation of machine and service until now, oldest first.
    settings
        Settings in force, secrets masked.
    keys
        API keys; None where none are kept.
    live
        Active models and their predictions; None where no predictor is part of this installation.
    alerts
        Notification rules; None where there are none.
    channels
        Channels that messages can take, by name.
    instruments
        Name of a market that keeps series → its instruments.
    watchlists
        Instruments that somebody follows together; None where there are none.
    """

    models: Models
    results: Results
    markets: Mapping[str, MarketData]
    job_service: JobService
    jobs: JobStore
    ingestion: DataIngestion
    quality: Callable[[str], QualityReport]
    coverage: Callable[[MarketSchema], Sequence[CoinCoverage]]
    health: Callable[[], HealthReport]
    resource_samples: Callable[[], Sequence[ResourceSample]]
    settings: Mapping[str, str]
    keys: ApiKeys | None = None
    live: LivePredictions | None = None
    alerts: AlertStore | None = None
    channels: Mapping[str, ChannelKind] = field(default_factory=dict)
    instruments: Mapping[str, InstrumentDirectory] = field(default_factory=dict)
    watchlists: WatchlistStore | None = None

    @property
    def market(self) -> MarketData:
        """The market of coins, which the pages about coins show."""
        return self.markets[DEFAULT_MARKET]


@dataclass(frozen=True)
class DashboardOptions:
    """How the dashboard behaves.

    Attributes
    ----------
    require_keys
        Whether a user must give an API key first.
    allowed_hosts
        Names in the ``Host`` header that are answered; empty answers all.
    api_path
        Where the REST API stands, for links and curl commands.
    path_prefix
        Path under which a reverse proxy serves all of it, such as ``/kurswerk``.
    """

    require_keys: bool = False
    allowed_hosts: tuple[str, ...] = ()
    api_path: str = "/api"
    path_prefix: str = ""
