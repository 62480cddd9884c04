"""PumpPortal's protocol against a local server: requests, confirmations, refusals, silence, and what is no message."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coin_trades import TrueCoin
from kurswerk.ingest.collector import (
    CoinCreated,
    CoinMigrated,
    CoinTrade,
    Following,
    Interrupted,
    Malformed,
    Received,
)
from kurswerk.sources import pumpportal
from kurswerk.sources.pumpportal import PumpPortal, event_of
from pumpportal_server import PumpPortalServer

BORN = 1_700_000_000_000_000
TRADE = {
    "signature": "s", "mint": "m", "traderPublicKey": "t", "txType": "buy", "tokenAmount": 1000.0, "solAmount": 0.5,
    "vTokensInBondingCurve": 1e9, "vSolInBondingCurve": 31.0, "marketCapSol": 31.0, "pool": "pump",
}  # fmt: skip


def a_coin(mint: str = "coin") -> TrueCoin:
    coin = TrueCoin(mint, "creator", BORN, bought_at_creation=True)
    coin.trade(BORN, "creator", is_buy=True, share=0.3)
    coin.trade(BORN + 1, "other", is_buy=False, share=0.3)
    return coin


def received_from(source: PumpPortal, steps: Callable[[Callable[..., Awaitable[Any]]], Awaitable[None]]) -> list[Any]:
    """Return what a source reports while some steps are taken; ``until`` waits for an event that meets a condition."""
    events: list[Any] = []

    async def collect() -> None:
        async for one in source.events():
            assert isinstance(one, Received)
            events.append(one.event)

    async def until(condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)

    async def run() -> None:
        collecting = asyncio.create_task(collect())
        try:
            await steps(until)
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)

    source_events[:] = [events]
    asyncio.run(run())
    return events


source_events: list[list[Any]] = [[]]


def seen(kind: type, count: int = 1) -> Callable[[], bool]:
    return lambda: sum(isinstance(one, kind) for one in source_events[0]) >= count


def test_coins_are_subscribed_in_batches_once_confirmed_and_again_after_a_lost_connection():
    server = PumpPortalServer()
    with server.running():
        source = PumpPortal(server.url, "the key", first_wait_s=0.01)
        source.follow([f"coin{number}" for number in range(450)])

        async def steps(until):
            await until(lambda: len(server.followed()) == 450)
            await until(lambda: any(one == Following(()) for one in source_events[0]))
            source.unfollow(["coin7"])
            source.follow(["another"])
            server.send(a_coin().creation())
            await until(lambda: "another" in server.followed() and "coin7" not in server.followed())
            server.disconnect()
            await until(lambda: server.connections == 2 and len(server.followed()) == 450)

        events = received_from(source, steps)
    methods = [(one["method"], len(one.get("keys", ()))) for one in server.requests]
    assert methods[:5] == [
        ("subscribeNewToken", 0), ("subscribeMigration", 0),
        ("subscribeTokenTrade", 200), ("subscribeTokenTrade", 200), ("subscribeTokenTrade", 50),
    ]  # fmt: skip
    assert set(server.paths) == {"/api/data?api-key=the+key"}
    confirmed = [mint for one in events if isinstance(one, Following) for mint in one.mints]
    assert set(confirmed[:450]) == {f"coin{number}" for number in range(450)}
    assert sum(isinstance(one, Interrupted) for one in events) == 1
    assert "the key" not in repr(events)


def test_a_refusal_is_reported_in_the_services_words():
    server = PumpPortalServer(refuses="Invalid API key")
    with server.running():
        source = PumpPortal(server.url, first_wait_s=0.01)
        source.follow(["coin"])

        async def steps(until):
            await until(seen(Interrupted, 2))

        events = received_from(source, steps)
    assert "Invalid API key" in next(one.reason for one in events if isinstance(one, Interrupted))
    assert not [one for one in events if isinstance(one, Following) and one.mints]


def test_a_request_that_is_not_confirmed_ends_the_connection(monkeypatch):
    monkeypatch.setattr(pumpportal, "_ANSWER_S", 0.4)
    server = PumpPortalServer(longest_answer_s=10_000.0)
    with server.running():

        async def steps(until):
            await until(seen(Interrupted))

        events = received_from(PumpPortal(server.url, first_wait_s=0.01), steps)
    assert not [one for one in events if isinstance(one, Following)]


def test_an_address_without_a_server_is_tried_again_and_again():
    async def steps(until):
        await until(seen(Interrupted, 3))

    events = received_from(PumpPortal("ws://127.0.0.1:9/api/data", first_wait_s=0.01), steps)
    assert all(isinstance(one, Interrupted) for one in events)


def test_messages_become_events_and_broken_ones_are_reported_but_end_nothing():
    coin = a_coin()
    server = PumpPortalServer()
    with server.running():

        async def steps(until):
            await until(seen(Following))
            trade = coin.trades[1]
            server.send(
                coin.creation(), "{", "[1, 2]", "null", '{"message": "maintenance at noon"}', coin.message(trade)
            )
            server.send(coin.message(trade, tokenAmount="many"), coin.message(trade, pool="bonk"))
            server.send(coin.message(trade, txType="burn"), {"txType": "migrate", "mint": coin.mint, "pool": "x"})
            await until(seen(CoinMigrated))

        events = [one for one in received_from(PumpPortal(server.url), steps) if one is not None]
    kinds = [type(one) for one in events if not isinstance(one, Following)]
    assert kinds == [CoinCreated, Malformed, Malformed, Malformed, CoinTrade, Malformed, CoinMigrated]
    created, trade = next(one for one in events if isinstance(one, CoinCreated)), events[kinds.index(CoinTrade) + 1]
    assert created.purchase is not None
    assert created.purchase.before.tokens == pytest.approx(1.073e9)
    assert (trade.mint, trade.trader, trade.is_buy) == (coin.mint, "other", False)
    assert trade.before.price == pytest.approx(created.reserves.price)


def test_the_time_of_receipt_counts_unless_an_earlier_one_is_stated():
    def moment(**more: object) -> int:
        found = event_of(TRADE | more, BORN)
        assert isinstance(found, CoinTrade)
        return found.moment_us

    assert moment() == BORN
    assert moment(timestamp=1_699_999_999) == BORN - 1_000_000
    assert moment(timestamp=1_699_999_999_500) == BORN - 500_000
    assert moment(timestamp=1_800_000_000) == BORN


def test_sol_that_is_not_stated_follows_from_the_constant_product():
    stated, derived = event_of(TRADE, BORN), event_of(TRADE | {"solAmount": None}, BORN)
    assert isinstance(stated, CoinTrade)
    assert isinstance(derived, CoinTrade)
    assert stated.sol == 0.5
    assert derived.sol == pytest.approx(31.0 - 31.0 * 1e9 / (1e9 + 1000))


@given(
    st.sampled_from(sorted(TRADE)),
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=200), st.lists(st.integers(), max_size=2)),
    st.sampled_from(["create", "buy", "sell", "migrate"]),
)
def test_any_value_in_any_field_is_an_event_or_refused(name, value, kind):
    message = TRADE | {"txType": kind, "initialBuy": 5.0} | {name: value}
    try:
        found = event_of(message, BORN)
    except ValueError:
        return
    if isinstance(found, CoinTrade):
        assert 0 < len(found.mint) <= 64
        assert min(found.after.price, found.before.price) > 0
        assert min(found.sol, found.tokens) >= 0
