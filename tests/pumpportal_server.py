"""A local WebSocket server that plays trades in the shape of PumpPortal's data API, with everything that goes wrong."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from coin_trades import SECOND, TrueCoin, random_mint

_MILLISECOND = 1000


class PumpPortalServer:
    """Lets coins be born and trade with the clock, and sends each client what it subscribed to.

    Parameters
    ----------
    longest_delay_s
        Messages come late by up to this, and so out of order.
    longest_answer_s
        Requests are confirmed late by up to this; trades are sent from then on.
    refuses
        The text with which trades are refused.
    ages_s
        How old coins are when their creation is reported, one of these each.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        longest_delay_s: float = 0.0,
        longest_answer_s: float = 0.0,
        refuses: str | None = None,
        ages_s: tuple[int, ...] = (0,),
    ) -> None:
        self._rng = random.Random(seed)
        self._ages_s = ages_s
        self._delay_s, self._answer_s, self._refuses = longest_delay_s, longest_answer_s, refuses
        self._clients: dict[ServerConnection, set[str]] = {}
        self._server: Server | None = None
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.is_playing = threading.Event()
        self.coins: list[TrueCoin] = []
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self.port}/api/data"

    @contextmanager
    def running(self) -> Iterator["PumpPortalServer"]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        self._call(self._listen())
        try:
            yield self
        finally:
            self.is_playing.clear()
            self._call(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def play(self, trades_per_second: float = 40.0, births_per_second: float = 1.0) -> None:
        """Let coins trade until `rest`."""
        self.is_playing.set()
        self._loop.call_soon_threadsafe(
            lambda: self._keep(self._trade_on(1 / trades_per_second, births_per_second / trades_per_second))
        )

    def rest(self) -> None:
        """Let nothing happen any more."""
        self.is_playing.clear()

    def disconnect(self) -> None:
        """Break all connections without a word."""
        self._loop.call_soon_threadsafe(lambda: [client.transport.abort() for client in self._clients])

    def send(self, *messages: str | dict[str, Any]) -> None:
        """Send messages to all clients as they are."""
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            self._call(self._to_all(text))

    def followed(self) -> set[str]:
        """Return the coins whose trades are sent to somebody."""
        return set().union(*self._clients.values())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _keep(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _listen(self) -> None:
        self._server = await serve(self._serve, "127.0.0.1", 0)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def _close(self) -> None:
        self._closing.set()
        if self._server:
            self._server.close()
            await self._server.wait_closed()
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _serve(self, client: ServerConnection) -> None:
        self.connections += 1
        self.paths.append(client.request.path if client.request else "")
        self._clients[client] = set()
        try:
            async for text in client:
                await self._answer(client, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            del self._clients[client]

    async def _answer(self, client: ServerConnection, request: dict[str, Any]) -> None:
        self.requests.append(request)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self._rng.uniform(0, self._answer_s))
            return
        method, keys = request["method"], request.get("keys", [])
        if self._refuses and method == "subscribeTokenTrade":
            await client.send(json.dumps({"errors": self._refuses}))
            return
        if method == "subscribeTokenTrade":
            self._clients[client].update(keys)
        elif method == "unsubscribeTokenTrade":
            self._clients[client].difference_update(keys)
        word = "unsubscribed from" if method.startswith("unsub") else "subscribed to"
        await client.send(
            json.dumps({"message": f"Successfully {word} {'keys' if keys else 'token creation events'}."})
        )

    async def _trade_on(self, pause_s: float, birth: float) -> None:
        while self.is_playing.is_set():
            moment_us = time.time_ns() // 1000 // _MILLISECOND * _MILLISECOND
            if not self.coins or self._rng.random() < birth:
                await self._bear(moment_us)
            else:
                self._trade(self._rng.choice(self.coins), moment_us)
            await asyncio.sleep(self._rng.uniform(0, 2 * pause_s))

    async def _bear(self, moment_us: int) -> None:
        moment_us -= self._rng.choice(self._ages_s) * SECOND
        coin = TrueCoin(random_mint(self._rng), "creator", moment_us, bought_at_creation=self._rng.random() < 0.8)
        if coin.bought_at_creation:
            coin.trade(moment_us, "creator", is_buy=True, share=self._rng.uniform(0.05, 0.5))
        self.coins.append(coin)
        await self._to_all(json.dumps(coin.creation(timestamp=moment_us // _MILLISECOND)))

    def _trade(self, coin: TrueCoin, moment_us: int) -> None:
        rng = self._rng
        last_us = max([coin.created_us, *(one.moment_us for one in coin.trades[-1:])])
        trader = rng.choice(["creator", *(f"wallet{number}" for number in range(8))])
        trade = coin.trade(
            max(moment_us, last_us), trader, is_buy=rng.random() < 0.6, share=rng.choice([0.001, 0.05, 0.4])
        )
        text = json.dumps(coin.message(trade, timestamp=trade.moment_us // _MILLISECOND))
        self._keep(self._to_followers(coin.mint, text, rng.uniform(0, self._delay_s)))
        if rng.random() < 0.2:
            self._keep(self._to_followers(coin.mint, text, rng.uniform(0, 3)))
        if rng.random() < 0.05:
            broken = rng.choice([text[: len(text) // 2], "[]", "null", '{"txType": "buy"}', text.replace("true", "x")])
            self._keep(self._to_followers(coin.mint, broken if broken != text else "{", 0.0))

    async def _to_followers(self, mint: str, text: str, delay_s: float) -> None:
        # Who has not subscribed when it happens does not receive it later.
        clients = [client for client, keys in self._clients.items() if mint in keys]
        await asyncio.sleep(delay_s)
        for client in clients:
            with suppress(ConnectionClosed):
                await client.send(text)

    async def _to_all(self, text: str) -> None:
        for client in list(self._clients):
            with suppress(ConnectionClosed):
                await client.send(text)
