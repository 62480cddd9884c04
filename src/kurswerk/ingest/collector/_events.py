"""What a source of coin trades reports."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reserves:
    """Virtual reserves of a bonding curve: SOL and tokens, both above 0."""

    sol: float
    tokens: float

    @property
    def price(self) -> float:
        """SOL per token."""
        return self.sol / self.tokens


@dataclass(frozen=True, slots=True)
class CoinTrade:
    """One trade on a coin's bonding curve.

    Attributes
    ----------
    signature
        Of the transaction; a transaction may hold several trades, which leave different reserves.
    trader
        The wallet.
    sol, tokens
        What was traded, both at least 0.
    after
        The curve's reserves after the trade.
    moment_us
        When it happened, in microseconds UTC: as the source states it, else when it was received.
    """

    mint: str
    signature: str
    trader: str
    is_buy: bool
    sol: float
    tokens: float
    after: Reserves
    moment_us: int

    @property
    def before(self) -> Reserves:
        """The curve's reserves before the trade, by its constant product: fees in ``sol`` do not matter."""
        tokens = self.after.tokens + (self.tokens if self.is_buy else -self.tokens)
        return Reserves(self.after.sol * self.after.tokens / tokens, tokens)


@dataclass(frozen=True, slots=True)
class CoinCreated:
    """A new coin.

    Attributes
    ----------
    creator
        The developer's wallet.
    reserves
        The curve's after the creation, and after the developer's purchase if there was one.
    purchase
        What the developer bought in the same transaction.
    """

    mint: str
    creator: str
    reserves: Reserves
    moment_us: int
    purchase: CoinTrade | None = None


@dataclass(frozen=True, slots=True)
class CoinMigrated:
    """A coin left its bonding curve: it trades elsewhere from now on."""

    mint: str


@dataclass(frozen=True, slots=True)
class Following:
    """From now on all trades of some coins are received; without any, that all requests were confirmed."""

    mints: Sequence[str]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection is lost: what happened after the last sign of life may not have been received."""

    reason: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that could not be read."""

    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """What a source reports, and when.

    Attributes
    ----------
    moment_us
        Microseconds UTC. Unless the event is `Interrupted`, all that the source sent before has been received.
    event
        None is no more than a sign of life, or a message that concerns no coin.
    """

    moment_us: int
    event: CoinCreated | CoinTrade | CoinMigrated | Following | Interrupted | Malformed | None
