"""Parts of a service: made by name, stopped together, whoever ends first."""

import asyncio
import os
import signal

import pytest

from kurswerk.bootstrap import service
from kurswerk.bootstrap.service import DatabaseWatch, make_parts, memory_budget_bytes, run_parts
from kurswerk.bootstrap.setting_groups import WorkerSettings
from kurswerk.core.errors import ConflictError, DatabaseUnavailableError, KurswerkError, UnknownNameError
from kurswerk.storage.server import ServerStatus


class Part:
    """A part that lives until it is stopped, or fails."""

    def __init__(self, *, fails: Exception | None = None, deaf: bool = False) -> None:
        self.addresses: dict[str, str] = {}
        self.ready = asyncio.Event()
        self.ended = False
        self._fails, self._deaf = fails, deaf

    async def run(self, stop: asyncio.Event) -> None:
        self.ready.set()
        if self._fails:
            raise self._fails
        await (asyncio.Event() if self._deaf else stop).wait()
        self.ended = True


def interrupt(number: signal.Signals = signal.SIGTERM):
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_parts_are_announced_once_and_stop_at_a_signal(number):
    parts = [Part(), Part()]
    announced = []

    def on_ready():
        announced.append([part.ready.is_set() for part in parts])
        interrupt(number)()

    asyncio.run(run_parts(parts, on_ready))
    assert announced == [[True, True]]
    assert all(part.ended for part in parts)


def test_a_part_that_waits_for_something_does_not_hide_the_others(monkeypatch):
    monkeypatch.setattr(service, "_MOST_START_S", 0.05)
    slow = Part()
    monkeypatch.setattr(slow.ready, "set", lambda: None)
    announced = []

    def on_ready():
        announced.append(True)
        interrupt()()

    asyncio.run(run_parts([slow, Part()], on_ready))
    assert announced == [True]


def test_a_part_that_fails_stops_the_others_and_is_reported():
    good = Part()
    with pytest.raises(ConflictError, match="taken"):
        asyncio.run(run_parts([good, Part(fails=ConflictError("taken"))], lambda: None))
    assert good.ended


def test_a_part_that_does_not_stop_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(service, "_MOST_STOP_S", 0.05)
    with pytest.raises(KurswerkError, match="1 part did not stop"):
        asyncio.run(run_parts([Part(deaf=True), Part()], interrupt()))


def test_a_second_signal_abandons_what_still_runs():
    async def twice() -> None:
        deaf = Part(deaf=True)
        running = asyncio.create_task(run_parts([deaf], interrupt()))
        await deaf.ready.wait()
        await asyncio.sleep(0.05)
        interrupt(signal.SIGINT)()
        await asyncio.wait_for(running, 5)
        assert not deaf.ended

    asyncio.run(twice())


def test_an_unknown_part_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'api'"):
        make_parts(None, ["apo"])


def test_memory_is_shared_by_the_jobs(monkeypatch):
    monkeypatch.setattr(service, "memory_limit_bytes", lambda: 1000)
    assert memory_budget_bytes(WorkerSettings()) == 700
    assert memory_budget_bytes(WorkerSettings(concurrency=2)) == 350
    assert memory_budget_bytes(WorkerSettings(memory_mb=64)) == 64 * 1024**2


class Postgres:
    """A server that is down until it has been started twice."""

    def __init__(self, folder) -> None:
        self.starts = 0
        self._folder = folder

    def status(self) -> ServerStatus:
        return ServerStatus(running=self.starts == 2, data_dir=self._folder)

    def start(self) -> str:
        self.starts += 1
        if self.starts == 1:
            raise DatabaseUnavailableError("not yet")
        return ""


def test_a_dead_database_is_started_until_it_lives(monkeypatch, tmp_path):
    monkeypatch.setattr(service, "_DATABASE_WATCH_S", 0.01)
    postgres = Postgres(tmp_path)

    async def watch() -> None:
        stop = asyncio.Event()
        watching = asyncio.create_task(DatabaseWatch(postgres).run(stop))
        while postgres.starts < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        stop.set()
        await watching

    asyncio.run(watch())
    assert postgres.starts == 2
