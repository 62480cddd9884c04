"""Outcomes of predictions: judged once their horizon has passed, and corrected when the market's rows are revised.

Each step is one transaction, under a lock of its market: predictions are judged and the place up to which they were
looked at moves on together, so that a step that is cut off is done again as a whole and none is done twice. Corrections
run under the same lock: a row that is revised while its outcome is being judged is noted as a revision afterwards, and
then finds the outcome.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kurswerk.core.timestamps import MICROSECONDS, MINUTE_US
from kurswerk.labels import UNKNOWN
from kurswerk.oversight._judging import ENDED, FAILED, NO_ROW, judge_rows
from kurswerk.oversight.ports import (
    Bool,
    JudgedModel,
    OutcomeRows,
    OutcomeStore,
    OutcomeTransaction,
    PredictionRows,
    RevisedRows,
)

# How long after its end a horizon counts as passed: an instrument that still trades has reported by then.
DELAY_S = 120.0
_PREDICTIONS_AT_ONCE = 50_000
_LEAST_AT_ONCE = 2_000
# A model without anything due is not looked at before its next prediction is, or for so long.
_LONGEST_PAUSE_S = 60.0
_REVISIONS_AT_ONCE = 200
_INSTRUMENTS_AT_ONCE = 200
# When a label that could not be computed is tried again, in the market's time.
_RETRY_US = 60 * MINUTE_US
# How far behind the clock on the wall a market may be before a prediction that it has not reached is put off.
_PATIENCE_US = 10 * MINUTE_US


class Pauses:
    """Models of which nothing is due yet: model → the market's moment, and the clock's, up to which that holds."""

    def __init__(self) -> None:
        self._until: dict[int, tuple[int, float]] = {}

    def begin(self, model_id: int, until_us: int) -> None:
        """Look no more at a model before the market has come to a moment, but for a minute at most."""
        self._until[model_id] = until_us, time.monotonic() + _LONGEST_PAUSE_S

    def hold(self, model_id: int, now_us: int) -> bool:
        """Whether a model need not be looked at while the market is at a moment."""
        until_us, until_s = self._until.get(model_id, (now_us, 0.0))
        return now_us < until_us and time.monotonic() < until_s


@dataclass(frozen=True)
class MaturingReport:
    """What was done: outcomes stored and corrected, and whether another service was at it."""

    judged: int = 0
    corrected: int = 0
    busy: bool = False

    def __add__(self, other: "MaturingReport") -> "MaturingReport":
        return MaturingReport(self.judged + other.judged, self.corrected + other.corrected, self.busy or other.busy)


def mature(
    store: OutcomeStore,
    market: str,
    *,
    delay_s: float = DELAY_S,
    resumed: bool = True,
    pauses: Pauses | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> MaturingReport:
    """Judge all predictions of a market that are due, and correct outcomes whose rows were revised.

    Parameters
    ----------
    delay_s
        How many seconds of the market's own time after its end a horizon counts as passed.
    resumed
        Whether to look for instruments that trade again after they had ended within a horizon.
    pauses
        Remembers from call to call which models have nothing due; None looks at all of them.
    stopped
        Asked between two steps.

    Raises
    ------
    StorageError
        If the database refuses or cannot be reached; steps that were completed stay.
    """
    done, delay_us = MaturingReport(), round(delay_s * MICROSECONDS)
    pauses = pauses or Pauses()
    steps: list[Callable[[OutcomeTransaction], int | None]] = [
        lambda tx: _judge_due(tx, delay_us, pauses),
        lambda tx: _judge_waiting(tx, delay_us),
        _correct_revised,
    ]
    if resumed:
        steps.append(_correct_resumed)
    for step in steps:
        while not stopped():
            with store.transaction(market) as tx:
                if tx is None:
                    return done + MaturingReport(busy=True)
                count = step(tx)
            if count is None:
                break
            done += MaturingReport(judged=count) if step in steps[:2] else MaturingReport(corrected=count)
    return done


def _judge_due(tx: OutcomeTransaction, delay_us: int, pauses: Pauses) -> int | None:
    """Judge the next predictions that are due; None if there are none."""
    models = tx.models()
    newest_us = tx.newest_us() if models else None
    if newest_us is None:
        return None
    limit = max(_LEAST_AT_ONCE, _PREDICTIONS_AT_ONCE // len(models))
    batches: dict[int, PredictionRows] = {}
    for model in models:
        rows = _due(tx, model, newest_us - delay_us, limit, pauses)
        if rows is not None:
            batches[model.id] = rows
    if not batches:
        return None
    chosen = _overlapping(batches, {model.id: model for model in models})
    rows = PredictionRows.joined([batches[model.id] for model in chosen])
    horizons = np.repeat([model.horizon_us for model in chosen], [len(batches[model.id]) for model in chosen])
    due = rows.timestamps + horizons + delay_us <= newest_us
    stored = 0
    if due.any():
        stored = _judge_and_store(tx, chosen, rows.where(due), newest_us, delay_us)
    if not due.all():
        tx.put_off(rows.where(~due), (rows.timestamps + horizons + delay_us)[~due])
    for model in chosen:
        tx.advance(model.id, int(batches[model.id].ids.max()))
    return stored


def _due(
    tx: OutcomeTransaction, model: JudgedModel, until_us: int, limit: int, pauses: Pauses
) -> PredictionRows | None:
    """Return the model's next predictions up to the last one that is due; None if none is.

    Ids ascend nearly as moments do: what lies before one that is due and is not due itself is put off.
    """
    if pauses.hold(model.id, until_us):
        return None
    rows = tx.unjudged(model, limit, _PATIENCE_US)
    end_us = rows.timestamps + model.horizon_us
    passed = np.flatnonzero((end_us <= until_us) | rows.overdue)
    if len(passed):
        return rows.where(np.arange(len(rows)) <= passed[-1])
    if len(rows):
        pauses.begin(model.id, int(end_us.min()))
    return None


def _overlapping(batches: Mapping[int, PredictionRows], models: Mapping[int, JudgedModel]) -> list[JudgedModel]:
    """Return the model that is furthest behind, and those whose rows are needed along with its own."""
    order = sorted(batches, key=lambda number: int(batches[number].timestamps.min()))
    end_us = None
    chosen = []
    for number in order:
        times = batches[number].timestamps
        if end_us is None or int(times.min()) <= end_us:
            chosen.append(models[number])
            own_end = int(times.max()) + models[number].reach_us
            end_us = own_end if end_us is None else max(end_us, own_end)
    return chosen


def _judge_waiting(tx: OutcomeTransaction, delay_us: int) -> int | None:
    """Judge predictions that were put off and are due now; None if there are none."""
    models = tx.models()
    newest_us = tx.newest_us() if models else None
    if newest_us is None:
        return None
    for model in models:
        rows = tx.waiting(model, newest_us, _PREDICTIONS_AT_ONCE)
        if len(rows):
            return _judge_and_store(tx, [model], rows, newest_us, delay_us)
    return None


def _judge_and_store(
    tx: OutcomeTransaction, models: Sequence[JudgedModel], rows: PredictionRows, newest_us: int, delay_us: int
) -> int:
    """Store what became of predictions; those whose label looks further ahead than the market has come are put off."""
    judged = judge_rows(tx, {model.id: model for model in models}, rows.instruments, rows.timestamps, rows.model_ids)
    due_us = judged.end_us + delay_us
    early = (judged.reasons == ENDED) & (judged.end_us > rows.timestamps + 1) & (due_us > newest_us)
    failed = judged.reasons == FAILED
    due_us[failed] = newest_us + _RETRY_US
    early |= failed
    if early.any():
        tx.put_off(rows.where(early), due_us[early])
        rows, judged = rows.where(~early), judged.where(~early)
    return tx.store(rows, judged) if len(rows) else 0


def _correct_revised(tx: OutcomeTransaction) -> int | None:
    """Judge again what lies within a horizon of rows that came late or were corrected; None if there are none."""
    revised = tx.revisions(_REVISIONS_AT_ONCE)
    if revised is None:
        return None
    models = tx.models()
    count = 0
    if models and revised.timestamps:
        count = _judge_again(tx, models, _affected(tx, models, revised))
    tx.advance_revisions(revised.last_id)
    return count


def _correct_resumed(tx: OutcomeTransaction) -> int | None:
    """Judge again outcomes of instruments that trade again; None if there are none."""
    rows = tx.resumed(_INSTRUMENTS_AT_ONCE)
    return (_judge_again(tx, tx.models(), rows) or None) if len(rows) else None


def _affected(tx: OutcomeTransaction, models: Sequence[JudgedModel], revised: RevisedRows) -> OutcomeRows:
    """Return the outcomes whose labels look at a revised row, or are of it."""
    names: list[str] = []
    model_ids: list[int] = []
    from_us: list[int] = []
    until_us: list[int] = []
    previous: list[bool] = []
    for name, moments in revised.timestamps.items():
        times = np.array(moments, dtype=np.int64)
        for model in models:
            cuts = np.flatnonzero(np.diff(times) > model.reach_us)
            starts, ends = times[np.append(0, cuts + 1)], times[np.append(cuts, len(times) - 1)]
            names += [name] * len(starts)
            model_ids += [model.id] * len(starts)
            from_us += (starts - model.reach_us).tolist()
            until_us += ends.tolist()
            previous += [model.reach_us == 0] * len(starts)
    return tx.outcomes_of(
        names,
        np.array(model_ids, dtype=np.int64),
        np.array(from_us, dtype=np.int64),
        np.array(until_us, dtype=np.int64),
        np.array(previous, dtype=np.bool_),
    )


def _judge_again(tx: OutcomeTransaction, models: Sequence[JudgedModel], rows: OutcomeRows) -> int:
    """Replace the labels that have changed; a label stays where the row itself is no longer kept."""
    if not len(rows):
        return 0
    known = {model.id: model for model in models}
    judged = judge_rows(tx, known, rows.instruments, rows.timestamps, rows.model_ids)
    changed: Bool = (judged.labels != rows.labels) | (judged.reasons != rows.reasons)
    if rows.returns is not None:
        changed |= ~((judged.actual == rows.returns) | (np.isnan(judged.actual) & np.isnan(rows.returns)))
    changed &= ~((judged.reasons == NO_ROW) & (rows.labels != UNKNOWN)) & (judged.reasons != FAILED)
    return tx.correct(rows.where(changed), judged.where(changed)) if changed.any() else 0
