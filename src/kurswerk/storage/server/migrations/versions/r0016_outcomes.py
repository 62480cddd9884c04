"""What became of predictions: their labels by the market's own rows, and corrections of these."""

from alembic import op

from kurswerk.core.errors import ConflictError
from kurswerk.storage.server._revisions import OWNED_TABLE

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_REASON = (
    "CHECK (reason IN ('ended', 'gap', 'no_value', 'no_row') AND label IS NULL OR reason IS NULL AND label IS NOT NULL)"
)
# The key is that of a prediction. No foreign key on predictions: their partitions are dropped.
_OUTCOMES = f"""
CREATE TABLE outcomes (
    prediction_id bigint NOT NULL,
    "timestamp" timestamptz NOT NULL,
    model_id bigint NOT NULL REFERENCES ml_models (id) ON DELETE CASCADE,
    coin_id varchar(255) NOT NULL,
    label smallint,
    reason varchar(10),
    horizon_end timestamptz NOT NULL,
    prediction smallint NOT NULL,
    probability real NOT NULL,
    in_scope boolean NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT now(),
    corrected_at timestamptz,
    PRIMARY KEY (coin_id, "timestamp", model_id),
    CONSTRAINT outcomes_label_check CHECK (label IN (0, 1)),
    CONSTRAINT outcomes_reason_check {_REASON},
    CONSTRAINT outcomes_prediction_check CHECK (prediction IN (0, 1)),
    CONSTRAINT outcomes_probability_check CHECK (probability BETWEEN 0 AND 1)
)"""
# Labels as they were before a correction.
_CORRECTIONS = f"""
CREATE TABLE outcome_corrections (
    coin_id varchar(255) NOT NULL,
    "timestamp" timestamptz NOT NULL,
    model_id bigint NOT NULL REFERENCES ml_models (id) ON DELETE CASCADE,
    label smallint,
    reason varchar(10),
    judged_at timestamptz NOT NULL,
    corrected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (coin_id, "timestamp", model_id, corrected_at),
    CONSTRAINT outcome_corrections_label_check CHECK (label IN (0, 1)),
    CONSTRAINT outcome_corrections_reason_check {_REASON}
)"""
# Of rows in scope, by the day of the row.
_COUNTS = """
CREATE TABLE outcome_counts (
    model_id bigint NOT NULL REFERENCES ml_models (id) ON DELETE CASCADE,
    day timestamptz NOT NULL,
    known bigint NOT NULL DEFAULT 0,
    positive bigint NOT NULL DEFAULT 0,
    predicted_positive bigint NOT NULL DEFAULT 0,
    true_positive bigint NOT NULL DEFAULT 0,
    unknown bigint NOT NULL DEFAULT 0,
    corrected bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (model_id, day)
)"""
# Predictions that the market had not reached when those after them were due.
_BACKLOG = """
CREATE TABLE outcome_backlog (
    model_id bigint NOT NULL REFERENCES ml_models (id) ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    prediction_id bigint NOT NULL,
    "timestamp" timestamptz NOT NULL,
    coin_id varchar(255) NOT NULL,
    prediction smallint NOT NULL,
    probability real NOT NULL,
    in_scope boolean NOT NULL,
    PRIMARY KEY (model_id, due_at, prediction_id)
)"""
# Up to which id the predictions of a model, and the revisions of a market, have been looked at.
_PROGRESS = """
CREATE TABLE outcome_progress (
    model_id bigint PRIMARY KEY REFERENCES ml_models (id) ON DELETE CASCADE,
    prediction_id bigint NOT NULL
)"""
_REVISIONS = """
CREATE TABLE outcome_revisions (
    market varchar(50) PRIMARY KEY,
    first_prediction_id bigint NOT NULL
)"""
_TABLES = {
    "outcomes": (
        _OUTCOMES,
        'CREATE INDEX outcomes_model_idx ON outcomes (model_id, "timestamp")',
        "CREATE INDEX outcomes_ended_idx ON outcomes (coin_id, horizon_end) WHERE reason = 'ended'",
    ),
    "outcome_corrections": (
        _CORRECTIONS,
        "CREATE INDEX outcome_corrections_model_id_idx ON outcome_corrections (model_id)",
    ),
    "outcome_counts": (_COUNTS,),
    "outcome_backlog": (_BACKLOG,),
    "outcome_progress": (_PROGRESS,),
    "outcome_revisions": (_REVISIONS,),
}


def upgrade() -> None:
    connection = op.get_bind()
    for name, statements in _TABLES.items():
        if connection.exec_driver_sql(f"SELECT to_regclass('{name}') IS NOT NULL").scalar_one():
            raise ConflictError("database.tables_taken", tables=name)
        for statement in statements:
            op.execute(statement)
        op.execute(f"INSERT INTO {OWNED_TABLE} (name) VALUES ('{name}')")  # noqa: S608 - constants  # nosec B608
    for table in _revision_tables():
        op.execute(f"CREATE INDEX ON {table} (first_prediction_id)")


def downgrade() -> None:
    for table in _revision_tables():
        op.execute(f"DROP INDEX IF EXISTS {table}_first_prediction_id_idx")
    for name in reversed(_TABLES):
        op.execute(f"DROP TABLE IF EXISTS {name}")
        op.execute(f"DELETE FROM {OWNED_TABLE} WHERE name = '{name}'")  # noqa: S608 - constants  # nosec B608


def _revision_tables() -> list[str]:
    """Return the tables of revisions of all markets; their names need no quotes."""
    rows = op.get_bind().exec_driver_sql(
        f"SELECT o.name FROM {OWNED_TABLE} o JOIN pg_constraint c ON c.conrelid = to_regclass(o.name)"  # noqa: S608 - constants  # nosec B608
        " WHERE c.conname = 'coin_revisions_kind_check' ORDER BY 1"
    )
    return [row[0] for row in rows]
