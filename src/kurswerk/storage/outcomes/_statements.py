"""The statements of a transaction of outcomes; moments travel as microseconds since 1970."""

from collections.abc import Sequence

from psycopg import sql

from kurswerk.market import InstrumentAttribute
from kurswerk.storage.markets import MarketTable

MODELS = (
    "SELECT m.id, m.spec FROM ml_models m WHERE m.market = %s AND NOT m.is_deleted AND m.status = 'READY'"
    " AND EXISTS (SELECT FROM predictions p WHERE p.model_id = m.id) ORDER BY m.id"
)
# timestamp, id, model, predicted class, probability, in scope, overdue
PREDICTION_FIELDS = 7
_FIELDS = sql.SQL(
    'p.coin_id, p."timestamp", p.{id}, p.model_id, p.prediction::bigint, {probability}::double precision,'
    " p.in_scope::int::bigint, {overdue}::int::bigint"
)
_UNJUDGED = sql.SQL(
    "SELECT {fields} FROM predictions p WHERE p.model_id = {model} AND p.id <= {last} AND p.id >"
    " coalesce((SELECT prediction_id FROM outcome_progress WHERE model_id = {model}), 0) ORDER BY p.id LIMIT {limit}"
)
_WAITING = sql.SQL(
    "WITH due AS MATERIALIZED (SELECT ctid AS place FROM outcome_backlog WHERE model_id = {model}"
    " AND due_at <= timestamptz 'epoch' + {until} * interval '1 microsecond' ORDER BY due_at LIMIT {limit}),"
    " p AS (DELETE FROM outcome_backlog b USING due WHERE b.ctid = due.place RETURNING b.*)"
    " SELECT {fields} FROM p"
)
PUT_OFF = """
INSERT INTO outcome_backlog
    (coin_id, "timestamp", prediction_id, model_id, prediction, probability, in_scope, due_at)
SELECT coin, timestamptz 'epoch' + us * interval '1 microsecond', id, model, predicted, probability, in_scope,
    timestamptz 'epoch' + due_us * interval '1 microsecond'
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::real[], %s::boolean[],
    %s::bigint[]) AS r(coin, us, id, model, predicted, probability, in_scope, due_us)
ON CONFLICT DO NOTHING"""
ADVANCE = """
INSERT INTO outcome_progress AS p (model_id, prediction_id) VALUES (%s, %s)
ON CONFLICT (model_id) DO UPDATE SET prediction_id = greatest(p.prediction_id, excluded.prediction_id)"""
# Counts are of rows in scope, as those of predictions are.
STORE = """
WITH new AS (
    INSERT INTO outcomes (coin_id, "timestamp", prediction_id, model_id, prediction, probability, in_scope,
        label, reason, horizon_end, actual_return)
    SELECT coin, timestamptz 'epoch' + us * interval '1 microsecond', id, model, predicted, probability, in_scope,
        label, reason, timestamptz 'epoch' + end_us * interval '1 microsecond', actual
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::real[], %s::boolean[],
        %s::smallint[], %s::text[], %s::bigint[], %s::real[])
        AS r(coin, us, id, model, predicted, probability, in_scope, label, reason, end_us, actual)
    ON CONFLICT DO NOTHING RETURNING model_id, "timestamp", label, prediction, in_scope
), counted AS (
    INSERT INTO outcome_counts AS c (model_id, day, known, positive, predicted_positive, true_positive, unknown)
    SELECT model_id, date_trunc('day', "timestamp", 'UTC'), count(label), coalesce(sum(label), 0),
        count(label) FILTER (WHERE prediction = 1), count(*) FILTER (WHERE prediction = 1 AND label = 1),
        count(*) - count(label)
    FROM new WHERE in_scope GROUP BY 1, 2
    ON CONFLICT (model_id, day) DO UPDATE SET known = c.known + excluded.known,
        positive = c.positive + excluded.positive,
        predicted_positive = c.predicted_positive + excluded.predicted_positive,
        true_positive = c.true_positive + excluded.true_positive, unknown = c.unknown + excluded.unknown
)
SELECT count(*) FROM new"""
CORRECT = """
WITH changed AS (
    SELECT o.*, r.label AS new_label, r.reason AS new_reason,
        timestamptz 'epoch' + r.end_us * interval '1 microsecond' AS new_end, r.actual AS new_return
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::smallint[], %s::text[], %s::bigint[], %s::real[])
        AS r(coin, us, model, label, reason, end_us, actual)
    JOIN outcomes o ON o.coin_id = r.coin AND o.model_id = r.model
        AND o."timestamp" = timestamptz 'epoch' + r.us * interval '1 microsecond'
    WHERE (o.label, o.reason, o.actual_return) IS DISTINCT FROM (r.label, r.reason, r.actual)
), kept AS (
    INSERT INTO outcome_corrections (coin_id, "timestamp", model_id, label, reason, judged_at)
    SELECT coin_id, "timestamp", model_id, label, reason, coalesce(corrected_at, judged_at) FROM changed
), counted AS (
    INSERT INTO outcome_counts AS c
        (model_id, day, known, positive, predicted_positive, true_positive, unknown, corrected)
    SELECT model_id, date_trunc('day', "timestamp", 'UTC'), count(new_label) - count(label),
        coalesce(sum(new_label), 0) - coalesce(sum(label), 0),
        count(new_label) FILTER (WHERE prediction = 1) - count(label) FILTER (WHERE prediction = 1),
        count(*) FILTER (WHERE prediction = 1 AND new_label = 1) - count(*) FILTER (WHERE prediction = 1 AND label = 1),
        count(label) - count(new_label), count(*)
    FROM changed WHERE in_scope GROUP BY 1, 2
    ON CONFLICT (model_id, day) DO UPDATE SET known = c.known + excluded.known,
        positive = c.positive + excluded.positive,
        predicted_positive = c.predicted_positive + excluded.predicted_positive,
        true_positive = c.true_positive + excluded.true_positive, unknown = c.unknown + excluded.unknown,
        corrected = c.corrected + excluded.corrected
)
UPDATE outcomes o SET label = c.new_label, reason = c.new_reason, horizon_end = c.new_end, corrected_at = now(),
    actual_return = c.new_return
FROM changed c WHERE o.coin_id = c.coin_id AND o."timestamp" = c."timestamp" AND o.model_id = c.model_id"""
_REVISIONS = sql.SQL(
    "SELECT first_prediction_id, coin_id,"
    " ARRAY(SELECT (extract(epoch FROM t) * 1000000)::bigint FROM unnest(timestamps) AS t)"
    " FROM {} WHERE kind <> 'joined' AND first_prediction_id <= %s AND first_prediction_id >"
    " coalesce((SELECT first_prediction_id FROM outcome_revisions WHERE market = %s), 0)"
    " ORDER BY first_prediction_id FETCH FIRST %s ROWS WITH TIES"
)
ADVANCE_REVISIONS = """
INSERT INTO outcome_revisions AS r (market, first_prediction_id) VALUES (%s, %s)
ON CONFLICT (market) DO UPDATE
SET first_prediction_id = greatest(r.first_prediction_id, excluded.first_prediction_id)"""
# timestamp, model, label, reason, return
OUTCOME_FIELDS = 5
_OUTCOME = sql.SQL(
    'o.coin_id, o."timestamp", o.model_id, coalesce(o.label, -1)::bigint,'
    " (coalesce(array_position({reasons}::text[], o.reason::text), 0) - 1)::bigint,"
    " o.actual_return::double precision"
)
_OUTCOMES_OF = sql.SQL(
    "SELECT DISTINCT {fields} FROM unnest({coins}::text[], {models}::bigint[], {first}::bigint[], {last}::bigint[],"
    " {previous}::boolean[]) AS r(coin, model, first_us, last_us, previous)"
    " CROSS JOIN LATERAL (SELECT timestamptz 'epoch' + r.first_us * interval '1 microsecond' AS first,"
    " timestamptz 'epoch' + r.last_us * interval '1 microsecond' AS last) t"
    " JOIN outcomes o ON o.coin_id = r.coin AND o.model_id = r.model"
    ' AND o."timestamp" <= t.last AND o."timestamp" >= CASE WHEN r.previous THEN coalesce((SELECT max("timestamp")'
    ' FROM outcomes e WHERE e.coin_id = r.coin AND e.model_id = r.model AND e."timestamp" < t.first), t.first)'
    " ELSE t.first END"
)
# One step down the index per instrument, to the earliest horizon that had not been reached.
_RESUMED = sql.SQL(
    "WITH RECURSIVE step AS ((SELECT {first} FROM outcomes o WHERE {ours} ORDER BY {first} LIMIT 1) UNION ALL"
    " SELECT n.* FROM step CROSS JOIN LATERAL (SELECT {first} FROM outcomes o WHERE {ours}"
    " AND o.coin_id > step.coin_id ORDER BY {first} LIMIT 1) n),"
    " resumed AS MATERIALIZED (SELECT s.coin_id FROM step s WHERE EXISTS (SELECT FROM {table} m"
    " WHERE m.{key} = s.coin_id AND m.{time} >= {end} AND {readable}) LIMIT {limit})"
    " SELECT {fields} FROM resumed s JOIN outcomes o ON o.coin_id = s.coin_id WHERE {ours}"
)
# How far back the newest row is looked for, from the shortest; the last is everything.
NEWEST_WITHIN: tuple[str | None, ...] = ("1 hour", "1 day", "30 days", None)


def newest(table: MarketTable, known_us: int | None, within: str | None) -> sql.Composed:
    """Return the query of the newest row up to now that is newer than a known one, or within an interval."""
    parts = [table.present(), sql.SQL("{} <= {}").format(table.timestamp, table.as_stored(sql.SQL("now()")))]
    bound: sql.Composable | None = None
    if known_us is not None:
        bound = sql.SQL("(timestamptz 'epoch' + {} * interval '1 microsecond')").format(sql.Literal(known_us))
    elif within is not None:
        bound = sql.SQL("(now() - {}::interval)").format(sql.Literal(within))
    if bound is not None:
        parts.append(sql.SQL("{} > {}").format(table.timestamp, table.as_stored(bound)))
    return sql.SQL("SELECT (extract(epoch FROM max({})) * 1000000)::bigint FROM {} WHERE {}").format(
        table.moment(), table.name, sql.SQL(" AND ").join(parts)
    )


def unjudged(model_id: int, last_id: int, limit: int, overdue_us: int) -> sql.Composed:
    """Return the query of a model's next predictions, by id."""
    fields = _FIELDS.format(
        id=sql.Identifier("id"),
        probability=sql.SQL("coalesce(p.score, p.probability)"),
        overdue=sql.SQL("(p.created_at < now() - {} * interval '1 microsecond')").format(sql.Literal(overdue_us)),
    )
    return _UNJUDGED.format(
        fields=fields, model=sql.Literal(model_id), last=sql.Literal(last_id), limit=sql.Literal(limit)
    )


def waiting(model_id: int, until_us: int, limit: int) -> sql.Composed:
    """Return the statement that takes predictions which were put off and are due."""
    fields = _FIELDS.format(
        id=sql.Identifier("prediction_id"), probability=sql.SQL("p.probability"), overdue=sql.SQL("true")
    )
    return _WAITING.format(
        fields=fields, model=sql.Literal(model_id), until=sql.Literal(until_us), limit=sql.Literal(limit)
    )


def attribute(of: InstrumentAttribute) -> sql.Composed:
    """Return the query of an attribute of some instruments, such as their exchange."""
    return sql.SQL(
        "SELECT {key}::text, {column}::text FROM {table} WHERE {column} IS NOT NULL AND {key} = ANY (%s)"
    ).format(key=sql.Identifier(of.key), column=sql.Identifier(of.column), table=sql.Identifier(of.table))


def revisions(table: MarketTable) -> sql.Composed:
    """Return the query of revisions of a market."""
    return _REVISIONS.format(sql.Identifier(table.market.feed.revisions))


def outcomes_of(
    coins: Sequence[str],
    models: Sequence[int],
    first_us: Sequence[int],
    last_us: Sequence[int],
    previous: Sequence[bool],
    reasons: Sequence[str],
) -> sql.Composed:
    """Return the query of outcomes by instrument, model and period."""
    return _OUTCOMES_OF.format(
        fields=_outcome(reasons),
        coins=sql.Literal(list(coins)),
        models=sql.Literal(list(models)),
        first=sql.Literal(list(first_us)),
        last=sql.Literal(list(last_us)),
        previous=sql.Literal(list(previous)),
    )


def resumed(table: MarketTable, models: Sequence[int], limit: int, reasons: Sequence[str]) -> sql.Composed:
    """Return the query of outcomes of instruments that trade again."""
    return _RESUMED.format(
        first=sql.SQL("o.coin_id, o.horizon_end"),
        ours=sql.SQL("o.reason = 'ended' AND o.model_id = ANY ({}::bigint[])").format(sql.Literal(list(models))),
        table=table.name,
        key=table.key,
        time=table.timestamp,
        readable=table.readable(sql.Identifier("m", table.market.timestamp)),
        end=table.as_stored(sql.SQL("s.horizon_end")),
        limit=sql.Literal(limit),
        fields=_outcome(reasons),
    )


def _outcome(reasons: Sequence[str]) -> sql.Composed:
    return _OUTCOME.format(reasons=sql.Literal(list(reasons)))
