"""What predicting needs of the outside."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.market import Panel

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Score = NDArray[np.float32]


class CoinHistory(Protocol):
    """Reads a coin's stored rows."""

    def columns(self) -> Collection[str]:
        """Return the coin columns that the table has."""
        ...

    def load_panel(
        self,
        columns: Sequence[str],
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        mints: Iterable[str] | None = None,
    ) -> Panel:
        """Return rows from ``start_us`` to ``end_us``, both inclusive."""
        ...


@dataclass(frozen=True)
class ActiveModel:
    """A model that predicts; ``epoch`` is raised to make every replica load it anew."""

    id: int
    name: str
    artifact_sha256: str
    alert_threshold: float
    epoch: int


@dataclass(frozen=True, eq=False)
class FeedRows:
    """Rows taken from the feed.

    Attributes
    ----------
    coins, timestamps, partitions
        Whose row it is, of which moment (microseconds UTC), and the coin's partition.
    committed_us
        When the row was written, by the database's clock.
    fresh
        New rows; the others are corrections of rows that were there before.
    present
        Whether the row is still in the table.
    values
        The columns asked for, shape (n, k); missing is NaN.
    """

    coins: Sequence[str]
    timestamps: Int
    partitions: Int
    committed_us: Int
    fresh: Bool
    present: Bool
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.coins)


@dataclass(frozen=True, eq=False)
class OwedRows:
    """Rows that one model still has to predict, each as of the batch whose first id is ``first_ids``."""

    coins: Sequence[str]
    timestamps: Int
    first_ids: Int

    def __len__(self) -> int:
        return len(self.coins)


@dataclass(frozen=True, eq=False)
class NewPredictions:
    """Predictions of a batch: rows × models.

    Attributes
    ----------
    ids
        One per prediction given, rows first, then models.
    models
        Ids, shape (m,).
    scores, given, digests
        Shape (n, m): probability, whether the model gave one, and the digest of the features it saw.
    features
        JSON text per prediction given or None, if any are to be kept.
    """

    ids: Int
    coins: Sequence[str]
    timestamps: Int
    models: Int
    scores: Score
    given: Bool
    digests: Int
    features: Sequence[bytes | None] | None


@dataclass(frozen=True)
class NewAlert:
    """A prediction whose probability reached its model's threshold."""

    prediction_id: int
    coin_id: str
    timestamp_us: int
    model_id: int
    probability: float
    threshold: float


@dataclass(frozen=True)
class AlertRule:
    """When to send a message: so many of some models (empty: all) reach a probability (None: their own thresholds)."""

    id: int
    model_ids: tuple[int, ...]
    least_agreeing: int
    min_probability: float | None


@dataclass(frozen=True)
class NewDelivery:
    """A message that a rule calls for."""

    rule_id: int
    coin_id: str
    timestamp_us: int
    model_ids: tuple[int, ...]
    probability: float


@dataclass(frozen=True)
class CoinState:
    """The state of a coin's features after its row of a moment; what is in it is known to the features alone."""

    coin: str
    timestamp_us: int
    state: bytes


class FeedWork(Protocol):
    """One transaction: what is taken is gone from the feed exactly when what is stored is there."""

    def take(self, columns: Sequence[str], limit: int) -> FeedRows:
        """Take waiting rows of the leased partitions with their values; call it before `active_models`."""
        ...

    def active_models(self) -> Sequence[ActiveModel]:
        """Return the models that predict, by id."""
        ...

    def history(self, coins: Sequence[str], first_us: Int, columns: Sequence[str], lookback: int | None) -> Panel:
        """Return known rows: those from ``first_us`` on and ``lookback`` before them, or all for None.

        Rows that still wait in the feed are not known.
        """
        ...

    def states(self, definition: str, coins: Sequence[str]) -> Sequence[CoinState]:
        """Return stored states of coins; ``definition`` is the hash of the features they were made by."""
        ...

    def drop_states(self, first_us: Mapping[str, int]) -> None:
        """Remove coins' states of a moment or later, whatever features they are of."""
        ...

    def keep_states(self, definition: str, states: Sequence[CoinState]) -> None:
        """Store states in the place of those that their coins have."""
        ...

    def reserve(self, count: int) -> Int:
        """Return so many new ids of predictions, ascending."""
        ...

    def stored(self, coins: Sequence[str], timestamps: Int, models: Int) -> Bool:
        """Return, shape (n, m), which predictions are there already."""
        ...

    def store(self, predictions: NewPredictions, alerts: Sequence[NewAlert]) -> None:
        """Store predictions, count them, store alerts and tell listeners."""
        ...

    def alert_rules(self) -> Sequence[AlertRule]:
        """Return the rules in force."""
        ...

    def send(self, deliveries: Sequence[NewDelivery]) -> None:
        """Store messages to send, unless one about the coin is within the rule's cool-down."""
        ...

    def owe(self, model_ids: Sequence[int], rows: OwedRows, partitions: Int) -> None:
        """Note that models could not predict rows."""
        ...

    def take_owed(self, model_id: int, limit: int) -> OwedRows:
        """Take rows that a model owes."""
        ...

    def revise(self, kind: str, first_id: int, rows: Mapping[str, Sequence[int]]) -> None:
        """Note rows that came late or were corrected: predictions with ids under ``first_id`` did not know them."""
        ...

    def learnt_late(self, coins: Sequence[str]) -> Mapping[str, Sequence[tuple[int, Sequence[int]]]]:
        """Return for coins the rows that came late: first id of a prediction that knew them, and their timestamps."""
        ...


class FeedSession(Protocol):
    """One lane's connection; partitions are leased to it and fall back when it ends."""

    def lease(self) -> frozenset[int]:
        """Take or give back partitions so that all lanes have their share; return those held."""
        ...

    def owing(self) -> frozenset[int]:
        """Return the models that owe predictions in the leased partitions."""
        ...

    def work(self) -> AbstractContextManager[FeedWork]:
        """Open a transaction."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something new, or after a time."""
        ...

    def waiting(self) -> tuple[int, float]:
        """Return how many rows of the leased partitions wait (at most 100,000 are counted), and since when in s."""
        ...

    def look(self) -> int:
        """Where the table tells nothing of new rows, look for them; return how many were found."""
        ...

    def report(self, state: Mapping[str, Any]) -> None:
        """Tell how this lane is."""
        ...

    def close(self) -> None:
        """End the session; its partitions are free."""
        ...
