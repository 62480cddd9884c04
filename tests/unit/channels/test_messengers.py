"""Telegram and Discord as their servers see them: real requests to a local server that answers as they do."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.alerts import Delivery, Dispatcher, MessageModel, ReceiverBusyError, RowContext
from kurswerk.channels import DiscordChannel, TelegramChannel
from kurswerk.core.errors import InvalidInputError, KurswerkError
from kurswerk.core.messages import Message

MODELS = (MessageModel(7, "up 2 %", 0.834, 0.7), MessageModel(8, "forest", None, 0.6))
ALERT = Delivery(
    id=1,
    key="2:COIN:0",
    rule="strong @everyone",
    channel="telegram",
    target="telegram://-1001234567890",
    secret="123:TOKEN",
    coin_id="COIN",
    timestamp=datetime(2025, 1, 1, 12, tzinfo=UTC),
    model_ids=(7, 8),
    probability=0.834,
    attempts=0,
    models=MODELS,
    row=RowContext("coins", 4.53e-8, "Baby Zone"),
)


class Messenger(ThreadingHTTPServer):
    """A local server: keeps path and body of each request, and answers with the next of its answers, else 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, dict]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.path, body))
        status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in ({"Content-Length": "2"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def messenger() -> Iterator[Messenger]:
    with Messenger() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("target", "chat"), [("-1001234567890", -1001234567890), ("42", 42), ("signals", "@signals")])
def test_telegram_gets_chat_and_text(messenger, target, chat):
    TelegramChannel(api_url=messenger.url).send(replace(ALERT, target=f"telegram://{target}"))
    ((path, body),) = messenger.received
    assert path == "/bot123:TOKEN/sendMessage"
    assert body["chat_id"] == chat
    assert body["text"] == ALERT.text()
    assert "parse_mode" not in body  # names of coins and models are no markup


@pytest.mark.parametrize(
    "wrong",
    [{"target": None}, {"target": "telegram://"}, {"target": "telegram://a b"}, {"secret": None}, {"target": "42"}],
)
def test_telegram_without_chat_or_token_shows_what_is_missing(messenger, wrong):
    with pytest.raises(InvalidInputError, match="telegram://-1001234567890 and the bot's token"):
        TelegramChannel(api_url=messenger.url).send(replace(ALERT, **wrong))
    assert messenger.received == []


def test_discord_gets_text_that_mentions_nobody(messenger):
    DiscordChannel().send(replace(ALERT, target=f"{messenger.url}/api/webhooks/1/token"))
    ((path, body),) = messenger.received
    assert path == "/api/webhooks/1/token"
    assert body == {"content": ALERT.text(), "allowed_mentions": {"parse": []}}


def test_discord_gets_no_more_characters_than_it_takes(messenger):
    many = tuple(MessageModel(k, f"model {k} " + "x" * 90, 0.9, 0.7) for k in range(40))
    DiscordChannel().send(replace(ALERT, target=messenger.url, models=many))
    assert len(messenger.received[0][1]["content"]) == 2000


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_a_refusal_is_an_error_that_names_the_status_and_no_secret(messenger, status):
    messenger.answers = [(status, {})]
    with pytest.raises(KurswerkError, match=str(status)) as caught:
        TelegramChannel(api_url=messenger.url).send(ALERT)
    assert not isinstance(caught.value, ReceiverBusyError)
    assert "TOKEN" not in str(caught.value)


@pytest.mark.parametrize(("status", "header", "wait_s"), [(429, "17", 17.0), (503, "0.5", 0.5), (429, "999999", 3600)])
def test_a_receiver_that_limits_messages_is_left_alone_for_as_long_as_it_asks(messenger, status, header, wait_s):
    messenger.answers = [(status, {"Retry-After": header})]
    with pytest.raises(ReceiverBusyError) as caught:
        TelegramChannel(api_url=messenger.url).send(ALERT)
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("header", ["", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_limit_without_seconds_is_a_refusal_like_any_other(messenger, header):
    messenger.answers = [(429, {"Retry-After": header})]
    with pytest.raises(KurswerkError) as caught:
        TelegramChannel(api_url=messenger.url).send(ALERT)
    assert not isinstance(caught.value, ReceiverBusyError)


class Deliveries:
    """A store of one message that keeps what became of it."""

    def __init__(self, delivery: Delivery) -> None:
        self._due, self.pauses, self.arrived = [delivery], [], []

    def claim(self, limit: int) -> list[Delivery]:
        return [self._due.pop()] if self._due else []

    def sent(self, *ids: int) -> None:
        self.arrived += ids

    def failed(self, delivery_id: int, error: Message, retry_in_s: float | None) -> None:
        self.pauses.append(retry_in_s)

    def release_after_clock_change(self) -> int:
        return 0


@pytest.mark.parametrize(("attempts", "pause"), [(0, 40.0), (3, 40.0), (6, 128.0), (19, None)])
def test_the_pause_is_the_longer_of_back_off_and_what_the_receiver_asks(messenger, attempts, pause):
    messenger.answers = [(429, {"Retry-After": "40"})]
    store = Deliveries(replace(ALERT, attempts=attempts))
    dispatcher = Dispatcher(store, {"telegram": TelegramChannel(api_url=messenger.url)})
    assert dispatcher.start_due() == 1
    while dispatcher.under_way:
        dispatcher.collect()
    assert (store.pauses, store.arrived) == ([pause], [])


def test_the_text_names_models_thresholds_price_and_phase():
    assert ALERT.text().splitlines() == [
        "strong @everyone: COIN",
        "up 2 %: 83.4% (threshold 70.0%)",
        "forest: prediction deleted (threshold 60.0%)",
        "Price 0.0000000453, Baby Zone",
        "2025-01-01 12:00:00 UTC",
    ]
    bare = replace(ALERT, models=(), row=RowContext())
    assert bare.text().splitlines() == ["strong @everyone: COIN", "Probability 83.4%", "2025-01-01 12:00:00 UTC"]


@given(st.floats(1e-12, 1e9))
def test_a_price_is_written_without_exponent_and_to_six_digits(price):
    line = replace(ALERT, row=RowContext("coins", price, None)).text().splitlines()[-2]
    written = line.removeprefix("Price ")
    assert "e" not in written
    assert float(written) == pytest.approx(price, rel=5e-6)


def test_the_json_has_the_same_facts():
    message = ALERT.message()
    assert message["models"][0] == {"id": 7, "name": "up 2 %", "probability": 0.834, "threshold": 0.7}
    assert (message["price"], message["phase"], message["market"]) == (4.53e-8, "Baby Zone", "coins")
    json.dumps(message)
