"""Alert rules from probabilities to messages that arrive, whatever the receiver does."""

import hashlib
import hmac
import itertools
import json
import threading

import httpx
import pytest

from feed_lanes import COINS, a_lane, drain, stored
from kurswerk.alerts import Dispatcher, Notification, deliver
from kurswerk.channels import KINDS, DatabaseChannel, LogChannel, SmtpChannel, WebhookChannel, open_channels
from kurswerk.core.errors import ConflictError, InvalidInputError, NotFoundError
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import MarketRowReader
from kurswerk.storage.predictions import PostgresAlertStore
from kurswerk.storage.predictions._alerts import add_deliveries
from kurswerk.storage.server import Database
from served_models import WINDOWED, coin_rows, register, write_rows

RULE = {"name": "both", "model_ids": [], "least_agreeing": 2, "cooldown_seconds": 0, "channel": "webhook"}


@pytest.fixture
def store(database: Database) -> PostgresAlertStore:
    return PostgresAlertStore(database, KINDS)


def predict(database: Database, session: PostgresFeedSession, rows: int = 6) -> None:
    register(database, "a", WINDOWED, threshold=0.5)
    register(database, "b", WINDOWED, seed=5, threshold=0.5)
    write_rows(database, coin_rows(COINS, 0, rows))
    drain(a_lane(database, session))


def test_a_rule_notifies_where_enough_models_agree(database, session, store):
    rule = store.create_rule({**RULE, "min_probability": 0.75})
    predict(database, session)
    found = stored(database)
    agreeing = {(coin, us) for coin, us, _ in found if all(float(found[coin, us, model]) >= 0.75 for model in (1, 2))}
    messages = store.deliveries(1000)
    assert {(row["coin_id"], int(row["timestamp"].timestamp() * 1e6)) for row in messages} == agreeing
    assert 0 < len(agreeing) < len(found) / 2
    assert all(row["model_ids"] == [1, 2] and row["rule_id"] == rule["id"] for row in messages)
    assert not rule["signed"]


def test_a_cool_down_suppresses_notifications_about_a_coin(database, session, store):
    store.create_rule({**RULE, "name": "any", "least_agreeing": 1, "min_probability": 0.0, "cooldown_seconds": 12})
    predict(database, session, rows=6)  # every 5 s: the rows at 0, 15 s speak
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 6, 7))  # 30 s
    drain(lane)
    by_coin: dict[str, list[int]] = {}
    for row in store.deliveries(1000):
        by_coin.setdefault(row["coin_id"], []).append(row["timestamp"].second)
    assert by_coin == {coin: [30, 15, 0] for coin in COINS}


def test_messages_arrive_at_least_once_and_are_signed(database, session, store, monkeypatch):
    monkeypatch.setattr("kurswerk.storage.predictions._alerts.FIRST_PAUSE_S", 600.0)  # none becomes due by itself
    store.create_rule(
        {**RULE, "least_agreeing": 1, "min_probability": 0.0, "target": "http://n8n.test/hook", "secret": "s3cret"}
    )
    predict(database, session, rows=1)
    requests: list[httpx.Request] = []
    numbers = itertools.count()

    def receiver(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(500 if next(numbers) < 3 else 204)

    ways = {"webhook": WebhookChannel(httpx.MockTransport(receiver))}
    assert deliver(store, ways) + deliver(store, ways) == len(COINS)
    states = [row["status"] for row in store.deliveries()]
    assert sorted(states) == ["PENDING"] * 3 + ["SENT"] * (len(COINS) - 3)
    assert deliver(store, ways) == 0  # the three wait for their pause
    with database.connection() as connection:
        connection.execute("UPDATE alert_deliveries SET due_at = now() WHERE status = 'PENDING'")
    assert deliver(store, ways) == 3
    keys = [request.headers["X-Kurswerk-Delivery"] for request in requests]
    assert len(set(keys)) == len(COINS)
    assert len(keys) == len(COINS) + 3
    request = requests[-1]
    signed = hmac.new(
        b"s3cret", request.headers["X-Kurswerk-Timestamp"].encode() + b"." + request.content, hashlib.sha256
    )
    assert request.headers["X-Kurswerk-Signature"] == f"sha256={signed.hexdigest()}"
    assert json.loads(request.content)["id"] == keys[-1]
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM prediction_alerts WHERE NOT alert_sent").fetchone() == (0,)


def signed_by(request: httpx.Request) -> list[str]:
    """Return by which of the secrets a message is signed, in the order of its signatures."""
    text = request.headers["X-Kurswerk-Timestamp"].encode() + b"." + request.content
    by = {
        f"sha256={hmac.new(one, text, hashlib.sha256).hexdigest()}": one.decode() for one in (b"old", b"new", b"third")
    }
    return [by[one] for one in request.headers["X-Kurswerk-Signature"].split(", ")]


def test_for_a_while_a_new_secret_signs_beside_the_one_before(database, store):
    rule = store.create_rule({**RULE, "target": "http://n8n.test/hook", "secret": "old"})["id"]
    requests: list[httpx.Request] = []
    ways = {
        "webhook": WebhookChannel(httpx.MockTransport(lambda request: requests.append(request) or httpx.Response(204)))
    }

    def sent(statement: str = "SELECT 1") -> list[str]:
        with database.connection() as connection:
            connection.execute(statement)
            connection.execute(
                "INSERT INTO alert_deliveries (rule_id, coin_id, timestamp, model_ids, probability)"
                " VALUES (%s, 'A', clock_timestamp(), '{1}', 0.9)",
                [rule],
            )
        assert deliver(store, ways) == 1
        return signed_by(requests[-1])

    assert sent() == ["old"]
    assert store.replace_secret(rule, "new", 3600)["signed"]
    assert sent() == ["new", "old"]
    store.replace_secret(rule, "new", 3600)  # as a client does that has not seen the answer
    assert sent() == ["new", "old"]
    assert sent("UPDATE alert_rules SET previous_secret_until = now()") == ["new"]
    store.replace_secret(rule, "third", 0)
    assert sent() == ["third"]
    with pytest.raises(NotFoundError):
        store.replace_secret(rule + 1, "new", 0)


def test_the_secret_of_the_setting_is_replaced_with_the_one_before_beside_it(database, store):
    def kept(secret: str | None) -> tuple:
        store.keep_rule("WEBHOOK", "webhook", "http://n8n.test/hook", secret)
        with database.connection() as connection:
            return connection.execute(
                "SELECT secret, previous_secret, previous_secret_until > now() + interval '23 hours' FROM alert_rules"
            ).fetchone()

    assert kept("old") == ("old", None, None)
    assert kept("new") == ("new", "old", True)
    assert kept("new") == ("new", "old", True)
    assert kept(None) == (None, "new", True)
    assert kept("new") == ("new", None, None)


def test_what_never_arrives_is_given_up_and_shown(database, session, store):
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0})
    predict(database, session, rows=1)
    with database.connection() as connection:
        connection.execute("DELETE FROM alert_deliveries WHERE coin_id <> %s", [COINS[0]])
    for _ in range(20):
        assert deliver(store, open_channels()) == 1
        with database.connection() as connection:
            connection.execute("UPDATE alert_deliveries SET due_at = now()")
    assert deliver(store, open_channels()) == 0
    (row,) = store.deliveries()
    assert (row["status"], row["attempts"]) == ("FAILED", 20)
    assert "no address" in row["error"]


def test_quiet_hours_postpone(database, session, store):
    with database.connection() as connection:
        (clock,) = connection.execute("SELECT (now() AT TIME ZONE 'UTC')::time").fetchone()
        (before,) = connection.execute("SELECT %s::time - interval '1 hour'", [clock]).fetchone()
        (after,) = connection.execute("SELECT %s::time + interval '1 hour'", [clock]).fetchone()
    quiet = {**RULE, "least_agreeing": 1, "min_probability": 0.0, "channel": "database"}
    store.create_rule({**quiet, "name": "quiet", "quiet_start": before, "quiet_end": after})
    store.create_rule({**quiet, "name": "loud", "quiet_start": after, "quiet_end": before})
    predict(database, session, rows=1)
    ways = {"database": DatabaseChannel()}
    assert deliver(store, ways) + deliver(store, ways) == len(COINS)
    states = {(row["rule"], row["status"]) for row in store.deliveries()}
    assert states == {("loud", "SENT"), ("quiet", "PENDING")}


def test_rules_are_kept_and_removed(store):
    rule = store.create_rule({**RULE, "secret": "x"})
    assert rule["signed"]
    assert "secret" not in rule
    with pytest.raises(ConflictError, match="both"):
        store.create_rule(RULE)
    assert [row["name"] for row in store.rules()] == ["both"]
    store.delete_rule(rule["id"])
    with pytest.raises(NotFoundError):
        store.delete_rule(rule["id"])


def test_other_channels(database, session, store, monkeypatch):
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0, "channel": "smtp", "secret": "me:pw"})
    predict(database, session, rows=1)
    one = store.claim(1)[0]
    with pytest.raises(InvalidInputError, match="smtp://"):
        SmtpChannel().send(one)
    LogChannel().send(one)
    smtp_calls: list[object] = []

    class Server:
        def __init__(self, *address: object, **_: object) -> None:
            smtp_calls.append(address)

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __getattr__(self, name: str):
            return lambda *arguments: smtp_calls.append((name, *arguments))

    monkeypatch.setattr("smtplib.SMTP", Server)
    SmtpChannel().send(type(one)(**{**vars(one), "target": "smtp://mail.test:25/me@example.org"}))
    assert smtp_calls[0] == ("mail.test", 25)
    assert [entry[0] for entry in smtp_calls[1:]] == ["starttls", "login", "send_message"]
    mail = smtp_calls[-1][1]
    assert one.coin_id in mail["Subject"]
    assert mail.get_body().get_content().strip() == one.text()
    (attached,) = mail.iter_attachments()
    assert json.loads(attached.get_content()) == one.message()


def test_messages_name_models_thresholds_price_and_phase(database, session):
    store = PostgresAlertStore(database, KINDS, MarketRowReader(database))
    store.create_rule({**RULE, "name": "own thresholds", "least_agreeing": 1})
    store.create_rule({**RULE, "name": "any", "least_agreeing": 1, "min_probability": 0.25})
    predict(database, session, rows=3)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO ref_coin_phases (id, name, interval_seconds, min_age_minutes, max_age_minutes)"
            " VALUES (77, 'Seventy-seven', 5, 0, 1)"
        )
        connection.execute("UPDATE coin_metrics SET phase_id_at_time = 77 WHERE mint = %s", [COINS[0]])
        probabilities = dict(
            connection.execute(
                'SELECT coin_id || model_id || "timestamp", probability::float8 FROM predictions'
            ).fetchall()
        )
        rows = connection.execute(
            'SELECT mint, "timestamp", price_close, p.name FROM coin_metrics'
            " LEFT JOIN ref_coin_phases p ON p.id = phase_id_at_time"
        ).fetchall()
        moments = connection.execute('SELECT "timestamp", "timestamp"::text FROM coin_metrics').fetchall()
    texts, expected = dict(moments), {(name, moment): (price, phase) for name, moment, price, phase in rows}
    deliveries = store.claim(1000)
    assert {one.rule for one in deliveries} == {"own thresholds", "any"}
    for one in deliveries:
        assert tuple(model.id for model in one.models) == one.model_ids
        for model in one.models:
            assert model.name == {1: "a", 2: "b"}[model.id]
            assert model.probability == probabilities[f"{one.coin_id}{model.id}{texts[one.timestamp]}"]
            assert model.threshold == (0.25 if one.rule == "any" else 0.5)
        assert one.row.market == "coins"
        assert (one.row.price, one.row.phase) == expected[one.coin_id, one.timestamp]
    assert {one.row.phase for one in deliveries if one.coin_id == COINS[0]} == {"Seventy-seven"}


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE coin_metrics CASCADE",
        "ALTER TABLE coin_metrics DROP COLUMN price_close, DROP COLUMN phase_id_at_time",
    ],
)
def test_messages_go_without_price_where_the_table_lacks_it(database, session, damage):
    store = PostgresAlertStore(database, KINDS, MarketRowReader(database))
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0, "channel": "database"})
    predict(database, session, rows=1)
    with database.connection() as connection:
        connection.execute(damage)
    deliveries = store.claim(1000)
    assert len(deliveries) == len(COINS)
    assert {(one.row.price, one.row.phase) for one in deliveries} == {(None, None)}
    assert all(one.models for one in deliveries)


def test_a_cool_down_is_one_of_coin_and_model(database, session, store):
    rule = store.create_rule({**RULE, "least_agreeing": 1, "cooldown_seconds": 10, "channel": "database"})
    alerts = [(0, (1,)), (4, (1,)), (5, (1, 2)), (9, (2,)), (12, (1,)), (16, (1,)), (3, (2,)), (27, (1,))]
    with database.connection() as connection:
        for part in (alerts[:2], alerts[2:5], alerts[5:]):  # within a batch as between batches
            add_deliveries(
                connection, [Notification(rule["id"], "A", 1_000_000 * second, ids, 0.9) for second, ids in part]
            )
        add_deliveries(connection, [Notification(rule["id"], "B", 4_000_000, (1,), 0.9)])
    sent = [(row["coin_id"], int(row["timestamp"].timestamp()), row["model_ids"]) for row in store.deliveries()]
    assert sent == [("B", 4, [1]), ("A", 27, [1]), ("A", 16, [1]), ("A", 5, [1, 2]), ("A", 0, [1])]


def test_a_clock_set_back_holds_up_nothing(database, session, store):
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0, "channel": "database"})
    quiet = {"name": "quiet", "quiet_start": "00:00", "quiet_end": "23:59:59.999999"}
    store.create_rule({**RULE, **quiet, "least_agreeing": 1, "min_probability": 0.0, "channel": "database"})
    predict(database, session, rows=1)
    with database.connection() as connection:
        connection.execute("UPDATE alert_deliveries SET due_at = now() + interval '2 hours'")
        connection.execute(
            "UPDATE alert_deliveries SET attempts = 4, due_at = now() + interval '15 s' WHERE coin_id = %s", [COINS[0]]
        )
    ways = {"database": DatabaseChannel()}
    assert deliver(store, ways) == 0
    assert (
        store.release_after_clock_change() == len(COINS) - 1
    )  # those of quiet hours, and a pause within its bounds, stay
    assert deliver(store, ways) + deliver(store, ways) == len(COINS) - 1


def test_a_receiver_that_never_answers_holds_up_no_other(database, session, store):
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0, "target": "http://n8n.test/hook"})
    predict(database, session, rows=1)
    together = threading.Barrier(len(COINS))  # all are under way at once, or none gets on

    def receiver(request: httpx.Request) -> httpx.Response:
        together.wait(20)
        return httpx.Response(204)

    assert deliver(store, {"webhook": WebhookChannel(httpx.MockTransport(receiver))}) == len(COINS)
    assert [row["status"] for row in store.deliveries()].count("SENT") == len(COINS)


def test_one_that_takes_long_holds_up_no_other(database, session, store, monkeypatch):
    monkeypatch.setattr("kurswerk.storage.predictions._alerts.CLAIM_S", 600.0)  # nor is it given up
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0, "target": "http://n8n.test/hook"})
    predict(database, session, rows=6)
    answer = threading.Event()
    first = iter([True])

    def receiver(request: httpx.Request) -> httpx.Response:
        if next(first, False):
            answer.wait(600)
        return httpx.Response(204)

    dispatcher = Dispatcher(store, {"webhook": WebhookChannel(httpx.MockTransport(receiver))}, timeout_s=600)
    while dispatcher.start_due() or dispatcher.under_way > 1:
        dispatcher.collect()
    assert [row["status"] for row in store.deliveries(1000)].count("SENT") == 6 * len(COINS) - 1
    answer.set()
    dispatcher.collect()
    assert {row["status"] for row in store.deliveries(1000)} == {"SENT"}
    assert dispatcher.under_way == 0


def test_an_attempt_that_times_out_counts_as_failed(database, session, store):
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0, "target": "http://n8n.test/hook"})
    predict(database, session, rows=4)
    open_doors = threading.Event()

    def receiver(request: httpx.Request) -> httpx.Response:
        open_doors.wait(60)
        return httpx.Response(204)

    dispatcher = Dispatcher(store, {"webhook": WebhookChannel(httpx.MockTransport(receiver))}, timeout_s=0.2)
    sent = dispatcher.start_due()
    assert dispatcher.under_way == sent == 32
    while dispatcher.under_way:
        dispatcher.collect()
    failed = [row for row in store.deliveries(1000) if row["attempts"]]
    assert len(failed) == sent
    assert {row["error"] for row in failed} == {"no answer within 0.2 s"}
    open_doors.set()  # they end at last: that changes nothing
    dispatcher.collect(0.2)
    assert sum(row["attempts"] for row in store.deliveries(1000)) == sent


@pytest.mark.parametrize(
    ("channel", "target", "shown"),
    [
        ("webhook", "https://user:pw@hooks.test:8443/services/SECRET?token=abc", "https://hooks.test:8443/…"),
        ("webhook", "http://hooks.test?token=abc", "http://hooks.test/…"),
        ("smtp", "smtp://user:pw@mail.test:25/me@example.org", "smtp://mail.test:25/me@example.org"),
        ("log", None, None),
    ],
)
def test_an_address_is_shown_without_what_lets_others_use_it(store, channel, target, shown):
    created = store.create_rule({**RULE, "channel": channel, "target": target})
    assert created["target"] == shown
    assert [rule["target"] for rule in store.rules()] == [shown]


def test_errors_are_stored_without_the_target(database, session, store):
    target = "https://user:pw@hooks.test/services/T0/SECRET?token=abc"
    store.create_rule({**RULE, "least_agreeing": 1, "min_probability": 0.0, "target": target})
    predict(database, session, rows=1)

    def receiver(request: httpx.Request) -> httpx.Response:
        _, coin, _ = request.headers["X-Kurswerk-Delivery"].split(":")
        if int(coin.removesuffix("pump")) % 2:
            raise httpx.ConnectError(f"cannot reach {target}")
        return httpx.Response(503)

    deliver(store, {"webhook": WebhookChannel(httpx.MockTransport(receiver))})
    failed = store.deliveries(1000)
    assert "the receiver answered 503 Service Unavailable" in {row["error"] for row in failed}
    assert {row["error_detail"].code for row in failed} == {"alert.receiver_refused", "alert.attempt_failed"}
    stored = [text for row in failed for text in (row["error"], json.dumps(row["error_detail"].as_json()))]
    assert not any(part in text for part in ("pw", "SECRET", "token", "hooks.test") for text in stored)


def test_the_webhook_of_the_settings_is_one_rule_that_comes_and_goes_with_them(database, session, store):
    store.keep_rule("ALERT_WEBHOOK_URL", "webhook", None, None)
    assert store.rules() == []
    for target in ("http://old.test/", "http://n8n.test/hook", "http://n8n.test/hook"):
        store.keep_rule("ALERT_WEBHOOK_URL", "webhook", target, "s3cret")
    (rule,) = store.rules()
    assert (rule["name"], rule["channel"], rule["target"]) == ("ALERT_WEBHOOK_URL", "webhook", "http://n8n.test/…")
    assert rule["signed"]
    assert rule["is_active"]
    predict(database, session, rows=2)
    with database.connection() as connection:
        alerts = connection.execute(
            'SELECT count(DISTINCT (coin_id, model_id, "timestamp")) FROM predictions WHERE score >= 0.5'
        ).fetchone()
    assert sum(len(row["model_ids"]) for row in store.deliveries(1000)) == alerts[0] > 0
    one = store.claim(1)[0]
    store.sent(one.id)
    store.keep_rule("ALERT_WEBHOOK_URL", "webhook", None, None)
    (rule,) = store.rules()
    assert not rule["is_active"]
    states = {row["id"]: (row["status"], row["error"]) for row in store.deliveries(1000)}
    assert states.pop(one.id) == ("SENT", None)
    assert set(states.values()) == {("FAILED", "its rule was switched off")}
    write_rows(database, coin_rows(COINS, 2, 3))
    drain(a_lane(database, session))
    assert len(store.deliveries(1000)) == len(states) + 1
