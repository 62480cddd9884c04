"""What the supervision of models needs of a database."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.timestamps import DAY_US
from kurswerk.labels import LabelSpec
from kurswerk.market import Panel

Int = NDArray[np.int64]
Float = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class JudgedModel:
    """A model whose predictions are compared with the market."""

    id: int
    label: LabelSpec

    @property
    def horizon_us(self) -> int:
        """How far its label looks ahead, in microseconds; 0 where that follows from the rows or from a calendar."""
        return self.label.horizon_us or 0

    @property
    def reach_us(self) -> int:
        """How far its label looks ahead at most: sessions, of which no week and no row of holidays leaves out many."""
        sessions = self.label.sessions
        return self.horizon_us if sessions is None else (2 * sessions + 14) * DAY_US


@dataclass(frozen=True, eq=False)
class PredictionRows:
    """Stored predictions, one place of every array each; shape (n,).

    Attributes
    ----------
    instruments, timestamps
        Of the row predicted from; microseconds UTC.
    ids, model_ids
        Of the prediction and of its model.
    predicted, probability, in_scope
        Class 0 or 1, probability of class 1 in [0, 1], and whether the model was made for such a row.
    overdue
        Whether the horizon has passed by the clock on the wall, whatever the market's newest row is.
    """

    instruments: Sequence[str]
    timestamps: Int
    ids: Int
    model_ids: Int
    predicted: Int
    probability: Float
    in_scope: Bool
    overdue: Bool

    def __len__(self) -> int:
        return len(self.instruments)

    def where(self, mask: Bool) -> "PredictionRows":
        """Return those where ``mask``, shape (n,), holds."""
        return PredictionRows(
            [self.instruments[k] for k in np.flatnonzero(mask).tolist()],
            self.timestamps[mask],
            self.ids[mask],
            self.model_ids[mask],
            self.predicted[mask],
            self.probability[mask],
            self.in_scope[mask],
            self.overdue[mask],
        )

    @classmethod
    def joined(cls, parts: Sequence["PredictionRows"]) -> "PredictionRows":
        """Return the rows of several, one behind the other; at least one is needed."""
        return cls(
            [name for part in parts for name in part.instruments],
            np.concatenate([part.timestamps for part in parts]),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.model_ids for part in parts]),
            np.concatenate([part.predicted for part in parts]),
            np.concatenate([part.probability for part in parts]),
            np.concatenate([part.in_scope for part in parts]),
            np.concatenate([part.overdue for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Judgements:
    """What became of predictions, one place of every array each; shape (n,).

    Attributes
    ----------
    labels
        1 it came true, 0 it did not, -1 it stays unknown; int8.
    reasons
        Place in `REASONS` where the label is unknown, `FAILED` where it could not be computed, else -1; int8.
    end_us
        Moment up to which the label looks, microseconds UTC; of a label of the next row where there is none yet, the
        first moment at which it may stand.
    returns
        Of forecast models the return in percent, NaN where it is unknown and for other models; float32. None is NaN
        everywhere.
    """

    labels: NDArray[np.int8]
    reasons: NDArray[np.int8]
    end_us: Int
    returns: NDArray[np.float32] | None = None

    @property
    def actual(self) -> NDArray[np.float32]:
        """The returns, shape (n,)."""
        return np.full(len(self.labels), np.nan, dtype=np.float32) if self.returns is None else self.returns

    def where(self, mask: Bool) -> "Judgements":
        """Return those where ``mask``, shape (n,), holds."""
        return Judgements(self.labels[mask], self.reasons[mask], self.end_us[mask], self.actual[mask])


@dataclass(frozen=True, eq=False)
class OutcomeRows:
    """Outcomes as they are stored, one place of every array each; shape (n,). Labels to returns as in `Judgements`."""

    instruments: Sequence[str]
    timestamps: Int
    model_ids: Int
    labels: NDArray[np.int8]
    reasons: NDArray[np.int8]
    returns: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.instruments)

    def where(self, mask: Bool) -> "OutcomeRows":
        """Return those where ``mask``, shape (n,), holds."""
        names = [self.instruments[k] for k in np.flatnonzero(mask).tolist()]
        returns = None if self.returns is None else self.returns[mask]
        return OutcomeRows(
            names, self.timestamps[mask], self.model_ids[mask], self.labels[mask], self.reasons[mask], returns
        )


@dataclass(frozen=True)
class RevisedRows:
    """Rows of a market that came late or were corrected: instrument → their timestamps, microseconds UTC, ascending.

    ``last_id`` is the place up to which revisions have been read.
    """

    timestamps: Mapping[str, Sequence[int]]
    last_id: int


class OutcomeTransaction(Protocol):
    """One transaction of one market, which no other service works on at the same time."""

    def models(self) -> Sequence[JudgedModel]:
        """Return the market's models that have predicted, deleted ones left out."""
        ...

    def newest_us(self) -> int | None:
        """Return the moment of the market's newest row, at most now; None without rows."""
        ...

    def unjudged(self, model: JudgedModel, limit: int, patience_us: int) -> PredictionRows:
        """Return the model's next predictions that nobody has looked at, in the order of their ids.

        ``overdue`` are those stored longer ago than the horizon and ``patience_us``.
        """
        ...

    def waiting(self, model: JudgedModel, until_us: int, limit: int) -> PredictionRows:
        """Take predictions that were put off and are due at ``until_us``."""
        ...

    def put_off(self, rows: PredictionRows, due_us: Int) -> None:
        """Keep predictions for the moments at which they are due."""
        ...

    def advance(self, model_id: int, prediction_id: int) -> None:
        """Note that all of a model's predictions up to an id have been looked at."""
        ...

    def rows(self, instruments: Sequence[str], from_us: Int, until_us: Int, columns: Sequence[str]) -> Panel:
        """Return each instrument's rows of a period of its own, both ends inclusive, and the next one after it."""
        ...

    def store(self, rows: PredictionRows, judged: Judgements) -> int:
        """Store outcomes, but none that is there; return how many were."""
        ...

    def revisions(self, limit: int) -> RevisedRows | None:
        """Return the next revisions of the market's rows, about ``limit`` of them; None if there are none."""
        ...

    def advance_revisions(self, last_id: int) -> None:
        """Note that all revisions up to a place have been dealt with."""
        ...

    def resumed(self, limit: int) -> OutcomeRows:
        """Return outcomes of instruments that had ended within the horizon and have rows beyond it now."""
        ...

    def outcomes_of(
        self, instruments: Sequence[str], model_ids: Int, from_us: Int, until_us: Int, previous: Bool
    ) -> OutcomeRows:
        """Return outcomes by instrument, model and period, both ends inclusive; all arguments have one shape (k,).

        Where ``previous`` holds, the last one before the period too.
        """
        ...

    def correct(self, rows: OutcomeRows, judged: Judgements) -> int:
        """Replace the labels of outcomes, keep the earlier ones beside them; return how many changed."""
        ...


class OutcomeStore(Protocol):
    """Keeps outcomes."""

    def transaction(self, market: str) -> AbstractContextManager[OutcomeTransaction | None]:
        """Open a transaction of a market; None if another service has one, or the market has no tables yet."""
        ...

    def remove_older(self, days: int, limit: int) -> int:
        """Remove outcomes of rows that are older than so many days, at most ``limit``; return how many."""
        ...
