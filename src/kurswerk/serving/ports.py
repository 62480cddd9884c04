"""What predicting needs of the outside."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.alerts import AlertRule, Notice, Notification
from kurswerk.market import Panel
from kurswerk.serving.moment_ports import MomentTransaction

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Score = NDArray[np.float32]


@dataclass(frozen=True)
class PredictionFilter:
    """Which predictions or alerts; None is all. ``since`` and ``until`` are when they were stored.

    ``outcome`` is ``positive``, ``negative`` or ``unknown`` for predictions that were judged, ``pending`` for others.
    ``coin_ids`` are several instruments; archived predictions are not searched by them.
    """

    coin_id: str | None = None
    model_id: int | None = None
    min_probability: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    in_scope: bool | None = None
    outcome: Literal["positive", "negative", "unknown", "pending"] | None = None
    coin_ids: frozenset[str] | None = None


class MarketHistory(Protocol):
    """Reads an instrument's stored rows."""

    def columns(self) -> Collection[str]:
        """Return the market columns that the table has."""
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

    def mark_outsiders(self, panel: Panel) -> Panel:
        """Return a panel of all instruments with the rows marked that are no members of their moment."""
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
    instruments, timestamps, partitions
        Whose row it is, of which moment (microseconds UTC), and the instrument's partition.
    committed_us
        When the row was written, by the database's clock.
    fresh
        New rows; the others are corrections of rows that were there before.
    present
        Whether the row is still in the table.
    values
        The columns asked for, shape (n, k); missing is NaN.
    """

    instruments: Sequence[str]
    timestamps: Int
    partitions: Int
    committed_us: Int
    fresh: Bool
    present: Bool
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.instruments)


@dataclass(frozen=True, eq=False)
class MissedRows:
    """Rows that a model could not predict in their turn, each as of the batch whose first id is ``first_ids``."""

    instruments: Sequence[str]
    timestamps: Int
    first_ids: Int

    def __len__(self) -> int:
        return len(self.instruments)


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
    in_scope
        Shape (n, m): whether the row is one of those that the model was made for; None where all are.
    forecasts
        Shape (n, m, 3): forecast, low and high of forecast models, NaN for others; None where there is none of these.
    """

    ids: Int
    instruments: Sequence[str]
    timestamps: Int
    models: Int
    scores: Score
    given: Bool
    digests: Int
    features: Sequence[bytes | None] | None
    in_scope: Bool | None = None
    forecasts: Score | None = None


@dataclass(frozen=True)
class NewAlert:
    """A prediction whose probability reached its model's threshold."""

    prediction_id: int
    instrument: str
    timestamp_us: int
    model_id: int
    probability: float
    threshold: float


@dataclass(frozen=True)
class JoinedChange:
    """Values of a joined table, such as exchange rates, that were added, changed or removed.

    Attributes
    ----------
    source
        The table.
    partitions
        Those whose predictions it concerns.
    from_us, until_us
        Rows from the one moment up to the other (microseconds UTC, the end exclusive, None is open) have another value
        than they had before.
    """

    source: str
    partitions: tuple[int, ...]
    from_us: int
    until_us: int | None

    def covers(self, timestamps: Int) -> Bool:
        """Return which of some rows it concerns, shape (n,).

        Examples
        --------
        >>> JoinedChange("exchange_rates", (0,), 5, 8).covers(np.array([4, 5, 7, 8])).tolist()
        [False, True, True, False]
        """
        after = timestamps >= self.from_us
        return after if self.until_us is None else after & (timestamps < self.until_us)


@dataclass(frozen=True)
class InstrumentState:
    """The state of an instrument's features after its row of a moment; opaque to everything but the features."""

    instrument: str
    timestamp_us: int
    state: bytes


class FeedTransaction(MomentTransaction, Protocol):
    """One transaction: what is taken is gone from the feed exactly when what is stored is there."""

    def take(self, columns: Sequence[str], limit: int) -> FeedRows:
        """Take waiting rows of the leased partitions with their values; call it before `active_models`.

        A column that the table does not have is NaN. StorageError where columns have changed since
        `FeedSession.read_columns`.
        """
        ...

    def active_models(self) -> Sequence[ActiveModel]:
        """Return the models of the session's market that predict, by id."""
        ...

    def history(self, instruments: Sequence[str], first_us: Int, columns: Sequence[str], lookback: int | None) -> Panel:
        """Return known rows: those from ``first_us`` on and ``lookback`` before them, or all for None.

        Rows that still wait in the feed are not known.
        """
        ...

    def load_states(self, definition: str, instruments: Sequence[str]) -> Sequence[InstrumentState]:
        """Return stored states of instruments; ``definition`` is the hash of the features they were made by."""
        ...

    def delete_states(self, first_us: Mapping[str, int]) -> None:
        """Remove the instruments' states of a moment or later, of whatever features."""
        ...

    def delete_states_since(self, first_us: int) -> None:
        """Remove the stored states of a moment or later of the leased partitions' instruments."""
        ...

    def take_joined_changes(self) -> Sequence[JoinedChange]:
        """Take the changes of joined values that the leased partitions have not noted."""
        ...

    def note_joined_change(self, first_id: int, change: JoinedChange) -> None:
        """Note a change of joined values: predictions with ids under ``first_id`` cannot have known it."""
        ...

    def clear_states(self) -> None:
        """Remove the stored states of the leased partitions' instruments."""
        ...

    def save_states(self, definition: str, states: Sequence[InstrumentState]) -> None:
        """Store states in place of the instruments' earlier ones."""
        ...

    def reserve(self, count: int) -> Int:
        """Return so many new ids of predictions, ascending."""
        ...

    def existing(self, instruments: Sequence[str], timestamps: Int, models: Int) -> Bool:
        """Return, shape (n, m), which predictions are there already."""
        ...

    def store(self, predictions: NewPredictions, alerts: Sequence[NewAlert]) -> None:
        """Store predictions and alerts, count them, and notify listeners."""
        ...

    def alert_rules(self) -> Sequence[AlertRule]:
        """Return the rules in force."""
        ...

    def enqueue_notifications(self, deliveries: Sequence[Notification]) -> None:
        """Store notifications to deliver, unless the instrument is within the rule's cool-down."""
        ...

    def note_missing_columns(self, needed: Collection[str]) -> Sequence[str]:
        """Note which needed columns the market's tables lack now; return those that no lane had noted.

        A column that is there again is forgotten, so that its next loss is a new one.
        """
        ...

    def enqueue_notice(self, rule_ids: Sequence[int], notice: Notice) -> None:
        """Store a notice to deliver by some rules, once to each target."""
        ...

    def add_missed(self, model_ids: Sequence[int], rows: MissedRows, partitions: Int) -> None:
        """Note rows that models could not predict, for backfill."""
        ...

    def take_missed(self, model_id: int, limit: int) -> MissedRows:
        """Take rows that a model missed."""
        ...

    def put_back_missed(self, model_id: int, rows: MissedRows) -> None:
        """Note again that a model could not predict rows."""
        ...

    def note_revisions(self, kind: str, first_id: int, rows: Mapping[str, Sequence[int]]) -> None:
        """Note rows that came late or were corrected: predictions with ids under ``first_id`` did not know them."""
        ...

    def late_rows(self, instruments: Sequence[str]) -> Mapping[str, Sequence[tuple[int, Sequence[int]]]]:
        """Return the late rows of instruments: first id of a prediction that knew them, and their timestamps."""
        ...


class FeedSession(Protocol):
    """One partition consumer's connection; partitions are leased to it and fall back when it ends."""

    def lease(self) -> frozenset[int]:
        """Take or give back partitions so that all lanes have their share; return those held."""
        ...

    def read_columns(self) -> Mapping[str, str]:
        """Look at the market's tables anew; return the columns that can be read from now on, with their versions.

        A column's version changes when it is added again or gets another type. StorageError if no row can be taken,
        because the table or its key is missing.
        """
        ...

    def models_with_missed_rows(self) -> frozenset[int]:
        """Return the models with missed rows in the leased partitions."""
        ...

    def transaction(self) -> AbstractContextManager[FeedTransaction]:
        """Open a transaction."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something new, or after a time."""
        ...

    def lag(self) -> tuple[int, float]:
        """Return how many rows of the leased partitions wait (at most 100,000 are counted), and since when in s."""
        ...

    def poll_table(self) -> int:
        """Poll a table without triggers for new rows; return how many were found."""
        ...

    def report_state(self, state: Mapping[str, Any]) -> None:
        """Publish the state of this lane."""
        ...

    def close(self) -> None:
        """End the session; its partitions are free."""
        ...
