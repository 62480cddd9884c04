"""What the API is given: ports to work with and options to work by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from kurswerk.alerts import AlertStore, ChannelKind
from kurswerk.api.ports import Catalog, ChangeFeed, KeyStore, PredictionFinder, PredictionStream
from kurswerk.jobs import JobService
from kurswerk.observability import HealthReport
from kurswerk.registry import ModelStore
from kurswerk.serving import ActivationStore
from kurswerk.training import MarketSurvey


@dataclass(frozen=True)
class Services:
    """Everything that a call can reach.

    Attributes
    ----------
    catalog
        Reads models, tests, comparisons, jobs and phases as rows, filtered, sorted and paged.
    jobs
        Where work is ordered.
    models, market
        What it is about.
    predictions
        Finds stored predictions and alerts.
    activations
        Says and decides which models predict.
    stream
        Tells which predictions are stored, as it happens.
    alerts
        Keeps the rules that send messages, and the messages.
    channels
        The ways that messages can take, by name.
    keys
        Knows the API keys.
    changes
        Tells which table has changed; keeps the cache of answers true.
    health
        Looks at everything that serving needs.
    metrics_text
        Writes the metrics in Prometheus's text format.
    on_request
        Hears of every request that was answered: method, route template, status, seconds.
    """

    catalog: Catalog
    jobs: JobService
    models: ModelStore
    market: MarketSurvey
    predictions: PredictionFinder
    activations: ActivationStore
    stream: PredictionStream
    alerts: AlertStore
    channels: Mapping[str, ChannelKind]
    keys: KeyStore
    changes: ChangeFeed
    health: Callable[[], HealthReport]
    metrics_text: Callable[[], bytes]
    on_request: Callable[[str, str, int, float], None]


@dataclass(frozen=True)
class ApiOptions:
    """How the API behaves.

    Attributes
    ----------
    require_keys
        Whether every call but those about health and documentation needs an API key.
    allowed_hosts
        Names in the ``Host`` header that are answered; empty answers all. Where keys are not required it should hold
        the names of this machine alone, so that no web page can reach the API under a name of its own.
    read_limit, write_limit
        Calls per client, such as ``"1200/minute"``; None is no limit. A client is a key, or an address without one.
    limit_storage
        Where calls are counted: ``async+memory://`` for each process by itself, ``async+redis://…`` for all together.
    most_body_bytes
        Largest request body.
    most_cache_bytes
        Memory for answers that are kept.
    """

    require_keys: bool = False
    allowed_hosts: tuple[str, ...] = ()
    read_limit: str | None = "6000/minute"
    write_limit: str | None = "600/minute"
    limit_storage: str = "async+memory://"
    most_body_bytes: int = 1 << 20
    most_cache_bytes: int = 64 << 20


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
"""A parameter of this type is given the application's services."""
