"""PumpPortal's WebSocket: new coins, their trades on pump.fun's bonding curve, and migrations.

The protocol is that of https://pumpportal.fun/data-api/real-time: requests are JSON objects with a ``method`` and the
coins as ``keys``; each is confirmed by an object with a ``message``, or refused by one with ``errors``. Events carry a
``txType``. They have no time of their own; of a service of the same shape that adds a ``timestamp`` it is used.
"""

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from kurswerk.core.errors import KurswerkError
from kurswerk.core.timestamps import DAY_US, MICROSECONDS
from kurswerk.ingest.collector import (
    CoinCreated,
    CoinMigrated,
    CoinTrade,
    Following,
    Interrupted,
    Malformed,
    Received,
    Reserves,
)
from kurswerk.market import KEY_LENGTH

_CURVE_POOL: Final = "pump"
_NEW_COINS, _MIGRATIONS = "subscribeNewToken", "subscribeMigration"
_TRADES, _NO_TRADES = "subscribeTokenTrade", "unsubscribeTokenTrade"
# Coins in one request: a key has 44 characters, so that a request stays under 10 kB.
_KEYS_A_REQUEST: Final = 200
# Without a message for so long the connection is asked for a sign of life …
_QUIET_S: Final = 0.5
# … and given up if there is none, or a request not confirmed, after so long.
_ANSWER_S: Final = 15.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_LONGEST_TEXT: Final = 200
# From this number on a timestamp counts milliseconds: in seconds it would be the year 5138.
_LEAST_MILLISECONDS: Final = 100_000_000_000


class _RefusedError(KurswerkError):
    """The service refused a request, e.g. because it asks for an API key."""


@dataclass
class _Request:
    """A request that is not confirmed yet."""

    method: str
    mints: tuple[str, ...] = ()
    sent_s: float = field(default_factory=time.monotonic)


class PumpPortal:
    """Follows coins over one connection, and over another one when it is lost; a `TradeSource`.

    Parameters
    ----------
    url
        Of the service, ``wss://…``.
    api_key
        Sent as ``api-key`` in the URL; trades are given to holders of a key alone.
    first_wait_s
        Pause before the second attempt to connect; it doubles up to a minute, and each is varied by half.
    now_us
        The present moment in microseconds UTC.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        first_wait_s: float = _FIRST_WAIT_S,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._url, self._first_wait_s, self._now_us = _with_key(url, api_key), first_wait_s, now_us
        self._secret = api_key
        self._followed: dict[str, None] = {}
        self._to_follow: dict[str, None] = {}
        self._to_unfollow: dict[str, None] = {}
        self._requests: deque[_Request] = deque()
        self._failures = 0

    def follow(self, mints: Collection[str]) -> None:
        """Ask for the trades of some coins, now and after each new connection."""
        new = dict.fromkeys(mint for mint in mints if mint not in self._followed)
        self._followed |= new
        self._to_follow |= new

    def unfollow(self, mints: Collection[str]) -> None:
        """Ask for the trades of some coins no more."""
        for mint in mints:
            if self._followed.pop(mint, "") is None and self._to_follow.pop(mint, "") == "":
                self._to_unfollow[mint] = None

    async def events(self) -> AsyncIterator[Received]:
        """Yield what is received, without an end."""
        while True:
            try:
                async with connect(self._url, open_timeout=_ANSWER_S, close_timeout=1.0) as connection:
                    async for received in self._connected(connection):
                        yield received
            except (OSError, WebSocketException, KurswerkError) as error:
                yield Received(self._now_us(), Interrupted(self._reason(error)))
            wait_s = min(_LONGEST_WAIT_S, self._first_wait_s * 2.0**self._failures)
            self._failures = min(self._failures + 1, 20)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads clients, no secret  # nosec B311

    async def _connected(self, connection: ClientConnection) -> AsyncIterator[Received]:
        self._requests.clear()
        self._to_follow, self._to_unfollow = dict(self._followed), {}
        for method in (_NEW_COINS, _MIGRATIONS):
            await self._request(connection, method)
        is_ready, receiving = False, asyncio.ensure_future(connection.recv())
        try:
            while True:
                await self._send_requests(connection)
                if await _has_message(connection, receiving):
                    message, moment_us = receiving.result(), self._now_us()
                    receiving = asyncio.ensure_future(connection.recv())
                    yield Received(moment_us, self._event(message, moment_us))
                else:
                    yield Received(self._now_us(), None)
                if not is_ready and not self._requests and not self._to_follow:
                    is_ready, self._failures = True, 0
                    yield Received(self._now_us(), Following(()))
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await receiving

    async def _send_requests(self, connection: ClientConnection) -> None:
        if self._requests and time.monotonic() - self._requests[0].sent_s > _ANSWER_S:
            raise _RefusedError("collect.not_confirmed", method=self._requests[0].method, seconds=_ANSWER_S)
        for method, waiting in ((_TRADES, self._to_follow), (_NO_TRADES, self._to_unfollow)):
            while waiting:
                mints = tuple(waiting)[:_KEYS_A_REQUEST]
                for mint in mints:
                    del waiting[mint]
                await self._request(connection, method, mints)

    async def _request(self, connection: ClientConnection, method: str, mints: tuple[str, ...] = ()) -> None:
        request = {"method": method} | ({"keys": list(mints)} if mints else {})
        async with asyncio.timeout(_ANSWER_S):
            await connection.send(json.dumps(request))
        if method != _NO_TRADES:  # whether that is confirmed does not matter
            self._requests.append(_Request(method, mints))

    def _event(
        self, message: str | bytes, moment_us: int
    ) -> CoinCreated | CoinTrade | CoinMigrated | Following | Malformed | None:
        try:
            content = json.loads(message)
        except (ValueError, RecursionError):
            return Malformed(f"no JSON: {_shortened(message)}")
        if not isinstance(content, dict):
            return Malformed(f"no object: {_shortened(message)}")
        if "txType" not in content:
            return self._answer(content)
        try:
            return event_of(content, moment_us)
        except (ValueError, OverflowError) as error:
            return Malformed(f"{error}: {_shortened(message)}")

    def _answer(self, content: Mapping[str, Any]) -> Following | None:
        if content.get("errors"):
            raise _RefusedError("collect.refused", reason=_shortened(str(content["errors"])))
        text = content.get("message")
        if not isinstance(text, str) or "unsubscribed" in text.lower() or not self._requests:
            return None
        request = self._requests.popleft()
        return Following(request.mints) if request.method == _TRADES else None

    def _reason(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        for secret in (self._secret, quote_plus(self._secret)) if self._secret else ():
            text = text.replace(secret, "***")
        return text


async def _has_message(connection: ClientConnection, receiving: asyncio.Future[str | bytes]) -> bool:
    """Wait for the next message; False if there was none for a moment, and the service answered that it lives.

    Raises
    ------
    TimeoutError
        If it did not.
    """
    await asyncio.wait({receiving}, timeout=_QUIET_S)
    if not receiving.done():
        either: set[asyncio.Future[Any]] = {receiving, asyncio.ensure_future(await connection.ping())}
        if not (await asyncio.wait(either, timeout=_ANSWER_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            raise TimeoutError(f"no sign of life for {_ANSWER_S:.0f} s")
    return receiving.done()


def event_of(content: Mapping[str, Any], moment_us: int) -> CoinCreated | CoinTrade | CoinMigrated | None:
    """Return what an event of the service means; None for one that concerns no bonding curve of pump.fun.

    Parameters
    ----------
    content
        The message, with a ``txType``.
    moment_us
        When it was received, in microseconds UTC.

    Raises
    ------
    ValueError
        If a field is missing or has an impossible value.

    Examples
    --------
    >>> event_of({"txType": "migrate", "mint": "A1", "pool": "pump-amm"}, 0)
    CoinMigrated(mint='A1')
    """
    kind = _text(content, "txType")
    if kind == "migrate":
        return CoinMigrated(_text(content, "mint"))
    if kind not in {"create", "buy", "sell"} or content.get("pool", _CURVE_POOL) != _CURVE_POOL:
        return None
    moment_us = _moment_us(content, moment_us)
    after = Reserves(_number(content, "vSolInBondingCurve"), _number(content, "vTokensInBondingCurve"))
    if min(after.sol, after.tokens) <= 0.0:
        raise ValueError("reserves are not above 0")
    if kind != "create":
        return _trade(content, moment_us, after, _number(content, "tokenAmount"), is_buy=kind == "buy")
    bought = _number(content, "initialBuy") if content.get("initialBuy") is not None else 0.0
    purchase = _trade(content, moment_us, after, bought, is_buy=True) if bought else None
    return CoinCreated(_text(content, "mint"), _text(content, "traderPublicKey"), after, moment_us, purchase)


def _trade(content: Mapping[str, Any], moment_us: int, after: Reserves, tokens: float, *, is_buy: bool) -> CoinTrade:
    if not is_buy and tokens >= after.tokens:
        raise ValueError("more tokens were sold than the curve holds")
    mint, signature, trader = (_text(content, name) for name in ("mint", "signature", "traderPublicKey"))
    trade = CoinTrade(mint, signature, trader, is_buy, 0.0, tokens, after, moment_us)
    # Older messages state no SOL; then it is what the constant product demands.
    is_stated = content.get("solAmount") is not None
    return replace(trade, sol=_number(content, "solAmount") if is_stated else abs(after.sol - trade.before.sol))


def _moment_us(content: Mapping[str, Any], received_us: int) -> int:
    """Return the time that a message states, in seconds or milliseconds, but none in the future."""
    if content.get("timestamp") is None:
        return received_us
    number = _number(content, "timestamp")
    stated_us = round(number * (MICROSECONDS if number < _LEAST_MILLISECONDS else 1000))
    if stated_us < received_us - DAY_US:
        raise ValueError("timestamp is more than a day old")
    return min(stated_us, received_us)


def _number(content: Mapping[str, Any], name: str) -> float:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is no number")  # noqa: TRY004 - one error for all that is wrong with a message
    number = float(value)
    if not 0.0 <= number < 1e18:
        raise ValueError(f"{name} is out of range")
    return number


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    longest = KEY_LENGTH if name != "signature" else 2 * KEY_LENGTH
    if not isinstance(value, str) or not value or len(value) > longest or "\0" in value:
        raise ValueError(f"{name} is no text of 1 to {longest} characters")
    return value


def _with_key(url: str, api_key: str | None) -> str:
    if not api_key:
        return url
    parts = urlsplit(url)
    query = [*((name, value) for name, value in parse_qsl(parts.query) if name != "api-key"), ("api-key", api_key)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _shortened(text: str | bytes) -> str:
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}…"
