"""The n8n workflow: whole, without a dead end, and calling only what the API offers."""

import json
import re
from pathlib import Path

import pytest

from kurswerk.api import Services, create_app
from kurswerk.training import ModelSpec

WORKFLOW = Path(__file__).resolve().parents[3] / "docs" / "examples" / "n8n-train-and-compare.json"
_EXPRESSION = re.compile(r"\{\{.*?\}\}")


@pytest.fixture(scope="module")
def workflow() -> dict:
    return json.loads(WORKFLOW.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def offered() -> list[tuple[str, re.Pattern[str]]]:
    """Method and path of every call in the OpenAPI document."""
    services = Services(**dict.fromkeys(Services.__dataclass_fields__))
    paths = create_app(services).openapi()["paths"]
    return [
        (method.upper(), re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(path)) + "$"))
        for path, methods in paths.items()
        for method in methods
    ]


def of_kind(workflow: dict, kind: str) -> list[dict]:
    return [node for node in workflow["nodes"] if node["type"] == f"n8n-nodes-base.{kind}"]


def settings(workflow: dict) -> dict:
    (node,) = of_kind(workflow, "set")
    return {item["name"]: item["value"] for item in node["parameters"]["assignments"]["assignments"]}


def test_every_node_has_its_own_name_and_is_reached(workflow):
    names = [node["name"] for node in workflow["nodes"]]
    assert len(set(names)) == len({node["id"] for node in workflow["nodes"]}) == len(names)
    followers = {
        name: {target["node"] for output in outputs["main"] for target in output}
        for name, outputs in workflow["connections"].items()
    }
    reached, new = set(), {"Start"}
    while new:
        reached |= new
        new = set().union(*(followers.get(name, set()) for name in new)) - reached
    assert reached == set(names)


def test_only_the_result_and_errors_end_it(workflow):
    ends = {node["name"] for node in workflow["nodes"]} - set(workflow["connections"])
    assert ends == {"Result"} | {node["name"] for node in of_kind(workflow, "stopAndError")}
    for node in of_kind(workflow, "if"):
        assert all(workflow["connections"][node["name"]]["main"]), f"{node['name']} goes on whatever the answer"


def test_every_call_exists(workflow, offered):
    calls = of_kind(workflow, "httpRequest")
    assert len(calls) == 9
    for node in calls:
        url = node["parameters"]["url"].removeprefix("={{ $('Settings').first().json.url }}")
        path = _EXPRESSION.sub("1", url)
        found = [pattern for method, pattern in offered if method == node["parameters"]["method"]]
        assert any(pattern.match(path) for pattern in found), f"{node['name']} calls {path}"


def test_every_node_that_is_referred_to_exists(workflow):
    names = {node["name"] for node in workflow["nodes"]}
    referred = set(re.findall(r"\$\('([^']+)'\)", json.dumps(workflow)))
    assert referred
    assert referred <= names


def test_the_specification_is_a_good_one(workflow):
    given = settings(workflow)
    for model_type in (given["model_a"], given["model_b"]):
        ModelSpec.parse({**json.loads(given["spec"]), "model_type": model_type, "name": "n8n"})
    assert json.loads(given["spec"])["train_end"] < given["test_start"] < given["test_end"]
