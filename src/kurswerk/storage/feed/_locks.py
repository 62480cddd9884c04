"""Keys of advisory locks: every market has its own."""

from dataclasses import dataclass

from kurswerk.core.digest import sha256_bytes
from kurswerk.market import DEFAULT_MARKET, MarketSchema


@dataclass(frozen=True)
class FeedLocks:
    """The locks of one market's feed.

    Attributes
    ----------
    members, partitions
        First of two keys of 32 bits: who takes part in the leases, and who holds which partition.
    polling
        Key of 64 bits: who polls the table.
    """

    members: int
    partitions: int
    polling: int

    @classmethod
    def of(cls, market: MarketSchema) -> "FeedLocks":
        """Return a market's keys: for coins those they always had, for others ones that follow from the name.

        Examples
        --------
        >>> from kurswerk.market import COINS
        >>> hex(FeedLocks.of(COINS).members)
        '0x4b576d'
        """
        if market.name == DEFAULT_MARKET:  # "KWm", "KWp", "KWf": lanes of an older version may hold them right now
            return cls(0x4B576D, 0x4B5770, 0x4B5766)
        digest = sha256_bytes(f"kurswerk feed of {market.name}".encode())
        # 31 and 63 bits, so that PostgreSQL's signed keys are not negative and pg_locks shows them as they are.
        return cls(int(digest[:8], 16) >> 1, int(digest[8:16], 16) >> 1, int(digest[16:32], 16) >> 1)
