"""The n8n workflows: whole, without a dead end, and calling only what the API offers."""

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import MagicMock

import httpx
import pytest
from pydantic import TypeAdapter

from kurswerk.alerts import Delivery
from kurswerk.api import ApiPorts, create_app
from kurswerk.api.schemas.alert_rules import AlertRuleCreate, alert_rule_body
from kurswerk.bootstrap.job_kinds import job_kinds
from kurswerk.channels import KINDS, WebhookChannel
from kurswerk.jobs import JobService
from kurswerk.training import ModelSpec

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
# File → nodes it begins with, calls it makes, nodes it may end with.
WORKFLOWS = {
    "n8n-train-and-compare.json": ({"Start"}, 9, {"Result"}),
    "n8n-activate.json": ({"Start"}, 5, {"Result"}),
    "n8n-alerts.json": (
        {"Alert", "Every minute", "Every day"},
        1,
        {"Done", "Later", "Refuse", "Drop the repetition", "Forget after 30 days"},
    ),
}
_EXPRESSION = re.compile(r"\{\{.*?\}\}")


def read(name: str) -> dict:
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=WORKFLOWS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def workflow(name: str) -> dict:
    return read(name)


@pytest.fixture(scope="module")
def offered() -> list[tuple[str, re.Pattern[str]]]:
    """Method and path of every call in the OpenAPI document."""
    # Nothing is called, so that the registers are all that the document is made of.
    jobs = JobService(job_kinds(MagicMock(), MagicMock()), MagicMock())
    services = ApiPorts(**dict.fromkeys(ApiPorts.__dataclass_fields__) | {"channels": KINDS, "jobs": jobs})
    paths = create_app(services).openapi()["paths"]
    return [
        (method.upper(), re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(path)) + "$"))
        for path, methods in paths.items()
        for method in methods
    ]


def of_kind(workflow: dict, kind: str) -> list[dict]:
    return [node for node in workflow["nodes"] if node["type"] == f"n8n-nodes-base.{kind}"]


def settings(workflow: dict) -> dict:
    (node,) = [node for node in workflow["nodes"] if node["name"] == "Settings"]
    return {item["name"]: item["value"] for item in node["parameters"]["assignments"]["assignments"]}


def test_the_documentation_names_every_workflow():
    assert {path.name for path in EXAMPLES.glob("n8n-*.json")} == set(WORKFLOWS)
    text = (EXAMPLES.parent / "n8n.md").read_text(encoding="utf-8")
    assert [name for name in WORKFLOWS if f"(examples/{name})" not in text] == []


def test_every_node_has_its_own_name_and_is_reached(workflow, name):
    names = [node["name"] for node in workflow["nodes"]]
    assert len(set(names)) == len({node["id"] for node in workflow["nodes"]}) == len(names)
    followers = {
        name: {target["node"] for output in outputs["main"] for target in output}
        for name, outputs in workflow["connections"].items()
    }
    reached, new = set(), set(WORKFLOWS[name][0])
    while new:
        reached |= new
        new = set().union(*(followers.get(name, set()) for name in new)) - reached
    assert reached == set(names)


def test_only_the_result_and_errors_end_it(workflow, name):
    ends = {node["name"] for node in workflow["nodes"]} - set(workflow["connections"])
    assert ends == WORKFLOWS[name][2] | {node["name"] for node in of_kind(workflow, "stopAndError")}
    for node in of_kind(workflow, "if"):
        outputs = workflow["connections"][node["name"]]["main"]
        assert len(outputs) == 2, f"{node['name']} goes nowhere after one of its answers"
        assert all(outputs), f"{node['name']} goes on whatever the answer"


def test_every_call_exists(workflow, name, offered):
    calls = of_kind(workflow, "httpRequest")
    assert len(calls) == WORKFLOWS[name][1]
    for node in calls:
        url = node["parameters"]["url"].removeprefix("={{ $('Settings').first().json.url }}")
        path = _EXPRESSION.sub("1", url).partition("?")[0]
        found = [pattern for method, pattern in offered if method == node["parameters"]["method"]]
        assert any(pattern.match(path) for pattern in found), f"{node['name']} calls {path}"


def test_every_node_that_is_referred_to_exists(workflow):
    names = {node["name"] for node in workflow["nodes"]}
    referred = set(re.findall(r"\$\('([^']+)'\)", json.dumps(workflow)))
    assert referred
    assert referred <= names


def test_an_alert_is_accepted_only_once_it_is_noted():
    workflow = read("n8n-alerts.json")
    before = {
        target["node"]: source
        for source, outputs in workflow["connections"].items()
        for output in outputs["main"]
        for target in output
    }
    assert before["Accept"] == "Note"
    (created,) = [node for node in read("n8n-activate.json")["nodes"] if node["name"] == "Table for alerts"]
    columns = {column["name"] for column in created["parameters"]["columns"]["column"]}
    tables = of_kind(workflow, "dataTable")
    assert {node["parameters"]["dataTableId"]["value"] for node in tables} == {created["parameters"]["tableName"]}
    (note,) = [node for node in tables if node["name"] == "Note"]
    assert set(note["parameters"]["columns"]["value"]) == columns


def test_the_specification_is_a_good_one():
    given = settings(read("n8n-train-and-compare.json"))
    for model_type in (given["model_a"], given["model_b"]):
        ModelSpec.parse({**json.loads(given["spec"]), "model_type": model_type, "name": "n8n"})
    assert json.loads(given["spec"])["train_end"] < given["test_start"] < given["test_end"]


def test_the_rule_is_a_good_one_and_posts_where_alerts_are_received():
    given, alerts = settings(read("n8n-activate.json")), read("n8n-alerts.json")
    (webhook,) = of_kind(alerts, "webhook")
    assert given["webhook"].endswith(f"/webhook/{webhook['parameters']['path']}")
    assert given["secret"] == settings(alerts)["secret"]
    (node,) = [node for node in read("n8n-activate.json")["nodes"] if node["name"] == "Make the rule"]
    body = node["parameters"]["jsonBody"]
    assert set(re.findall(r"(\w+): ", body)) <= set(AlertRuleCreate.model_fields)
    rule = {"name": given["rule"], "model_ids": [given["model_id"]], "cooldown_seconds": 300, "channel": "webhook"}
    rule |= {"target": given["webhook"], "secret": given["secret"]}
    TypeAdapter(alert_rule_body(KINDS.values())).validate_python(rule)


def test_what_is_read_of_an_alert_is_what_is_sent():
    sent: list[httpx.Request] = []
    transport = httpx.MockTransport(lambda request: sent.append(request) or httpx.Response(204))
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    alert = Delivery(1, "1:A:2", "r", "webhook", "http://n8n.test/", "s3cret", "A", moment, (7,), 0.9, 0)
    WebhookChannel(transport).send(alert)
    text = json.dumps(read("n8n-alerts.json"))
    headers = set(re.findall(r"headers\['([^']+)'\]", text))
    assert headers == {"x-kurswerk-timestamp", "x-kurswerk-signature", "x-kurswerk-delivery"}
    assert headers <= set(sent[0].headers)
    assert (
        {"coin_id", "timestamp", "probability"}
        <= set(re.findall(r"json\.alert\.(\w+)", text))
        <= set(json.loads(sent[0].content))
    )
    # As the nodes Sign and From Kurswerk? compute it.
    (sign,) = of_kind(read("n8n-alerts.json"), "crypto")
    how = sign["parameters"]
    assert (how["action"], how["type"], how["encoding"]) == ("hmac", "SHA256", "hex")
    assert "['x-kurswerk-timestamp'] + '.' + $('Alert').first().binary.data.data" in how["value"]
    signed = sent[0].headers["x-kurswerk-timestamp"].encode() + b"." + sent[0].content
    expected = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert sent[0].headers["x-kurswerk-signature"] == f"sha256={expected}"
