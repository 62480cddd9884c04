"""One transaction of a market: predictions read, rows read, outcomes stored and corrected."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.core.errors import KurswerkError
from kurswerk.labels import UNKNOWN
from kurswerk.market import MarketSchema, Panel
from kurswerk.observability import get_logger
from kurswerk.oversight import REASONS, JudgedModel, Judgements, OutcomeRows, PredictionRows, RevisedRows
from kurswerk.storage.binary_copy import RowBlock, decode_rows
from kurswerk.storage.markets import MarketTable, periods_query
from kurswerk.storage.outcomes import _statements as statements
from kurswerk.storage.server import Connection
from kurswerk.training import ModelSpec

log = get_logger(__name__)
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


class PostgresOutcomeTransaction:
    """Implements `kurswerk.oversight.OutcomeTransaction`.

    Parameters
    ----------
    final_id
        Up to which id predictions and revisions are all there.
    newest_us
        By market, the moment of the newest row that is known of; brought up to date.
    """

    def __init__(self, connection: Connection, market: MarketSchema, final_id: int, newest_us: dict[str, int]) -> None:
        self._connection, self._market = connection, market
        self._final_id, self._newest_us = final_id, newest_us
        self._table = MarketTable.find(connection, market)
        self._models: list[JudgedModel] | None = None

    def models(self) -> Sequence[JudgedModel]:
        """Return the market's models that have predicted, deleted ones left out."""
        if self._models is None:
            found = self._connection.execute(statements.MODELS, [self._market.name]).fetchall()
            self._models = [model for model_id, spec in found if (model := _model(model_id, spec)) is not None]
        return self._models

    def newest_us(self) -> int | None:
        """Return the moment of the market's newest row, at most now; None without rows.

        The search begins at the newest moment that is known of, so that an index of block ranges is enough.
        """
        known = self._newest_us.get(self._market.name)
        for within in statements.NEWEST_WITHIN if known is None else (None,):
            row = self._connection.execute(statements.newest(self._table, known, within)).fetchone()
            if row and row[0] is not None:
                self._newest_us[self._market.name] = known = int(row[0])
                break
        return known

    def unjudged(self, model: JudgedModel, limit: int, patience_us: int) -> PredictionRows:
        """Return the model's next predictions that nobody has looked at, in the order of their ids."""
        query = statements.unjudged(model.id, self._final_id, limit, model.horizon_us + patience_us)
        return _predictions(self._copy_out(query, statements.PREDICTION_FIELDS))

    def waiting(self, model: JudgedModel, until_us: int, limit: int) -> PredictionRows:
        """Take predictions that were put off and are due at ``until_us``."""
        query = statements.waiting(model.id, until_us, limit)
        return _predictions(self._copy_out(query, statements.PREDICTION_FIELDS))

    def put_off(self, rows: PredictionRows, due_us: Int) -> None:
        """Keep predictions for the moments at which they are due."""
        self._connection.execute(statements.PUT_OFF, [*_arrays(rows), due_us.tolist()])

    def advance(self, model_id: int, prediction_id: int) -> None:
        """Note that all of a model's predictions up to an id have been looked at."""
        self._connection.execute(statements.ADVANCE, [model_id, prediction_id])

    def rows(self, instruments: Sequence[str], from_us: Int, until_us: Int, columns: Sequence[str]) -> Panel:
        """Return each instrument's rows of a period of its own, both ends inclusive, and the next one after it."""
        query = periods_query(self._table, instruments, from_us, until_us, columns)
        block = self._copy_out(query, 1 + len(columns))
        code_of: dict[str, int] = {}
        codes = np.fromiter((code_of.setdefault(key, len(code_of)) for key in block.keys), np.int64, len(block))
        values = block.words[1:].view(np.float64)
        panel = Panel.from_codes(list(code_of), codes, block.moments(0), dict(zip(columns, values, strict=True)))
        attribute = self._market.exchanges
        if attribute is None:
            return panel
        stated = self._connection.execute(statements.attribute(attribute), [list(panel.instruments)]).fetchall()
        return panel.with_exchanges(dict(stated))

    def store(self, rows: PredictionRows, judged: Judgements) -> int:
        """Store outcomes, but none that is there; return how many were."""
        given = [*_arrays(rows), *_labels(judged), judged.end_us.tolist(), _returns(judged)]
        row = self._connection.execute(statements.STORE, given).fetchone()
        return int(row[0]) if row else 0

    def revisions(self, limit: int) -> RevisedRows | None:
        """Return the next revisions of the market's rows, about ``limit`` of them; None if there are none."""
        given = [self._final_id, self._market.name, limit]
        found = self._connection.execute(statements.revisions(self._table), given).fetchall()
        if not found:
            return None
        moments: dict[str, set[int]] = {}
        for _, coin, times in found:
            moments.setdefault(coin, set()).update(times)
        return RevisedRows({coin: sorted(times) for coin, times in moments.items()}, found[-1][0])

    def advance_revisions(self, last_id: int) -> None:
        """Note that all revisions up to a place have been dealt with."""
        self._connection.execute(statements.ADVANCE_REVISIONS, [self._market.name, last_id])

    def resumed(self, limit: int) -> OutcomeRows:
        """Return outcomes of instruments that had ended within the horizon and have rows beyond it now."""
        models = [model.id for model in self.models()]
        return self._outcomes(statements.resumed(self._table, models, limit, REASONS))

    def outcomes_of(
        self, instruments: Sequence[str], model_ids: Int, from_us: Int, until_us: Int, previous: Bool
    ) -> OutcomeRows:
        """Return outcomes by instrument, model and period, both ends inclusive, and the one before where asked for."""
        query = statements.outcomes_of(
            instruments, model_ids.tolist(), from_us.tolist(), until_us.tolist(), previous.tolist(), REASONS
        )
        return self._outcomes(query)

    def correct(self, rows: OutcomeRows, judged: Judgements) -> int:
        """Replace the labels of outcomes, keep the earlier ones beside them; return how many changed."""
        given = [list(rows.instruments), rows.timestamps.tolist(), rows.model_ids.tolist(), *_labels(judged)]
        given += [judged.end_us.tolist(), _returns(judged)]
        return self._connection.execute(statements.CORRECT, given).rowcount

    def _outcomes(self, query: sql.Composed) -> OutcomeRows:
        block = self._copy_out(query, statements.OUTCOME_FIELDS)
        words = block.words
        labels, reasons = (words[k].astype(np.int8) for k in (2, 3))
        returns = words[4].view(np.float64).astype(np.float32)
        return OutcomeRows(block.keys, block.moments(0), words[1], labels, reasons, returns)

    def _copy_out(self, query: sql.Composed, fields: int) -> RowBlock:
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            data = b"".join(copy)
        return decode_rows(data, fields)


def _model(model_id: int, spec: dict[str, Any]) -> JudgedModel | None:
    """Return a model with its label; None where this version of the program cannot read its specification."""
    try:
        return JudgedModel(model_id, ModelSpec.stored(spec).label_spec())
    except KurswerkError as error:
        log.warning("predictions of a model are not judged", model_id=model_id, reason=str(error))
        return None


def _predictions(block: RowBlock) -> PredictionRows:
    words = block.words
    return PredictionRows(
        instruments=block.keys,
        timestamps=block.moments(0),
        ids=words[1],
        model_ids=words[2],
        predicted=words[3],
        probability=words[4].view(np.float64),
        in_scope=words[5] != 0,
        overdue=words[6] != 0,
    )


def _arrays(rows: PredictionRows) -> list[list[Any]]:
    return [
        list(rows.instruments),
        rows.timestamps.tolist(),
        rows.ids.tolist(),
        rows.model_ids.tolist(),
        rows.predicted.tolist(),
        rows.probability.tolist(),
        rows.in_scope.tolist(),
    ]


def _labels(judged: Judgements) -> list[list[Any]]:
    """Return labels and reasons, None where there is none."""
    return [
        [None if label == UNKNOWN else label for label in judged.labels.tolist()],
        [REASONS[code] if code >= 0 else None for code in judged.reasons.tolist()],
    ]


def _returns(judged: Judgements) -> list[float | None]:
    return [None if isnan(value) else value for value in judged.actual.tolist()]
