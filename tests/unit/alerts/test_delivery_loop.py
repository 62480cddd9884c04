"""The delivery loop: alerts are sent as they are raised, and a database that is away is waited for."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from kurswerk.alerts import ChannelKind, Delivery, DeliveryLoop
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.core.messages import Message
from waiting import until

MOMENT = datetime(2025, 1, 1, tzinfo=UTC)


class MemoryDeliveries:
    """Deliveries that wait; ``failures`` times the database is away first."""

    def __init__(self, failures: int = 0) -> None:
        self.waiting: deque[Delivery] = deque()
        self.arrived: list[int] = []
        self.released = 0
        self._failures = failures

    def claim(self, limit: int) -> list[Delivery]:
        if self._failures:
            self._failures -= 1
            raise DatabaseUnavailableError("health.no_answer", seconds=1)
        return [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]

    def sent(self, *delivery_ids: int) -> None:
        self.arrived += delivery_ids

    def failed(self, delivery_id: int, error: Message, retry_in_s: float | None) -> None:
        raise AssertionError(error)

    def release_after_clock_change(self) -> int:
        self.released += 1
        return 0


class Channel:
    kind = ChannelKind(name="memory", label="Memory", summary="keeps what is sent")

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, delivery: Delivery) -> None:
        self.sent.append(delivery.key)


def delivery(number: int) -> Delivery:
    return Delivery(number, f"key-{number}", "rule", "memory", None, None, "A", MOMENT, (1,), 0.9, 0)


@contextmanager
def running(loop: DeliveryLoop) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        loop.wake()
        thread.join(30)
        assert not thread.is_alive()


def test_an_alert_is_sent_when_the_loop_is_woken_and_not_at_the_next_poll():
    store, channel = MemoryDeliveries(), Channel()
    loop = DeliveryLoop(store, {"memory": channel}, poll_s=600.0)
    with running(loop):
        for number in range(1, 4):
            store.waiting.append(delivery(number))
            loop.wake()
            until(lambda number=number: store.arrived == list(range(1, number + 1)), 60)
    assert channel.sent == ["key-1", "key-2", "key-3"]
    assert store.released == 1


def test_alerts_of_others_are_found_by_polling_and_a_database_that_is_away_is_waited_for():
    store, channel = MemoryDeliveries(failures=3), Channel()
    with running(DeliveryLoop(store, {"memory": channel}, poll_s=0.01)):
        store.waiting.append(delivery(1))
        until(lambda: store.arrived == [1], 60)
