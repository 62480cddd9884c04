"""A message on its way to a receiver."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Delivery:
    """A message on its way.

    Attributes
    ----------
    key
        The same however often it is sent, so that a receiver can tell.
    """

    id: int
    key: str
    rule: str
    channel: str
    target: str | None
    secret: str | None
    coin_id: str
    timestamp: datetime
    model_ids: tuple[int, ...]
    probability: float
    attempts: int

    def message(self) -> dict[str, Any]:
        """Return what is sent, as JSON."""
        return {
            "id": self.key,
            "rule": self.rule,
            "coin_id": self.coin_id,
            "timestamp": self.timestamp.isoformat().replace("+00:00", "Z"),
            "model_ids": list(self.model_ids),
            "probability": self.probability,
        }
