"""A message on its way to a receiver."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

from kurswerk.core.messages import Message


@dataclass(frozen=True)
class MessageModel:
    """A model that a message names.

    Attributes
    ----------
    probability
        Of the row that the message is about, 0 to 1; None where the prediction has been deleted since.
    threshold
        What the probability had to reach, 0 to 1.
    """

    id: int
    name: str
    probability: float | None
    threshold: float


@dataclass(frozen=True)
class RowContext:
    """The values of the market row that a message is about; None where the row, or the column, is not there any more.

    Attributes
    ----------
    market
        Name of the market.
    price
        The row's close, in the unit of the market's table.
    phase
        Name of the row's segment, such as a phase of a coin's life.
    """

    market: str | None = None
    price: float | None = None
    phase: str | None = None


class RowContextSource(Protocol):
    """Reads the values of market rows that messages show."""

    def row_contexts(
        self, market: str, rows: Collection[tuple[str, datetime]]
    ) -> Mapping[tuple[str, datetime], RowContext]:
        """Return the contexts of rows by instrument and time; what cannot be read is None in them."""
        ...


@dataclass(frozen=True)
class Delivery:
    """A message on its way.

    Attributes
    ----------
    key
        The same however often it is sent, so that a receiver can recognise a repetition.
    coin_id, timestamp, probability
        Instrument, moment and highest probability (0 to 1) of the predictions that raised it. A notice has no
        instrument and no probability; its moment is when the service noticed.
    model_ids
        The models whose predictions raised it, or that a notice concerns.
    models
        Those of ``model_ids`` that still exist, by id.
    row
        The values of the market's row.
    notice
        What a notice reports; None for an alert that predictions raised.
    previous_secret
        The rule's secret before it was replaced, as long as receivers may know that one alone.
    """

    id: int
    key: str
    rule: str
    channel: str
    target: str | None
    secret: str | None
    coin_id: str | None
    timestamp: datetime
    model_ids: tuple[int, ...]
    probability: float | None
    attempts: int
    models: tuple[MessageModel, ...] = ()
    row: RowContext = RowContext()
    notice: Message | None = None
    previous_secret: str | None = None

    @property
    def subject(self) -> str:
        """What it is about, in a few words: the instrument, or what a notice reports."""
        return str(self.notice or self.coin_id)

    def message(self) -> dict[str, Any]:
        """Return what is sent, as JSON."""
        sent: dict[str, Any] = {
            "id": self.key,
            "rule": self.rule,
            "market": self.row.market,
            "coin_id": self.coin_id,
            "timestamp": self.timestamp.isoformat().replace("+00:00", "Z"),
            "model_ids": list(self.model_ids),
            "probability": self.probability,
            "models": [vars(model) for model in self.models],
            "price": self.row.price,
            "phase": self.row.phase,
        }
        # Receivers of alerts that predictions raise find what they always found.
        return sent if self.notice is None else sent | {"notice": self.notice.as_json(), "text": str(self.notice)}

    def text(self) -> str:
        """Return what is sent to a person: plain text of a few short lines.

        Examples
        --------
        >>> moment = datetime(2025, 1, 1, 12, tzinfo=UTC)
        >>> named = (MessageModel(7, "up 2 %", 0.834, 0.7),)
        >>> row = RowContext("coins", 4.53e-8, "Baby Zone")
        >>> one = Delivery(1, "2:A:0", "strong", "log", None, None, "A", moment, (7,), 0.834, 0, named, row)
        >>> print(one.text())
        strong: A
        up 2 %: 83.4% (threshold 70.0%)
        Price 0.0000000453, Baby Zone
        2025-01-01 12:00:00 UTC
        """
        lines = [f"{self.rule}: {self.subject}"]
        if self.notice is None:
            lines += [_model_line(model) for model in self.models] or [f"Probability {self.probability:.1%}"]
        facts = [] if self.row.price is None else [f"Price {_price(self.row.price)}"]
        facts += [self.row.phase] if self.row.phase else []
        lines += [", ".join(facts)] if facts else []
        return "\n".join([*lines, f"{self.timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"])


def _model_line(model: MessageModel) -> str:
    probability = "prediction deleted" if model.probability is None else f"{model.probability:.1%}"
    return f"{model.name}: {probability} (threshold {model.threshold:.1%})"


def _price(price: float) -> str:
    """Return a price with six significant digits, without an exponent: coins cost billionths as well as thousands."""
    return np.format_float_positional(price, precision=6, fractional=False, trim="-")
