"""What the API needs of the outside: protocols that adapters satisfy, and all of them together as `ApiPorts`.

Ports of use cases (registering models, ordering jobs, alerts, activation) are those of their own packages.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kurswerk.alerts import AlertStore, ChannelKind
from kurswerk.jobs import JobFiles, JobService
from kurswerk.market import Panel
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.instruments import Instrument, InstrumentFilter, Series
from kurswerk.market.series import SourceConflict
from kurswerk.market.watchlists import WatchlistStore
from kurswerk.observability import HealthReport
from kurswerk.oversight import OutcomeLog
from kurswerk.quality import QualityReport
from kurswerk.registry import Listing, ModelStore, PageRequest
from kurswerk.serving import ActivationStore, PredictionFilter, PredictionLog
from kurswerk.training import MarketSurvey

Row = Mapping[str, Any]


class Catalog(Protocol):
    """Reads models, results and jobs as rows under the names of contracts.md. Deleted models are never found."""

    def models(self, page: PageRequest, filters: Row) -> Listing:
        """Return one page of models, without what is large."""
        ...

    def model(self, model_id: int) -> Row:
        """Return one model with everything; NotFoundError if there is none."""
        ...

    def tests(self, page: PageRequest, filters: Row) -> Listing:
        """Return one page of test results."""
        ...

    def test(self, test_id: int) -> Row:
        """Return one test result; NotFoundError if there is none."""
        ...

    def comparisons(self, page: PageRequest, filters: Row) -> Listing:
        """Return one page of comparisons."""
        ...

    def comparison(self, comparison_id: int) -> Row:
        """Return one comparison; NotFoundError if there is none."""
        ...

    def jobs(self, page: PageRequest, filters: Row) -> Listing:
        """Return one page of jobs."""
        ...

    def job(self, job_id: int) -> Row:
        """Return one job; NotFoundError if there is none."""
        ...

    def phases(self) -> Sequence[Row]:
        """Return the phases a coin passes."""
        ...


class Market(MarketSurvey, Protocol):
    """The rows of a market."""

    def latest_rows(self, mint: str, n: int, columns: Sequence[str] | None = None) -> Panel:
        """Return the last ``n`` rows of an instrument; NotFoundError if there are none."""
        ...


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


class PredictionStore(PredictionLog, Protocol):
    """Finds stored predictions and alerts."""

    def find(self, chosen: PredictionFilter, limit: int = 100, offset: int = 0) -> Sequence[Row]:
        """Return predictions, newest first."""
        ...

    def get(self, prediction_id: int) -> Row:
        """Return one prediction; NotFoundError if there is none."""
        ...

    def latest(self, coin_id: str) -> Sequence[Row]:
        """Return all models' predictions of a coin's newest predicted row; NotFoundError if there is none."""
        ...

    def alerts(self, chosen: PredictionFilter, limit: int = 100, offset: int = 0) -> Sequence[Row]:
        """Return alerts, newest first."""
        ...

    def stats(self) -> Row:
        """Return counts of predictions and alerts, and the state of the predictors."""
        ...


class PredictionFeed(Protocol):
    """Yields predictions as they are stored."""

    def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """Yield nothing once it listens, then each batch if it is ``wanted``; DatabaseUnavailableError when lost."""
        ...


class ApiKey(Protocol):
    """An API key that is known and not revoked."""

    @property
    def id(self) -> int:
        """Number of the key."""
        ...

    @property
    def name(self) -> str:
        """Name its owner gave it."""
        ...

    def allows(self, scope: str) -> bool:
        """Whether a call that needs ``scope`` may be made."""
        ...


class KeyStore(Protocol):
    """Finds API keys."""

    def find(self, key: str) -> ApiKey | None:
        """Return what is known of a key, None if it is unknown or revoked."""
        ...


class ChangeFeed(Protocol):
    """Yields the names of tables as they change."""

    def changes(self) -> AsyncIterator[str | None]:
        """Yield None once it listens, then the name of each table that changed; DatabaseUnavailableError when lost."""
        ...


@dataclass(frozen=True)
class ApiPorts:
    """Everything that a call can reach.

    Attributes
    ----------
    catalog
        Reads models, tests, comparisons, jobs and phases as rows, filtered, sorted and paged.
    jobs
        Orders work.
    job_files
        Finds the files that jobs have written.
    models
        Model versions and their artifacts.
    markets
        Name of a registered market → its rows, and what data there are.
    instruments
        Name of a market that keeps series → its instruments.
    watchlists
        Instruments that somebody follows together.
    predictions
        Finds stored predictions and alerts.
    activations
        Decides which models predict.
    outcomes
        Reads what became of predictions.
    quality
        Checks a market's rows, by its name, and names so many places of each finding.
    stream
        Yields predictions as they are stored.
    alerts
        Alert rules and their messages.
    channels
        The channels a message can take, by name.
    keys
        Finds API keys.
    changes
        Yields which table has changed; invalidates cached responses.
    health
        Checks everything that serving depends on.
    metrics_text
        Writes the metrics in Prometheus's text format.
    on_request
        Called after every request that was answered: method, route template, status, seconds.
    """

    catalog: Catalog
    jobs: JobService
    job_files: JobFiles
    models: ModelStore
    markets: Mapping[str, Market]
    instruments: Mapping[str, InstrumentDirectory]
    watchlists: WatchlistStore
    predictions: PredictionStore
    activations: ActivationStore
    outcomes: OutcomeLog
    quality: Callable[[str, int], QualityReport]
    stream: PredictionFeed
    alerts: AlertStore
    channels: Mapping[str, ChannelKind]
    keys: KeyStore
    changes: ChangeFeed
    health: Callable[[], HealthReport]
    metrics_text: Callable[[], bytes]
    on_request: Callable[[str, str, int, float], None]
