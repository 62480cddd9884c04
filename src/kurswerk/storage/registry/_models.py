"""``ml_models`` and ``ml_artifacts``."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from psycopg import sql
from psycopg.rows import DictRow, dict_row

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import (
    ConflictError,
    ConstraintError,
    InvalidInputError,
    NotFoundError,
    UnknownNameError,
    name_hint,
)
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import parse_timestamp, to_datetime
from kurswerk.market import DEFAULT_MARKET
from kurswerk.registry import MODEL_STATUSES, ModelRecord, NewModel, TrainedVersion
from kurswerk.storage.registry._rows import MODEL_METRICS, insert_row, metrics_of_row, metrics_row, number, record_of
from kurswerk.storage.server import Connection, Database, jsonb, message_of

_NAME_KEY = "ml_models_name_key"
_NO_ERROR: dict[str, Any] = {"error_msg": None, "error_detail": None}
_SORTS_WITHOUT_GAPS = ("id", "name", "created_at", "updated_at")
_SORTS = (*_SORTS_WITHOUT_GAPS, "training_f1", "training_accuracy", "roc_auc", "mcc")
_CHANGEABLE = ("name", "description", "alert_threshold")
_LARGEST_ID = 2**63 - 1


class PostgresModelStore:
    """Models and their artifacts in PostgreSQL; implements `kurswerk.registry.ModelStore`.

    Parameters
    ----------
    alert_threshold
        Probability from which on predictions of models created here are alerts; None leaves it to the table, 0.7.
    """

    def __init__(self, database: Database, *, alert_threshold: float | None = None) -> None:
        self._database = database
        self._given = {} if alert_threshold is None else {"alert_threshold": alert_threshold}

    def create(self, model: NewModel) -> int:
        """Insert a model with status TRAINING and return its id.

        Raises
        ------
        ConflictError
            If the name is taken.
        """
        row = _row_of_spec(model.spec) | self._given
        try:
            with self._database.connection() as connection:
                return insert_row(connection, "ml_models", row)
        except ConstraintError as error:
            if error.constraint == _NAME_KEY:
                raise _name_is_taken(row["name"]) from error
            raise

    def complete(self, model_id: int, version: TrainedVersion) -> None:
        """Store artifact and metrics and turn the model READY, all in one transaction.

        Raises
        ------
        NotFoundError
            If there is no such model.
        ConflictError
            If it is not being trained.
        """
        sha256 = sha256_bytes(version.artifact)
        row = {
            **_row_of_version(version),
            "artifact_sha256": sha256,
            "status": "READY",
            **_NO_ERROR,
        }
        with self._database.connection() as connection:
            connection.execute(
                "INSERT INTO ml_artifacts (sha256, data, size) VALUES (%s, %b, %s) ON CONFLICT (sha256) DO NOTHING",
                [sha256, version.artifact, len(version.artifact)],
            )
            self._change(connection, model_id, row, only_training=True)

    def fail(self, model_id: int, reason: Message) -> None:
        """Turn the model FAILED with a reason.

        Raises
        ------
        NotFoundError, ConflictError
            As for `complete`.
        """
        text = str(reason).replace("\0", "�")
        row = {"status": "FAILED", "error_msg": text, "error_detail": jsonb(reason.as_json())}
        with self._database.connection() as connection:
            self._change(connection, model_id, row, only_training=True)

    def reopen(self, model_id: int) -> None:
        """Turn a FAILED model TRAINING again, a deleted one too.

        Raises
        ------
        ConflictError
            If it is not FAILED, or another model has taken its name.
        """
        try:
            with self._database.connection() as connection:
                done = connection.execute(
                    "UPDATE ml_models SET status = 'TRAINING', is_deleted = false, updated_at = now(),"
                    " error_msg = NULL, error_detail = NULL WHERE id = %s AND status = 'FAILED'",
                    [model_id],
                )
        except ConstraintError as error:
            if error.constraint == _NAME_KEY:
                raise ConflictError("model.name_taken_meanwhile", id=model_id) from error
            raise
        if not done.rowcount:
            raise ConflictError("model.not_failed", id=model_id)

    def get(self, model: int | str) -> ModelRecord:
        """Return a model by id or name; text that is no name but a number is an id.

        Raises
        ------
        NotFoundError
            With the nearest name.
        """
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            found: DictRow | None = None
            if isinstance(model, str) and "\0" not in model:
                found = cursor.execute("SELECT * FROM ml_models WHERE NOT is_deleted AND name = %s", [model]).fetchone()
            number_ = int(model) if isinstance(model, int) or (model.isascii() and model.isdigit()) else None
            if found is None and number_ is not None and abs(number_) <= _LARGEST_ID:
                found = cursor.execute("SELECT * FROM ml_models WHERE NOT is_deleted AND id = %s", [number_]).fetchone()
            return _record(found) if found else self._not_found(connection, model)

    def find(
        self,
        *,
        status: str | None = None,
        model_type: str | None = None,
        market: str | None = None,
        limit: int = 100,
        offset: int = 0,
        sort: str = "id",
        descending: bool = True,
    ) -> Sequence[ModelRecord]:
        """Return models, newest first unless sorted otherwise; missing values come last.

        Raises
        ------
        UnknownNameError
            For an unknown status or column to sort by.
        InvalidInputError
            If ``limit`` or ``offset`` is negative.
        """
        if status is not None and status not in MODEL_STATUSES:
            raise UnknownNameError("list.unknown_status", name=status, known=MODEL_STATUSES)
        if sort not in _SORTS:
            raise UnknownNameError("list.unknown_sort_column", name=sort, known=_SORTS)
        if limit < 0 or offset < 0:
            raise InvalidInputError("list.negative_limit", limit=limit, offset=offset)
        filters = {"status": status, "model_type": model_type, "market": market}
        given = {name: value for name, value in filters.items() if value is not None}
        query = sql.SQL("SELECT * FROM ml_models WHERE {} ORDER BY {} LIMIT %(limit)s OFFSET %(offset)s").format(
            sql.SQL(" AND ").join(
                [sql.SQL("NOT is_deleted")]
                + [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given]
            ),
            _order(sort, descending=descending),
        )
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [_record(row) for row in cursor.execute(query, {**given, "limit": limit, "offset": offset})]

    def alert_thresholds(self) -> Mapping[int, float]:
        """Return id → probability from which on a READY model's prediction is an alert."""
        query = "SELECT id, alert_threshold::float8 FROM ml_models WHERE NOT is_deleted AND status = 'READY'"
        with self._database.connection() as connection:
            return dict(connection.execute(query).fetchall())

    def artifact(self, sha256: str) -> bytes:
        """Return the bytes registered under a hash, unverified.

        Raises
        ------
        NotFoundError
            If there are none.
        """
        with self._database.connection() as connection, connection.cursor(binary=True) as cursor:
            row = cursor.execute("SELECT data FROM ml_artifacts WHERE sha256 = %s", [sha256]).fetchone()
        if row is None:
            raise NotFoundError("artifact.not_found", sha256=sha256[:64])
        return bytes(row[0])

    def set_certificate(self, model_id: int, certificate: Mapping[str, Any]) -> None:
        """Store a certificate as the model's latest.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        with self._database.connection() as connection:
            self._change(connection, model_id, {"certificate": jsonb(certificate)})

    def update(self, model_id: int, changes: Mapping[str, Any]) -> None:
        """Change ``name``, ``description`` or ``alert_threshold``; what is not in ``changes`` stays.

        Raises
        ------
        UnknownNameError
            For anything else.
        NotFoundError
            If there is no such model.
        ConflictError
            If the name is taken.
        """
        for name in changes:
            if name not in _CHANGEABLE:
                raise UnknownNameError("model.unknown_field", name=name, known=_CHANGEABLE)
        try:
            with self._database.connection() as connection:
                self._change(connection, model_id, changes)
        except ConstraintError as error:
            if error.constraint == _NAME_KEY:
                raise _name_is_taken(changes["name"]) from error
            raise

    def delete(self, model_id: int) -> None:
        """Mark a model deleted and inactive; its name is free again.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        with self._database.connection() as connection:
            self._change(connection, model_id, {"is_deleted": True, "is_active": False})

    def _change(
        self, connection: Connection, model_id: int, row: Mapping[str, Any], *, only_training: bool = False
    ) -> None:
        assignments = sql.SQL("").join(
            sql.SQL("{} = {}, ").format(sql.Identifier(name), sql.Placeholder(name)) for name in row
        )
        condition = sql.SQL(" AND status = 'TRAINING'" if only_training else "")
        statement = sql.SQL(
            "UPDATE ml_models SET {}updated_at = now() WHERE id = %(model_id)s AND NOT is_deleted{}"
        ).format(assignments, condition)
        if connection.execute(statement, {**row, "model_id": model_id}).rowcount:
            return
        state = connection.execute(
            "SELECT status FROM ml_models WHERE id = %s AND NOT is_deleted", [model_id]
        ).fetchone()
        if state is None:
            self._not_found(connection, model_id)
        raise ConflictError("model.finished_already", id=model_id, status=state[0])

    @staticmethod
    def _not_found(connection: Connection, model: int | str) -> NoReturn:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM ml_models WHERE NOT is_deleted ORDER BY id DESC LIMIT 1000")
        ]
        raise NotFoundError("model.unknown", name=str(model), hint=name_hint(str(model), names))


def _name_is_taken(name: str) -> ConflictError:
    return ConflictError("model.name_taken", name=name)


def _order(sort: str, *, descending: bool) -> sql.Composable:
    way = sql.SQL("DESC" if descending else "ASC")
    by_id = sql.SQL("id {}").format(way)
    if sort == "id":
        return by_id
    # As the indexes are declared: one that states where missing values go serves one direction only.
    gaps = sql.SQL("" if sort in _SORTS_WITHOUT_GAPS else " NULLS LAST")
    return sql.SQL("{} {}{}, {}").format(sql.Identifier(sort), way, gaps, by_id)


def _row_of_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a specification fills."""
    lacking = [
        name
        for name in ("name", "model_type", "features", "train_start", "train_end", "target_var")
        if not spec.get(name)
    ]
    if lacking:
        raise InvalidInputError("spec.incomplete", fields=lacking)
    return {
        "name": spec["name"],
        "model_type": spec["model_type"],
        "market": spec.get("market") or DEFAULT_MARKET,
        "target_variable": spec["target_var"],
        "target_operator": spec.get("operator"),
        "target_value": spec.get("target_value"),
        "future_minutes": spec.get("future_minutes"),
        "price_change_percent": spec.get("min_percent_change"),
        "target_direction": spec.get("direction"),
        "horizon_mode": spec.get("horizon_mode") or "at",
        "features": jsonb(list(spec["features"])),
        "phases": jsonb(spec.get("phases")),
        "params": jsonb(spec.get("params") or {}),
        "train_start": _moment(spec["train_start"]),
        "train_end": _moment(spec["train_end"]),
        "description": spec.get("description"),
        "spec": jsonb(_plain(spec)),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _moment(value: str | datetime) -> datetime:
    if isinstance(value, str):
        return to_datetime(parse_timestamp(value))
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _row_of_version(version: TrainedVersion) -> dict[str, Any]:
    return {
        "features": jsonb(list(version.features)),
        "feature_hashes": jsonb(version.feature_hashes),
        "dataset_fingerprint": version.dataset_fingerprint,
        "library_versions": jsonb(version.library_versions),
        **metrics_row(version.metrics, MODEL_METRICS),
        "confusion_matrix": jsonb(version.metrics.confusion_matrix),
        "evaluation": jsonb(version.evaluation),
        "cv_scores": jsonb(version.cv_scores),
        "cv_overfitting_gap": number(version.cv_overfitting_gap),
        "feature_importance": jsonb(version.feature_importance),
        "certificate": jsonb(version.certificate),
    }


def _record(row: DictRow) -> ModelRecord:
    return record_of(
        ModelRecord,
        row,
        alert_threshold=float(row["alert_threshold"]),
        features=tuple(row["features"]),
        metrics=metrics_of_row(row, MODEL_METRICS),
        feature_hashes=row["feature_hashes"] or {},
        library_versions=row["library_versions"] or {},
        error_detail=message_of(row["error_detail"]),
    )
