"""Alert rules, and messages until they have arrived."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from kurswerk.alerts import (
    CLAIM_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    AlertRule,
    ChannelKind,
    Delivery,
    MessageModel,
    Notice,
    Notification,
    RowContext,
    RowContextSource,
    public_target,
    without_repeats,
)
from kurswerk.core.errors import ConflictError, ConstraintError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.storage.server import Database, jsonb, message_of, stored_message

_RULE_FIELDS = (
    "name", "model_ids", "least_agreeing", "min_probability", "cooldown_seconds", "quiet_start", "quiet_end", "channel",
    "target", "secret",
)  # fmt: skip
_SHOWN = sql.SQL(
    "id, name, model_ids, least_agreeing, min_probability::float8 AS min_probability, cooldown_seconds, quiet_start,"
    " quiet_end, channel, target, secret IS NOT NULL AS signed, is_active, created_at"
)
_NOW = """(SELECT (now() AT TIME ZONE 'UTC')::time AS clock, (now() AT TIME ZONE 'UTC')::date AS today) t"""
_QUIET = """coalesce(CASE WHEN r.quiet_start <= r.quiet_end THEN t.clock >= r.quiet_start AND t.clock < r.quiet_end
    ELSE t.clock >= r.quiet_start OR t.clock < r.quiet_end END, false)"""
_QUIET_ENDS = """(t.today + r.quiet_end + CASE WHEN r.quiet_end <= t.clock THEN interval '1 day' ELSE '0' END)
    AT TIME ZONE 'UTC'"""
_SENT_BEFORE = """
SELECT o.rule_id, o.coin_id, (extract(epoch FROM o."timestamp") * 1000000)::bigint, o.model_ids
FROM (SELECT rule, coin, timestamptz 'epoch' + min(us) * interval '1 microsecond' AS first,
             timestamptz 'epoch' + max(us) * interval '1 microsecond' AS last
      FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS given(rule, coin, us) GROUP BY rule, coin) d
JOIN alert_rules r ON r.id = d.rule
JOIN alert_deliveries o ON o.rule_id = d.rule AND o.coin_id = d.coin
    AND o."timestamp" > d.first - r.cooldown_seconds * interval '1 second'
    AND o."timestamp" < d.last + r.cooldown_seconds * interval '1 second'
WHERE r.cooldown_seconds > 0"""
# Within the quiet hours (UTC) a message waits for their end.
_ADD = f"""
INSERT INTO alert_deliveries (rule_id, coin_id, "timestamp", model_ids, probability, due_at)
SELECT d.rule, d.coin, d.moment, d.models::bigint[], d.probability,
    CASE WHEN {_QUIET}
         THEN {_QUIET_ENDS}
         ELSE now() END
FROM (SELECT rule, coin, timestamptz 'epoch' + us * interval '1 microsecond' AS moment, models, probability
      FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::float8[])
      AS given(rule, coin, us, models, probability)) d
JOIN alert_rules r ON r.id = d.rule
CROSS JOIN {_NOW}
ORDER BY d.moment
ON CONFLICT DO NOTHING"""  # noqa: S608 - constants  # nosec B608
# Rules that send to one place send it once.
_ADD_NOTICE = f"""
INSERT INTO alert_deliveries (rule_id, "timestamp", model_ids, notice, due_at)
SELECT DISTINCT ON (r.channel, r.target) r.id, now(), %(models)s::bigint[], %(notice)s::jsonb,
    CASE WHEN {_QUIET} THEN {_QUIET_ENDS} ELSE now() END
FROM alert_rules r CROSS JOIN {_NOW}
WHERE r.id = ANY (%(rules)s)
ORDER BY r.channel, r.target, r.id"""  # noqa: S608 - constants  # nosec B608
_CLAIM = """
UPDATE alert_deliveries d SET due_at = now() + %(pause)s * interval '1 second' FROM alert_rules r
WHERE r.id = d.rule_id AND d.id IN (
    SELECT id FROM alert_deliveries WHERE status = 'PENDING' AND due_at <= now() ORDER BY due_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED)
RETURNING d.id, r.name AS rule, r.channel, r.target, r.secret,
    CASE WHEN r.previous_secret_until > now() THEN r.previous_secret END AS previous_secret,
    d.coin_id, d."timestamp", d.model_ids,
    d.probability::float8 AS probability, d.attempts, d.notice, d.rule_id,
    (extract(epoch FROM d."timestamp") * 1000000)::bigint AS us"""
# For the secret of a setting: a day to give the receiver the new one.
_SECRET_GRACE_S = 86_400.0
# The same one again changes nothing: of a secret that a service is given at every start the one before is kept.
_WITH_ANOTHER = """
UPDATE alert_rules SET previous_secret = CASE WHEN %(grace)s > 0 THEN secret END,
    previous_secret_until = CASE WHEN %(grace)s > 0 AND secret IS NOT NULL
        THEN now() + %(grace)s * interval '1 second' END,
    secret = %(secret)s
WHERE (name = %(name)s OR id = %(id)s) AND secret IS DISTINCT FROM %(secret)s"""
# The models of messages; a rule's own probability counts before the threshold that the alert was raised with.
_MESSAGE_MODELS = """
SELECT d.id, m.market, m.id, m.name, p.probability::float8,
    coalesce(r.min_probability, a.threshold, m.alert_threshold)::float8
FROM alert_deliveries d JOIN alert_rules r ON r.id = d.rule_id JOIN ml_models m ON m.id = ANY (d.model_ids)
LEFT JOIN predictions p ON p.coin_id = d.coin_id AND p."timestamp" = d."timestamp" AND p.model_id = m.id
LEFT JOIN prediction_alerts a ON a.prediction_id = p.id AND a."timestamp" = p."timestamp"
WHERE d.id = ANY (%s) ORDER BY d.id, array_position(d.model_ids, m.id)"""
# No pause is longer than this, unless the clock was set back since.
_RELEASE = f"""
UPDATE alert_deliveries d SET due_at = now() FROM alert_rules r CROSS JOIN {_NOW}
WHERE r.id = d.rule_id AND d.status = 'PENDING' AND NOT {_QUIET} AND d.due_at > now() + interval '1 second'
    * greatest(%(claim)s, least(%(longest)s, %(first)s * power(2, d.attempts - 1)))"""  # noqa: S608 - constants  # nosec B608
_SENT = """
WITH done AS (UPDATE alert_deliveries SET status = 'SENT', sent_at = now(), attempts = attempts + 1, error = NULL,
        error_detail = NULL
    WHERE id = ANY (%s) RETURNING coin_id, "timestamp", model_ids)
UPDATE prediction_alerts a SET alert_sent = true FROM done d JOIN predictions p
    ON p.coin_id = d.coin_id AND p."timestamp" = d."timestamp" AND p.model_id = ANY (d.model_ids)
WHERE a."timestamp" = p."timestamp" AND a.prediction_id = p.id"""


def rules_in_force(connection: psycopg.Connection) -> list[AlertRule]:
    """Return the rules that new predictions are held against."""
    rows = connection.execute(
        "SELECT id, model_ids, least_agreeing, min_probability::float8 FROM alert_rules WHERE is_active ORDER BY id"
    ).fetchall()
    return [AlertRule(row[0], tuple(row[1]), *row[2:]) for row in rows]


def add_deliveries(connection: psycopg.Connection, notifications: Sequence[Notification]) -> None:
    """Store messages to send, unless the rule's cool-down covers all of their models."""
    due = _without_repeats(connection, notifications)
    if not due:
        return
    connection.execute(
        _ADD,
        [
            [one.rule_id for one in due],
            [one.instrument for one in due],
            [one.timestamp_us for one in due],
            ["{" + ",".join(map(str, one.model_ids)) + "}" for one in due],
            [one.probability for one in due],
        ],
    )


def add_notice(connection: psycopg.Connection, rule_ids: Sequence[int], notice: Notice) -> None:
    """Store a notice to send by some rules, whatever their cool-downs; their quiet hours are kept."""
    parameters = {
        "rules": list(rule_ids),
        "models": list(notice.model_ids),
        "notice": jsonb(notice.message.as_json()),
    }
    connection.execute(_ADD_NOTICE, parameters)


def _without_repeats(connection: psycopg.Connection, notifications: Sequence[Notification]) -> list[Notification]:
    """Return the notifications that are outside of their rules' cool-downs."""
    rows = connection.execute(
        "SELECT id, cooldown_seconds FROM alert_rules WHERE id = ANY (%s)",
        [list({one.rule_id for one in notifications})],
    ).fetchall()
    cooldown_us = {rule: 1_000_000 * seconds for rule, seconds in rows}
    cooled = [one for one in notifications if cooldown_us.get(one.rule_id)]
    if not cooled:
        return list(notifications)
    sent: dict[tuple[int, str], list[tuple[int, Sequence[int]]]] = {}
    columns = zip(*((one.rule_id, one.instrument, one.timestamp_us) for one in cooled), strict=True)
    for rule, instrument, moment, models in connection.execute(_SENT_BEFORE, [list(column) for column in columns]):
        sent.setdefault((rule, instrument), []).append((moment, models))
    return without_repeats(notifications, cooldown_us, sent)


class PostgresAlertStore:
    """Rules and deliveries; implements `kurswerk.alerts.AlertStore` and `kurswerk.alerts.DeliveryStore`.

    Parameters
    ----------
    channels
        The registered channels by name; they decide how much of a target is shown. Of others only the host is.
    rows
        Reads price and phase of the rows that messages are about; without it messages have none.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, ChannelKind] | None = None,
        rows: RowContextSource | None = None,
    ) -> None:
        self._database, self._channels, self._row_source = database, channels or {}, rows

    def rules(self) -> Sequence[Mapping[str, Any]]:
        """Return all rules without their secrets, and of their targets what may be shown."""
        return self._shown(sql.SQL("SELECT {} FROM alert_rules ORDER BY id").format(_SHOWN))

    def create_rule(self, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        """Store a rule and return it.

        Raises
        ------
        ConflictError
            If the name is taken.
        """
        names = [name for name in _RULE_FIELDS if rule.get(name) is not None]
        statement = sql.SQL("INSERT INTO alert_rules ({}) VALUES ({}) RETURNING {}").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(map(sql.Placeholder, names)), _SHOWN
        )
        try:
            return self._shown(statement, rule)[0]
        except ConstraintError as error:
            if error.constraint == "alert_rules_name_key":
                raise ConflictError("alert_rule.name_taken", name=rule["name"]) from error
            raise

    def keep_rule(self, name: str, channel: str, target: str | None, secret: str | None) -> None:
        """Have one rule of this name that sends every alert to ``target``; None switches it off, its history stays."""
        with self._database.transaction() as connection:
            if target is not None:
                connection.execute(
                    "INSERT INTO alert_rules (name, model_ids, channel, target, secret)"
                    " VALUES (%s, '{}', %s, %s, %s)"
                    " ON CONFLICT (name) DO UPDATE SET model_ids = '{}', least_agreeing = 1, min_probability = NULL,"
                    " cooldown_seconds = 0, quiet_start = NULL, quiet_end = NULL, channel = excluded.channel,"
                    " target = excluded.target, is_active = true",
                    [name, channel, target, secret],
                )
                connection.execute(
                    _WITH_ANOTHER, {"name": name, "id": None, "secret": secret, "grace": _SECRET_GRACE_S}
                )
                return
            row = connection.execute("SELECT id FROM alert_rules WHERE name = %s AND is_active", [name]).fetchone()
            if row:
                self.switch_rule(row[0], active=False)

    def replace_secret(self, rule_id: int, secret: str, grace_s: float) -> Mapping[str, Any]:
        """Give a rule another secret and return the rule; the one before is in use beside it for so many seconds.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        with self._database.transaction() as connection:
            connection.execute(_WITH_ANOTHER, {"name": None, "id": rule_id, "secret": secret, "grace": grace_s})
            rows = self._shown(sql.SQL("SELECT {} FROM alert_rules WHERE id = %(id)s").format(_SHOWN), {"id": rule_id})
        if not rows:
            raise NotFoundError("alert_rule.not_found", id=rule_id)
        return rows[0]

    def switch_rule(self, rule_id: int, *, active: bool) -> Mapping[str, Any]:
        """Switch a rule on or off, and return it; when it goes off, its messages that wait are given up.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        update = sql.SQL("UPDATE alert_rules SET is_active = %(active)s WHERE id = %(id)s RETURNING {}").format(_SHOWN)
        with self._database.transaction() as connection:
            rows = self._shown(update, {"active": active, "id": rule_id})
            if not rows:
                raise NotFoundError("alert_rule.not_found", id=rule_id)
            if not active:
                connection.execute(
                    "UPDATE alert_deliveries SET status = 'FAILED', error = %(text)s, error_detail = %(detail)s"
                    " WHERE status = 'PENDING' AND rule_id = %(id)s",
                    {"id": rule_id, **stored_message(Message("alert_rule.switched_off"))},
                )
        return rows[0]

    def delete_rule(self, rule_id: int) -> None:
        """Remove a rule with its messages.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        if not self._rows(sql.SQL("DELETE FROM alert_rules WHERE id = %(id)s RETURNING id"), {"id": rule_id}):
            raise NotFoundError("alert_rule.not_found", id=rule_id)

    def deliveries(
        self, limit: int = 100, offset: int = 0, chosen: Mapping[str, Any] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return messages, newest first, with what became of them.

        Parameters
        ----------
        chosen
            Only those with these values of ``id``, ``rule_id``, ``coin_id`` or ``status``.
        """
        chosen = chosen or {}
        conditions = [sql.SQL("d.{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in chosen]
        query = sql.SQL(
            'SELECT d.id, d.rule_id, r.name AS rule, r.channel, d.coin_id, d."timestamp", d.model_ids,'
            " d.probability::float8 AS probability, d.notice, d.status, d.attempts, d.due_at,"
            " d.error, d.error_detail, d.created_at, d.sent_at"
            " FROM alert_deliveries d JOIN alert_rules r ON r.id = d.rule_id {} ORDER BY d.id DESC"
            " LIMIT %(limit)s OFFSET %(offset)s"
        ).format(sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL(""))
        rows = self._rows(query, {"limit": limit, "offset": offset, **chosen})
        return [
            row | {"notice": message_of(row["notice"]), "error_detail": message_of(row["error_detail"])} for row in rows
        ]

    def retry(self, delivery_id: int) -> Mapping[str, Any]:
        """Send a message that was given up anew, with all its tries, and return it.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        ConflictError
            If it was not given up, or its rule is switched off.
        """
        found = self.deliveries(1, chosen={"id": delivery_id})
        if not found:
            raise NotFoundError("alert.delivery_not_found", id=delivery_id)
        with self._database.connection() as connection:
            done = connection.execute(
                "UPDATE alert_deliveries d SET status = 'PENDING', attempts = 0, due_at = now() FROM alert_rules r"
                " WHERE r.id = d.rule_id AND r.is_active AND d.id = %s AND d.status = 'FAILED'",
                [delivery_id],
            )
        if not done.rowcount:
            raise ConflictError("alert.delivery_not_repeatable", id=delivery_id, status=found[0]["status"])
        return self.deliveries(1, chosen={"id": delivery_id})[0]

    def claim(self, limit: int) -> Sequence[Delivery]:
        """Return messages that are due; nobody else gets them within `CLAIM_S`."""
        rows = self._rows(sql.SQL(_CLAIM), {"limit": limit, "pause": CLAIM_S})
        models = self._message_models([row["id"] for row in rows])
        contexts = self._row_contexts(rows, models)
        return [
            Delivery(
                key=f"{row.pop('rule_id')}:{row['coin_id'] or 'notice'}:{row.pop('us')}",
                models=tuple(model for _, model in models.get(row["id"], [])),
                row=contexts.get(row["id"], RowContext()),
                **{**row, "model_ids": tuple(row["model_ids"]), "notice": message_of(row["notice"])},
            )
            for row in rows
        ]

    def _message_models(self, delivery_ids: list[int]) -> dict[int, list[tuple[str, MessageModel]]]:
        """Return the models of deliveries, each with its market."""
        found: dict[int, list[tuple[str, MessageModel]]] = {}
        if delivery_ids:
            with self._database.connection() as connection:
                for delivery, market, *model in connection.execute(_MESSAGE_MODELS, [delivery_ids]).fetchall():
                    found.setdefault(delivery, []).append((market, MessageModel(*model)))
        return found

    def _row_contexts(
        self, rows: Sequence[Mapping[str, Any]], models: Mapping[int, Sequence[tuple[str, MessageModel]]]
    ) -> dict[int, RowContext]:
        """Return the values of the market's rows that deliveries are about; the first model's market is the row's."""
        if self._row_source is None:
            return {}
        by_market: dict[str, dict[int, tuple[str, datetime]]] = {}
        for row in rows:
            if row["id"] in models and row["notice"] is None:
                by_market.setdefault(models[row["id"]][0][0], {})[row["id"]] = row["coin_id"], row["timestamp"]
        contexts = {
            market: self._row_source.row_contexts(market, set(keys.values())) for market, keys in by_market.items()
        }
        return {delivery: contexts[market][key] for market, keys in by_market.items() for delivery, key in keys.items()}

    def sent(self, *delivery_ids: int) -> None:
        """Note that messages have arrived."""
        with self._database.connection() as connection:
            connection.execute(_SENT, [list(delivery_ids)])

    def failed(self, delivery_id: int, error: Message, retry_in_s: float | None) -> None:
        """Note that a message has not arrived; None gives up."""
        with self._database.connection() as connection:
            connection.execute(
                "UPDATE alert_deliveries SET attempts = attempts + 1, error = %(text)s, error_detail = %(detail)s,"
                " status = CASE WHEN %(pause)s::float8 IS NULL THEN 'FAILED' ELSE 'PENDING' END,"
                " due_at = now() + coalesce(%(pause)s::float8, 0) * interval '1 second' WHERE id = %(id)s",
                {"pause": retry_in_s, "id": delivery_id, **stored_message(error)},
            )

    def release_after_clock_change(self) -> int:
        """Let messages be due that wait only because the clock was set back; return how many."""
        bounds = {"claim": CLAIM_S, "first": FIRST_PAUSE_S, "longest": LONGEST_PAUSE_S}
        with self._database.connection() as connection:
            return connection.execute(_RELEASE.encode(), bounds).rowcount

    def _shown(self, query: sql.SQL | sql.Composed, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return rules with as much of their targets as may be shown."""
        return [
            row | {"target": public_target(row["target"], self._channels.get(row["channel"]))}
            for row in self._rows(query, values)
        ]

    def _rows(self, query: sql.SQL | sql.Composed, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()
