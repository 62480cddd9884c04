"""Rules that send messages, made and switched on the live page."""

import json
from datetime import time

import pytest

from kurswerk.channels import KINDS
from kurswerk.dashboard import DashboardOptions, DashboardServices
from kurswerk.dashboard.widgets.alert_rules import rule_description
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel
from memory_dashboard import Browser, Registry, notices, services_over

FORM = {
    "rule-name.value": " two agree ",
    "rule-models.value": ["1", "2"],
    "rule-least.value": 2,
    "rule-min.value": 80,
    "rule-cooldown.value": 300,
    "rule-from.value": "22:00",
    "rule-until.value": "06:30",
    "rule-channel.value": "webhook",
    "rule-target.value": "https://n8n.example/webhook/x",
    "rule-secret.value": "hush",
}


@pytest.fixture
def services(panel: Panel, registry: Registry) -> DashboardServices:
    return services_over(panel, registry)


@pytest.fixture
def browser(services: DashboardServices) -> Browser:
    return Browser(services)


def make(browser: Browser, **changes: object):
    given = FORM | {f"rule-{name}.value": value for name, value in changes.items()}
    return browser.fire("rules-all.children", given | {"rule-make.n_clicks": 1}, "rule-make.n_clicks")


def test_a_rule_is_made_from_the_form_and_its_secret_is_gone(browser, services):
    answer = make(browser)
    assert "Saved" in notices(answer)
    assert services.alerts.kept[1] == {
        "id": 1,
        "is_active": True,
        "name": "two agree",
        "model_ids": [1, 2],
        "least_agreeing": 2,
        "min_probability": 0.8,
        "cooldown_seconds": 300,
        "quiet_start": time(22),
        "quiet_end": time(6, 30),
        "channel": "webhook",
        "target": "https://n8n.example/webhook/x",
        "secret": "hush",
    }
    assert answer["response"]["rule-form"]["opened"] is False
    assert answer["response"]["rule-secret"]["value"] == ""
    assert "hush" not in json.dumps(answer)
    assert "hush" not in browser.open("/live") + browser.seen("rules-all")


def test_what_is_left_empty_is_each_models_threshold_and_every_model(browser, services):
    make(browser, models=[], min="", cooldown=0, **{"from": "", "until": ""}, channel="database", target="", secret="")
    rule = services.alerts.kept[1]
    assert (rule["model_ids"], rule["min_probability"], rule["quiet_start"], rule["target"]) == ([], None, None, None)
    shown = browser.seen("rules-all")
    assert "2 of: all active models · from each model's own threshold · only kept here" in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": " "}, "Give the rule a name of 1 to 100 characters."),
        ({"name": "x" * 101}, "Give the rule a name of 1 to 100 characters."),
        ({"least": ""}, "Models that must agree on a row: give a whole number from 1 to 1,000."),
        ({"least": 1.5}, "Models that must agree on a row: give a whole number from 1 to 1,000."),
        ({"least": 3}, "3 cannot agree of 2 models; name more of them"),
        ({"cooldown": -1}, "give a whole number from 0 to"),
        ({"min": 101}, "Give a probability from 0 to 100 percent."),
        ({"min": "much"}, "Give a probability from 0 to 100 percent."),
        ({"until": ""}, "quiet hours need quiet_start and quiet_end"),
        ({"target": "n8n.example"}, "channel webhook needs a target that begins with http:// or https://"),
        ({"channel": "smtp"}, "channel smtp needs a target that begins with smtp:// or smtps://"),
        ({"models": ["1", "99"]}, "no model 99"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_what_to_do(browser, services, changes, words):
    assert words in notices(make(browser, **changes))
    assert services.alerts.kept == {}


def test_a_name_is_taken_once(browser):
    make(browser)
    assert "exists already" in notices(make(browser))


def test_a_rule_is_switched_off_and_on_and_deleted(browser, services):
    make(browser)
    switch = '{"kind":"rule-switch","rule":1}.checked'
    for active, words in ((False, "Switched off"), (True, "Switched on")):
        assert words in notices(browser.fire("rules-all.children", {switch: active}, switch))
        assert services.alerts.kept[1]["is_active"] is active
        assert notices(browser.fire("rules-all.children", {switch: active}, switch)) == "{}"  # it is so already
    sure = '{"kind":"danger-do","what":"rule-1"}.n_clicks'
    assert "Deleted" in notices(browser.fire("rules-all.children", {sure: 1}, sure))
    assert services.alerts.kept == {}
    other = '{"kind":"danger-do","what":"models-delete"}.n_clicks'
    assert "No rule" not in json.dumps(browser.fire("rules-all.children", {other: 1}, other))


def test_messages_are_shown_and_sent_again(browser, services):
    make(browser)
    shown = browser.fire("rule-deliveries.rowData", {"rule-sent.n_clicks": 1}, "rule-sent.n_clicks")["response"]
    assert shown["rule-messages"]["opened"] is True
    (row,) = shown["rule-deliveries"]["rowData"]
    assert (row["rule"], row["status"], row["error"]) == ("two agree", "FAILED", "the receiver answered 500")
    chosen = {"rule-again.n_clicks": 1, "rule-deliveries.selectedRows": [row]}
    assert "sent again" in notices(browser.fire("rule-deliveries.rowData", chosen, "rule-again.n_clicks"))
    assert services.alerts.again == [1]
    both = chosen | {"rule-deliveries.selectedRows": [row, row | {"id": "2"}]}
    answer = browser.fire("rule-deliveries.rowData", both, "rule-again.n_clicks")
    assert "1 of 2 are sent again" in notices(answer)
    assert "message 1 is SENT; only what was given up" in notices(answer)
    assert answer["response"]["rule-deliveries"]["rowData"]  # as they are now
    assert services.alerts.again == [1, 2]
    nothing = chosen | {"rule-deliveries.selectedRows": []}
    assert "No message is chosen" in notices(browser.fire("rule-deliveries.rowData", nothing, "rule-again.n_clicks"))


def test_a_key_that_only_reads_changes_no_rule(services):
    browser = Browser(services, DashboardOptions(require_keys=True))
    browser.client.cookies["kw_key"] = "reader"
    assert "lacks the scope “train”" in notices(make(browser))
    assert services.alerts.kept == {}


def test_a_rule_is_described_in_german():
    rule = {"model_ids": [7], "least_agreeing": 1, "min_probability": 0.5, "cooldown_seconds": 90, "channel": "log"}
    rule |= {"quiet_start": time(22), "quiet_end": time(6, 30), "target": None}
    assert rule_description(UserContext(language="de"), rule, {7: "auf"}, KINDS) == (
        "1 von: auf · ab 50\u00a0% · ins Protokoll · "
        "nach einer Nachricht 1 Min. 30 Sek. still · Ruhe von 22:00 bis 06:30 UTC"
    )


def test_where_nobody_sends_there_are_no_rules(panel, registry):
    assert "rule-new" not in Browser(services_over(panel, registry, alerts=None)).open("/live")
