"""The columns that models read, and those that the market's tables have at this moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kurswerk.alerts import Notice, rules_for
from kurswerk.core.errors import DatabaseUnavailableError, StorageError
from kurswerk.core.messages import Message
from kurswerk.features import FeaturePlan
from kurswerk.market import MarketSchema
from kurswerk.observability import get_logger
from kurswerk.serving._active_models import ServedModel
from kurswerk.serving._scope import Scope
from kurswerk.serving.ports import FeedSession

log = get_logger(__name__)


@dataclass(frozen=True)
class MissingColumn:
    """A column that a market's table lacks.

    Attributes
    ----------
    market, table, column
        Where it should be.
    model_ids
        The active models that need it.
    is_key
        Without it no row of the market can be predicted; without the others features are missing.
    """

    market: str
    table: str
    column: str
    model_ids: tuple[int, ...]
    is_key: bool = False


class InputColumns:
    """What a lane can read of its market.

    A collector may drop a column from its table while rows come in. Rows are predicted all the same, with features that
    need the column NaN; what is missing is reported once, by whichever lane notes it first. Without the table or its
    key no row can be taken: then the lane waits.

    Parameters
    ----------
    session
        The lane's own.
    market
        Whose columns they are.

    Attributes
    ----------
    versions
        Columns that can be read, and their versions; None before the first look.
    fault
        Why no row can be taken; None if rows can be.
    """

    def __init__(self, session: FeedSession, market: MarketSchema) -> None:
        self._session, self._market = session, market
        self.versions: Mapping[str, str] | None = None
        self.fault: StorageError | None = None
        self._noted: frozenset[str] | None = None

    def refresh(self) -> bool:
        """Look at the market's tables; return whether they have changed since the last look.

        Raises
        ------
        DatabaseUnavailableError
            If there is no connection.
        """
        before = self.versions, self.fault is None
        try:
            self.versions = self._session.read_columns()
        except DatabaseUnavailableError:
            raise
        except StorageError as error:
            self.fault = error
            self.versions = {}
        else:
            self.fault = None
        return before[0] is not None and before != (self.versions, self.fault is None)

    def absent(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Return those of some columns that cannot be read, in the market's order."""
        versions = self.versions
        return () if versions is None else tuple(c for c in self._market.in_order(columns) if c not in versions)

    def missing(self, models: Sequence[ServedModel]) -> dict[str, list[int]]:
        """Return the columns that models need and the tables lack, each with the ids of these models."""
        found: dict[str, list[int]] = {}
        for served in models:
            needed = () if served.plan is None else required_columns(served.plan, served.scope)
            for column in self.absent(needed):
                found.setdefault(column, []).append(served.model.id)
        return {column: found[column] for column in self._market.in_order(found)}

    def note(self, models: Sequence[ServedModel]) -> None:
        """Note what is missing where it has changed, and alert people to what nobody had noted."""
        if self.fault is not None:
            return
        missing = self.missing(models)
        if frozenset(missing) == self._noted:
            return
        with self._session.transaction() as tx:
            if new := tx.note_missing_columns(list(missing)):
                ids = tuple(sorted({model for column in new for model in missing.get(column, ())}))
                notice = Notice(missing_columns_message(((self._market.table_of(c), c) for c in new), len(ids)), ids)
                tx.enqueue_notice(rules_for(notice, tx.alert_rules()), notice)
                log.warning("input columns are missing", market=self._market.name, columns=list(new), models=ids)
        self._noted = frozenset(missing)


def required_columns(plan: FeaturePlan, scope: Scope) -> tuple[str, ...]:
    """Return the columns that a model cannot do without: its features' inputs, and what its scope is decided by."""
    segment = plan.market.segment
    decides = [] if segment is None or scope.segments is None else [segment.column]
    return tuple(dict.fromkeys((*plan.inputs, *decides)))


def missing_columns_message(columns: Iterable[tuple[str, str]], count: int) -> Message:
    """Return what is to be reported of columns, (table, column) each, that ``count`` active models need."""
    names = [f"{table}.{column}" for table, column in columns]
    return Message("market.columns_missing", columns=names, count=count)
