"""Collectors as a part of the service."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from kurswerk.bootstrap.collectors import WITHOUT_SETTINGS, RunningCollector, open_collector
from kurswerk.bootstrap.service import Service
from kurswerk.core.errors import KurswerkError
from kurswerk.observability import get_logger

log = get_logger(__name__)

_PAUSE_S = 10.0


def part(service: Service) -> "CollectorPart":
    """Make the collectors that the settings name, or those that need none where they name none."""
    return CollectorPart(service, service.settings.collector.sources or WITHOUT_SETTINGS)


class CollectorPart:
    """Collects from some sources until ``stop``; what fails is tried again, for rows of others must not wait."""

    def __init__(self, service: Service, names: Sequence[str]) -> None:
        settings = service.settings
        self.ready = asyncio.Event()
        self._collectors = {name: open_collector(name, settings, service.database, service.metrics) for name in names}

    @property
    def addresses(self) -> Mapping[str, str]:
        """What is collected."""
        return {"collector": ", ".join(self._collectors)}

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until ``stop`` is set."""
        self.ready.set()
        async with asyncio.TaskGroup() as tasks:
            for name, collector in self._collectors.items():
                tasks.create_task(_keep_running(name, collector, stop))


class SingleCollector:
    """One collector, alone in its process: what fails ends it.

    Attributes
    ----------
    rows
        How many rows it has stored.
    """

    def __init__(self, name: str, collector: RunningCollector, *, seconds: float | None = None) -> None:
        self.addresses: Mapping[str, str] = {"collector": name}
        self.ready = asyncio.Event()
        self._collector, self._seconds = collector, seconds

    @property
    def rows(self) -> int:
        """How many rows it has stored."""
        return self._collector.rows

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until ``stop`` is set, or the seconds are over."""
        self.ready.set()
        ending = asyncio.Event()
        collecting = asyncio.create_task(self._collector.run(ending))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({collecting, stopping}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        ending.set()
        await collecting


async def _keep_running(name: str, collector: RunningCollector, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await collector.run(stop)
        except KurswerkError as error:
            log.error("the collector failed; starting it again", collector=name, reason=str(error))  # noqa: TRY400 - the line holds the reason
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PAUSE_S)
