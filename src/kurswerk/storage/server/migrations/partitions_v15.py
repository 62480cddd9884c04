"""What revision 0015 makes of ``predictions``: a table partitioned by the time of the row.

The table that is there becomes the first partition. What takes long about that, an index and checks of all rows, is
prepared beforehand while others write (`kurswerk.storage.server._partitioning`), or made here where it was not.
"""

import psycopg

from kurswerk.storage.server._short_locks import execute_without_queueing
from kurswerk.storage.server.migrations.checks import ratio
from kurswerk.storage.server.migrations.feed_v3 import ID_BLOCK

# Of the table as it was: the key that a partitioned table asks for, and the bound, whose name ends with its day.
KEY = "predictions_id_timestamp_key"
_BOUND = "predictions_before_"
BOUNDS = f"""
SELECT conname::text, right(conname, -{len(_BOUND)}) FROM pg_constraint
WHERE conrelid = 'predictions'::regclass AND starts_with(conname, '{_BOUND}')
ORDER BY convalidated DESC"""  # noqa: S608 - constants  # nosec B608
TIMED_CHECK = "prediction_alerts_timestamp_check"
# Partitions for days after the bound, for services of the version before: those create none.
DAYS_AHEAD = 7

# A week ahead of now and of all rows: those who write have room until then, should an upgrade be left unfinished.
_NEXT_BOUND = """
SELECT to_char(date_trunc('day', greatest(now(), max("timestamp")) AT TIME ZONE 'UTC') + interval '8 days', 'YYYYMMDD')
FROM predictions"""
# A service of the version before stores alerts without the time of their row.
TIMED_ALERTS = (
    'ALTER TABLE prediction_alerts ADD COLUMN IF NOT EXISTS "timestamp" timestamptz',
    """CREATE OR REPLACE FUNCTION kurswerk_alert_timestamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT p."timestamp" INTO NEW."timestamp" FROM predictions p WHERE p.id = NEW.prediction_id;
    RETURN NEW;
END $$""",
    "DROP TRIGGER IF EXISTS prediction_alerts_timestamp ON prediction_alerts",
    """CREATE TRIGGER prediction_alerts_timestamp BEFORE INSERT ON prediction_alerts FOR EACH ROW
WHEN (NEW."timestamp" IS NULL) EXECUTE FUNCTION kurswerk_alert_timestamp()""",
)
FILL_ALERTS = (
    'UPDATE prediction_alerts a SET "timestamp" = p."timestamp" FROM predictions p'
    ' WHERE p.id = a.prediction_id AND a."timestamp" IS NULL'
)
_ALERTS_ARE_TIMED = f"""
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'prediction_alerts'::regclass
    AND conname = '{TIMED_CHECK}' AND convalidated)"""  # noqa: S608 - a constant  # nosec B608
# In the order in which a lane takes them, so that neither waits for what the other holds.
_LOCKS = (
    "LOCK TABLE ml_models IN ACCESS EXCLUSIVE MODE",
    f"ALTER SEQUENCE predictions_id_seq INCREMENT BY {ID_BLOCK}",
    "LOCK TABLE predictions, prediction_alerts IN ACCESS EXCLUSIVE MODE",
)
# Indexes whose names the partitioned table gets.
_INDEXES = ("predictions_model_coin_timestamp_key", "predictions_created_at_idx", "predictions_model_idx")
_CONSTRAINTS = (
    'CONSTRAINT predictions_model_coin_timestamp_key UNIQUE (coin_id, "timestamp", model_id)',
    "CONSTRAINT predictions_prediction_check CHECK (prediction IN (0, 1))",
    ratio("predictions", "probability"),
    "CONSTRAINT predictions_model_id_fkey FOREIGN KEY (model_id) REFERENCES ml_models (id) ON DELETE CASCADE",
)
_MORE_INDEXES = (
    "CREATE INDEX predictions_created_at_idx ON predictions USING brin (created_at)",
    "CREATE INDEX predictions_model_idx ON predictions (model_id, id)",
)
_GRANTS = """
SELECT format('GRANT %%s ON predictions TO %%s%%s', privilege_type,
    CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class c, aclexplode(c.relacl) WHERE c.oid = to_regclass(%s) AND grantee <> c.relowner"""
_DETACHED = r"SELECT relname::text FROM pg_class WHERE relname LIKE 'predictions\_detached\_%' AND relkind = 'r'"


def partition(connection: psycopg.Connection) -> None:
    """Put a partitioned table in the place of ``predictions``, and that one into it if it holds any rows."""
    execute = connection.execute
    execute_without_queueing(connection, _LOCKS)
    if not _one(connection, _ALERTS_ARE_TIMED):
        for statement in (*TIMED_ALERTS, FILL_ALERTS):
            execute(statement.encode())
    # Where a check holds that already, no row is looked at.
    execute('ALTER TABLE prediction_alerts ALTER COLUMN "timestamp" SET NOT NULL')
    execute(f"ALTER TABLE prediction_alerts DROP CONSTRAINT IF EXISTS {TIMED_CHECK}".encode())
    execute("ALTER TABLE prediction_alerts DROP CONSTRAINT IF EXISTS prediction_alerts_prediction_id_fkey")
    empty = _one(connection, "SELECT NOT EXISTS (SELECT FROM predictions)")
    bound = None if empty else _bound(connection)
    old = f"predictions_until_{bound or 'now'}"
    first_id = _next_id(connection)
    execute("ALTER TABLE predictions ALTER COLUMN id DROP IDENTITY")
    execute(f"ALTER TABLE predictions RENAME TO {old}".encode())
    for index in _INDEXES:
        execute(f"ALTER INDEX {index} RENAME TO {old}{index.removeprefix('predictions')}".encode())
    _replace_key(connection, old)
    for statement in _creation(old, first_id):
        execute(statement.encode())
    for (grant,) in execute(_GRANTS.encode(), [old]).fetchall():
        execute(grant.encode())
    if bound is None:
        execute(f"DROP TABLE {old}".encode())
    else:
        _attach(connection, old, bound)


def key_is_valid(connection: psycopg.Connection) -> bool | None:
    """Return whether the index (id, timestamp) is there and complete; None where it is not there."""
    row = connection.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [KEY]).fetchone()
    return row[0] if row else None


def next_bound(connection: psycopg.Connection) -> str:
    """Return the day before which all rows of ``predictions`` lie, as YYYYMMDD, with room for a week."""
    return _one(connection, _NEXT_BOUND)


def add_bound(connection: psycopg.Connection, day: str, *, validated: bool = True) -> str:
    """Hold rows to a bound, those that come from now on alone unless ``validated``; return the check's name."""
    name = f"{_BOUND}{day}"
    connection.execute(
        f"ALTER TABLE predictions ADD CONSTRAINT {name} CHECK (\"timestamp\" < '{day} 00:00:00+00')"
        f"{'' if validated else ' NOT VALID'}".encode()
    )
    return name


def _bound(connection: psycopg.Connection) -> str:
    """Return the day of the check that holds all rows, which is made here where it was not prepared."""
    rows = connection.execute(BOUNDS.encode()).fetchall()
    for name, _ in rows[1:]:
        connection.execute(f"ALTER TABLE predictions DROP CONSTRAINT {name}".encode())
    for name, day in rows[:1]:
        try:
            with connection.transaction():
                connection.execute(f"ALTER TABLE predictions VALIDATE CONSTRAINT {name}".encode())
        except psycopg.errors.CheckViolation:
            connection.execute(f"ALTER TABLE predictions DROP CONSTRAINT {name}".encode())
        else:
            return str(day)
    day = next_bound(connection)
    add_bound(connection, day)
    return day


def unpartition(connection: psycopg.Connection) -> None:
    """Put a plain table with all rows in the place of the partitioned one."""
    execute = connection.execute
    execute_without_queueing(
        connection, ("LOCK TABLE ml_models, predictions, prediction_alerts IN ACCESS EXCLUSIVE MODE",)
    )
    first_id = _next_id(connection)
    execute("ALTER TABLE predictions ALTER COLUMN id DROP DEFAULT")
    execute("CREATE TABLE predictions_plain (LIKE predictions INCLUDING DEFAULTS INCLUDING STORAGE)")
    detached = [row[0] for row in execute(_DETACHED.encode()).fetchall()]
    for name in ("predictions", *detached):
        execute(f"INSERT INTO predictions_plain SELECT * FROM {name}".encode())  # noqa: S608 - tables of ours  # nosec B608
        execute(f"DROP TABLE {name}".encode())
    execute("ALTER TABLE predictions_plain RENAME TO predictions")
    execute(
        "ALTER TABLE predictions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY"
        f" (SEQUENCE NAME predictions_id_seq INCREMENT BY {ID_BLOCK} START WITH {first_id})".encode()
    )
    execute("ALTER TABLE predictions ADD PRIMARY KEY (id)")
    for constraint in _CONSTRAINTS:
        execute(f"ALTER TABLE predictions ADD {constraint}".encode())
    for statement in _MORE_INDEXES:
        execute(statement.encode())
    execute("DROP TRIGGER prediction_alerts_timestamp ON prediction_alerts")
    execute("DROP FUNCTION kurswerk_alert_timestamp()")
    execute('ALTER TABLE prediction_alerts DROP COLUMN "timestamp"')
    execute("DELETE FROM prediction_alerts a WHERE NOT EXISTS (SELECT FROM predictions p WHERE p.id = a.prediction_id)")
    execute(
        "ALTER TABLE prediction_alerts ADD CONSTRAINT prediction_alerts_prediction_id_fkey"
        " FOREIGN KEY (prediction_id) REFERENCES predictions (id) ON DELETE CASCADE"
    )


def _replace_key(connection: psycopg.Connection, old: str) -> None:
    prepared = key_is_valid(connection)
    key = f"USING INDEX {KEY}" if prepared else '(id, "timestamp")'
    if not prepared:
        connection.execute(f"DROP INDEX IF EXISTS {KEY}".encode())
    connection.execute(
        f"ALTER TABLE {old} DROP CONSTRAINT predictions_pkey, ADD CONSTRAINT {old}_pkey PRIMARY KEY {key}".encode()
    )


def _creation(old: str, first_id: int) -> tuple[str, ...]:
    return (
        f"CREATE SEQUENCE predictions_id_seq INCREMENT BY {ID_BLOCK} START WITH {first_id}",
        f"""CREATE TABLE predictions (LIKE {old} INCLUDING DEFAULTS INCLUDING STORAGE,
CONSTRAINT predictions_pkey PRIMARY KEY (id, "timestamp"), {", ".join(_CONSTRAINTS)})
PARTITION BY RANGE ("timestamp")""",
        "ALTER SEQUENCE predictions_id_seq OWNED BY predictions.id",
        "ALTER TABLE predictions ALTER COLUMN id SET DEFAULT nextval('predictions_id_seq')",
        *_MORE_INDEXES,
    )


def _attach(connection: psycopg.Connection, old: str, bound: str) -> None:
    # The check spares a look at every row.
    connection.execute(
        f"ALTER TABLE predictions ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ('{bound} 00:00:00+00')".encode()
    )
    connection.execute(f"ALTER TABLE {old} DROP CONSTRAINT {_BOUND}{bound}".encode())
    days = connection.execute(
        "SELECT to_char(day, 'YYYYMMDD'), to_char(day + interval '1 day', 'YYYYMMDD') FROM generate_series("
        "%s::timestamp, greatest(%s::timestamp, date_trunc('day', now() AT TIME ZONE 'UTC')) + %s * interval '1 day',"
        " interval '1 day') AS day",
        [bound, bound, DAYS_AHEAD],
    ).fetchall()
    for day, following in days:
        connection.execute(
            f"CREATE TABLE predictions_{day} PARTITION OF predictions"
            f" FOR VALUES FROM ('{day} 00:00:00+00') TO ('{following} 00:00:00+00')".encode()
        )


def _next_id(connection: psycopg.Connection) -> int:
    last, called = connection.execute("SELECT last_value, is_called FROM predictions_id_seq").fetchone() or (1, False)
    return int(last) + ID_BLOCK if called else int(last)


def _one(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else ""
