"""A running service: parts that live and stop together in one process.

A part is a module of `PARTS` with a function ``part(service)``; it binds what it needs when it is made, so that what
cannot work is reported before anything runs.
"""

import asyncio
import importlib
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from kurswerk.bootstrap.sessions import use_sessions_of
from kurswerk.bootstrap.setting_groups import WorkerSettings
from kurswerk.bootstrap.settings import Settings
from kurswerk.bootstrap.stores import Stores, open_stores
from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError, UnknownNameError
from kurswerk.observability import Metrics, configure_logging, get_logger, memory_limit_bytes
from kurswerk.storage.predictions import SharedPredictionFeed
from kurswerk.storage.server import Database, EmbeddedPostgres, UrlSource, upgrade

log = get_logger(__name__)

# Imported only when they are asked for: a worker needs no web framework.
PARTS: dict[str, str] = {
    "api": "kurswerk.bootstrap.api_part",
    "dashboard": "kurswerk.bootstrap.dashboard_part",
    "worker": "kurswerk.bootstrap.worker_part",
    "predictor": "kurswerk.bootstrap.predictor_part",
    "collector": "kurswerk.bootstrap.collector_part",
}
_HEALTH_PART = "kurswerk.bootstrap.health_part"
# Connections kept for the threads that answer requests; several services share the embedded server's 200.
_POOL_SIZE = 10
_DATABASE_WATCH_S = 1.0
_DATABASE_PATIENCE_S = 15.0
# The rest is for the database, the API and the operating system.
_MEMORY_SHARE = 0.7
# A worker needs a second or two to put its jobs back; then nothing may hold up the end.
_MOST_STOP_S = 10.0
_MOST_START_S = 15.0


@dataclass(frozen=True)
class Service:
    """What all parts share.

    Attributes
    ----------
    ensure_database
        Starts the embedded database if it is down; None where the database is somebody else's.
    stop_database
        Stops the embedded database; None where it is somebody else's or outlives the service.
    insecure
        Whether the operator wants to listen beyond this machine without keys.
    """

    settings: Settings
    database: Database
    metrics: Metrics
    ensure_database: Callable[[], object] | None = None
    stop_database: Callable[[], object] | None = None
    insecure: bool = False
    started_s: float = field(default_factory=time.monotonic)

    @cached_property
    def stores(self) -> Stores:
        """The database's stores, for all parts the same."""
        use_sessions_of(self.settings.data_dir)
        return open_stores(
            self.database,
            alert_threshold=self.settings.alerts.threshold,
            archive_dir=self.settings.archive_dir,
        )

    def close(self) -> None:
        """Close the connections, and stop the database where it ends with the service."""
        self.database.close()
        if self.stop_database is not None:
            self.stop_database()
            log.info("the database was stopped")

    @cached_property
    def prediction_feed(self) -> SharedPredictionFeed:
        """Reports stored predictions to WebSocket clients and pages, over one connection."""
        return SharedPredictionFeed(self.stores.prediction_feed)


def memory_budget_bytes(worker: WorkerSettings) -> int:
    """Return what one job may take: as set, or an equal share of most of the machine."""
    if worker.memory_mb is not None:
        return worker.memory_mb * 1024**2
    return int(_MEMORY_SHARE * memory_limit_bytes() / worker.concurrency)


class Part(Protocol):
    """Something that runs until it is asked to stop."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """What to print once it is ready: name → address, or a word on what it does."""
        ...

    @property
    def ready(self) -> asyncio.Event:
        """Set once it works."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; return when all is put in order."""
        ...


class DatabaseWatch:
    """Starts the embedded database again if it dies."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self.addresses: Mapping[str, str] = {}
        self.ready = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Look once a second."""
        self.ready.set()
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _DATABASE_WATCH_S)
            if not stop.is_set() and not (await asyncio.to_thread(self._postgres.status)).running:
                log.error("the database is gone; starting it again")
                try:
                    await asyncio.to_thread(self._postgres.start)
                    log.info("the database is back")
                except DatabaseUnavailableError as error:
                    log.error("the database could not be started", reason=str(error))  # noqa: TRY400 - the line holds the reason


def open_service(settings: Settings, *, insecure: bool = False) -> tuple[Service, list[Part]]:
    """Start the embedded database if none is configured, migrate it, and return what parts are made from.

    The list holds what watches over an embedded database, and nothing else.
    """
    as_json = {"auto": None, "json": True, "text": False}[settings.log.format]
    configure_logging(level=settings.log.level, json=as_json)
    postgres = None
    source = settings.database_source
    if source is None:
        postgres = EmbeddedPostgres(settings.data_dir)
        source = postgres.start()
    _await_database(source)
    database = Database(source, pool_size=_POOL_SIZE)
    if upgrade(database):
        log.info("the tables were brought up to date")
    stop = postgres.stop if postgres and settings.stop_database else None
    service = Service(settings, database, Metrics(), postgres.start if postgres else None, stop, insecure)
    return service, [DatabaseWatch(postgres)] if postgres else []


def make_parts(service: Service, only: Collection[str]) -> list[Part]:
    """Make the parts named, or all.

    Raises
    ------
    UnknownNameError
        For a part that does not exist.
    ConflictError
        If a part cannot work here, e.g. because its port is taken.
    """
    for name in only:
        if name not in PARTS:
            raise UnknownNameError("service.unknown_part", name=name, known=PARTS)
    chosen = {name for name in PARTS if not only or name in only}
    if not only and not service.settings.collector.sources:
        chosen.discard("collector")  # nothing is collected unless the settings name it
    if "dashboard" in chosen:
        chosen.discard("api")  # the dashboard's server answers for the API too
    modules = [importlib.import_module(module) for name, module in PARTS.items() if name in chosen]
    parts = [module.part(service) for module in modules]
    health, http = service.settings.health, service.settings.http
    # As older services set it, the port of the metrics may be that of the API, which answers there too.
    if health.port is not None and not (chosen & {"api", "dashboard"} and health.port == http.port != 0):
        parts.append(importlib.import_module(_HEALTH_PART).part(service))
    return parts


async def run_parts(parts: Sequence[Part], on_ready: Callable[[], None]) -> None:
    """Run parts until SIGTERM or Ctrl-C, or until one of them ends; then stop all.

    Parameters
    ----------
    parts
        What to run.
    on_ready
        Called once all work, or after 15 s.

    Raises
    ------
    KurswerkError
        If a part failed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    tasks = [asyncio.create_task(part.run(stop)) for part in parts]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_abandon, stop, tasks)
    announcing = asyncio.create_task(_announce(parts, on_ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    announcing.cancel()
    _, late = await asyncio.wait(tasks, timeout=_MOST_STOP_S)
    for task in late:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(announcing, stopping, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    log.info("stopped")
    if late:
        raise KurswerkError("service.parts_did_not_stop", count=len(late), seconds=_MOST_STOP_S)


def _stop_or_abandon(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Stop in good order; at the second signal at once."""
    if stop.is_set():
        for task in tasks:
            task.cancel()
    else:
        log.info("stopping")
        stop.set()


async def _announce(parts: Sequence[Part], on_ready: Callable[[], None]) -> None:
    """Wait for all parts, but not for ever: one may have to wait for something itself."""
    waiting = [asyncio.create_task(part.ready.wait()) for part in parts]
    _, late = await asyncio.wait(waiting, timeout=_MOST_START_S)
    for task, part in zip(waiting, parts, strict=True):
        if task in late:
            log.warning("not ready yet", part=type(part).__name__)
            task.cancel()
    on_ready()


def _await_database(source: UrlSource) -> None:
    """Wait for a database that is being restarted, rather than ending."""
    try:
        Database(source).check()
    except DatabaseUnavailableError as error:
        log.warning("waiting for the database", reason=str(error), most_s=_DATABASE_PATIENCE_S)
    else:
        return
    Database(source, patience_s=_DATABASE_PATIENCE_S).check()
