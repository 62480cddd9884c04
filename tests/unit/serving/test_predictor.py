"""A predictor of a market that nobody predicts costs nothing, and works as soon as there is a model."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from contracts.feed_session import NAMES
from kurswerk.market import market_named
from kurswerk.serving import BatchReport, LaneOptions, ModelCache, Predictor, _predictor
from kurswerk.serving.ports import FeedSession
from served_models import coin_rows
from unit.serving.test_memory_feed import MemoryWorld
from waiting import until


class Events:
    def __init__(self) -> None:
        self.states: list[Mapping[str, Any]] = []

    def stored(self, report: BatchReport) -> None:
        pass

    def failed(self, kind: str) -> None:
        raise AssertionError(kind)

    def state(self, state: Mapping[str, Any]) -> None:
        self.states.append(state)


def test_a_predictor_that_is_stopped_before_it_begins_compiles_nothing(monkeypatch):
    compiled: list[bool] = []
    monkeypatch.setattr(_predictor, "compile_now", lambda: compiled.append(True))
    world, stop = MemoryWorld(), threading.Event()
    stop.set()
    Predictor(world.open_session, ModelCache(world.models), LaneOptions(), Events(), market_named()).run(stop)
    assert compiled == []


def test_lanes_that_begin_together_compile_once(monkeypatch):
    compiled: list[int] = []

    @cache
    def compile_slowly() -> None:
        compiled.append(threading.get_ident())
        time.sleep(0.05)  # long enough for the others to ask

    monkeypatch.setattr(_predictor, "_compile", compile_slowly)
    together = threading.Barrier(4)

    def begin() -> None:
        together.wait()
        _predictor.compile_now()

    with ThreadPoolExecutor(4) as lanes:
        for lane in [lanes.submit(begin) for _ in range(4)]:
            lane.result()
    assert len(compiled) == 1


def test_there_is_a_session_only_while_a_model_of_the_market_predicts(monkeypatch):
    monkeypatch.setattr(_predictor, "_LEASE_EVERY_S", 0.05)
    world, events = MemoryWorld(), Events()
    opened: list[FeedSession] = []
    stop, work = threading.Event(), threading.Event()

    def open_session() -> FeedSession:
        opened.append(world.open_session())
        return opened[-1]

    predictor = Predictor(
        open_session, ModelCache(world.models), LaneOptions(), events, market_named(), has_work=work.is_set
    )
    thread = threading.Thread(target=predictor.run, args=[stop])
    thread.start()
    try:
        assert predictor.ready.wait(300)
        assert (opened, events.states[-1]["coins"]) == ([], 0)
        ids = [world.register("first")]
        world.write(coin_rows(NAMES, 0, 3))  # rows wait in the feed until the lane begins
        work.set()
        until(lambda: len(world.predictions()) == 3 * len(NAMES))
        until(lambda: events.states[-1]["coins"] == len(NAMES))
        work.clear()
        until(lambda: events.states[-1]["coins"] == 0)
        assert len(opened) == 1
    finally:
        stop.set()
        thread.join(60)
    assert world.predictions() == world.expected(ids)
