"""Reading side of the registry: rows under the names of contracts.md, filtered, sorted and paged in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow, dict_row

from kurswerk.core.errors import InvalidInputError, NotFoundError, UnknownNameError
from kurswerk.registry import Listing, PageRequest
from kurswerk.storage.server import Database

_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class _List:
    """What a list shows and by what it can be sorted and filtered.

    Attributes
    ----------
    columns
        In the answer; None is all.
    sorts
        Each has an index. Those in ``gaps`` can be missing, and missing values come last either way.
    filters
        Name → condition that takes the value as ``%(name)s``.
    """

    table: str
    columns: tuple[str, ...] | None
    sorts: tuple[str, ...]
    filters: Mapping[str, str]
    gaps: frozenset[str] = field(default_factory=frozenset)
    always: str = "true"


# All but what is large: evaluation, certificate, scores per fold, importance and hashes of features.
# fmt: off
_MODEL_COLUMNS = (
    "id", "name", "market", "model_type", "status", "is_active", "alert_threshold", "target_variable",
    "target_operator", "target_value", "future_minutes", "price_change_percent", "target_direction", "horizon_mode",
    "features", "phases", "params", "train_start", "train_end", "training_accuracy", "training_f1",
    "training_precision", "training_recall", "roc_auc", "mcc", "fpr", "fnr", "confusion_matrix", "cv_overfitting_gap",
    "simulated_profit_pct", "description", "artifact_sha256", "error_msg", "error_detail", "created_at",
    "updated_at",
)
# fmt: on
_MODEL_SCORES = ("training_f1", "training_accuracy", "roc_auc", "mcc")

MODELS = _List(
    "ml_models",
    _MODEL_COLUMNS,
    ("id", "name", "created_at", "updated_at", *_MODEL_SCORES),
    {
        "name": "name = %(name)s",
        "status": "status = %(status)s",
        "model_type": "model_type = %(model_type)s",
        "market": "market = %(market)s",
        "is_active": "is_active = %(is_active)s",
    },
    gaps=frozenset(_MODEL_SCORES),
    always="NOT is_deleted",
)
TESTS = _List("ml_test_results", None, ("id",), {"model_id": "model_id = %(model_id)s"})
COMPARISONS = _List(
    "ml_comparisons",
    None,
    ("id",),
    {"model_id": "(model_a_id = %(model_id)s OR model_b_id = %(model_id)s)"},
)
JOBS = _List(
    "ml_jobs",
    None,
    ("id", "created_at", "priority"),
    {
        "status": "status = %(status)s",
        "job_type": "job_type = %(job_type)s",
        "model_id": "result_model_id = %(model_id)s",
    },
)


class PostgresCatalog:
    """Lists and single rows of models, tests, comparisons, jobs and phases. Deleted models are never found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def models(self, page: PageRequest, filters: Mapping[str, Any]) -> Listing:
        """Return models, without what is large; filters: ``name``, ``status``, ``model_type``, ``market``,
        ``is_active``.

        Raises
        ------
        UnknownNameError
            For an unknown filter or column to sort by.
        InvalidInputError
            If ``limit`` or ``offset`` is negative.
        """
        return self._list(MODELS, page, filters)

    def model(self, model_id: int) -> Mapping[str, Any]:
        """Return one model with everything that is kept of it.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        return self._one("ml_models", model_id, "model.not_found", MODELS.always)

    def tests(self, page: PageRequest, filters: Mapping[str, Any]) -> Listing:
        """Return test results; filter: ``model_id``. Errors as for `models`."""
        return self._list(TESTS, page, filters)

    def test(self, test_id: int) -> Mapping[str, Any]:
        """Return one test result; NotFoundError if there is none with this id."""
        return self._one("ml_test_results", test_id, "test.not_found")

    def comparisons(self, page: PageRequest, filters: Mapping[str, Any]) -> Listing:
        """Return comparisons; filter: ``model_id``, on either side. Errors as for `models`."""
        return self._list(COMPARISONS, page, filters)

    def comparison(self, comparison_id: int) -> Mapping[str, Any]:
        """Return one comparison; NotFoundError if there is none with this id."""
        return self._one("ml_comparisons", comparison_id, "comparison.not_found")

    def jobs(self, page: PageRequest, filters: Mapping[str, Any]) -> Listing:
        """Return jobs; filters: ``status``, ``job_type``, ``model_id``. Errors as for `models`."""
        return self._list(JOBS, page, filters)

    def job(self, job_id: int) -> Mapping[str, Any]:
        """Return one job; NotFoundError if there is none with this id."""
        return self._one("ml_jobs", job_id, "job.not_found")

    def phases(self) -> Sequence[Mapping[str, Any]]:
        """Return the phases a coin passes, by id."""
        query = sql.SQL(
            "SELECT id, name, interval_seconds, min_age_minutes, max_age_minutes FROM ref_coin_phases ORDER BY id"
        )
        return self._rows(query, {})

    def _list(self, what: _List, page: PageRequest, filters: Mapping[str, Any]) -> Listing:
        given = {name: value for name, value in filters.items() if value is not None}
        query, count = list_query(what, page, given)
        rows = self._rows(query, {**given, "limit": page.limit, "offset": page.offset})
        if rows:
            return Listing([{k: v for k, v in row.items() if k != "total"} for row in rows], rows[0]["total"])
        return Listing([], self._rows(count, given)[0]["total"] if page.offset else 0)

    def _one(self, table: str, number: int, code: str, always: str = "true") -> DictRow:
        query = sql.SQL("SELECT * FROM {} WHERE id = %(id)s AND {}").format(sql.Identifier(table), sql.SQL(always))
        rows = self._rows(query, {"id": number}) if abs(number) <= _LARGEST_ID else []
        if not rows:
            raise NotFoundError(code, id=number)
        return rows[0]

    def _rows(self, query: sql.SQL | sql.Composed, parameters: Mapping[str, Any]) -> list[DictRow]:
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters).fetchall()


def list_query(what: _List, page: PageRequest, given: Mapping[str, Any]) -> tuple[sql.Composed, sql.Composed]:
    """Return the query for a page, whose rows carry the ``total``, and the one that only counts.

    Raises
    ------
    UnknownNameError
        For an unknown filter or column to sort by.
    InvalidInputError
        If ``limit`` or ``offset`` is negative.
    """
    for name in given:
        if name not in what.filters:
            raise UnknownNameError("list.unknown_filter", name=name, known=what.filters)
    if page.sort not in what.sorts:
        raise UnknownNameError("list.unknown_sort_column", name=page.sort, known=what.sorts)
    if page.limit < 0 or page.offset < 0:
        raise InvalidInputError("list.negative_limit", limit=page.limit, offset=page.offset)
    condition = sql.SQL(" AND ").join(sql.SQL(text) for text in (what.always, *(what.filters[name] for name in given)))
    table = sql.Identifier(what.table)
    columns = sql.SQL(", ").join(map(sql.Identifier, what.columns)) if what.columns else sql.SQL("*")
    count = sql.SQL("SELECT count(*) AS total FROM {} WHERE {}").format(table, condition)
    query = sql.SQL("SELECT {}, ({}) AS total FROM {} WHERE {} ORDER BY {} LIMIT %(limit)s OFFSET %(offset)s").format(
        columns, count, table, condition, _order(what, page)
    )
    return query, count


def _order(what: _List, page: PageRequest) -> sql.Composable:
    way = sql.SQL("DESC" if page.descending else "ASC")
    by_id = sql.SQL("id {}").format(way)
    if page.sort == "id":
        return by_id
    # As the indexes are declared: one that states where missing values go serves one direction only.
    gaps = sql.SQL(" NULLS LAST" if page.sort in what.gaps else "")
    return sql.SQL("{} {}{}, {}").format(sql.Identifier(page.sort), way, gaps, by_id)
