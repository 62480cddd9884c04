"""The OpenAPI document: complete, and true."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kurswerk.api import ApiOptions, create_app
from kurswerk.api._links import LINKS
from kurswerk.api.schemas.models import ModelType
from kurswerk.channels import KINDS
from kurswerk.models import FAMILIES, MODEL_TYPES

# The calls that order a job of any kind, which may be about a model.
ORDERS = {"post /api/jobs", "post /api/queue"}
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def document(service):
    return create_app(service.ports, ApiOptions(require_keys=True)).openapi()


def calls(document):
    for path, operations in document["paths"].items():
        for method, call in operations.items():
            yield f"{method} {path}", call


def test_every_call_is_described_with_examples_and_errors(document):
    for name, call in calls(document):
        assert len(call["description"]) > 20, name
        assert call["tags"], name
        statuses = set(call["responses"])
        assert {"400", "401", "403", "422", "429", "503"} <= statuses, name
        assert ("404" in statuses) == (
            "{" in name or name.endswith(("compare", "predict", "post /api/jobs", "post /api/queue"))
        ), name
        for status, answer in call["responses"].items():
            for kind, media in answer.get("content", {}).items():
                assert kind != "application/json" or "example" in media, (name, status)
            if status not in {"200", "201", "204", "206", "304", "416", "503"}:
                assert media["example"]["error"]["code"], (name, status)
        for parameter in call.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])
        if "requestBody" in call:
            assert call["requestBody"]["content"]["application/json"]["example"], name


def test_every_field_of_a_specification_is_described(document):
    for name, field in document["components"]["schemas"]["ModelCreate"]["properties"].items():
        assert field["description"], name


def test_scopes_are_documented_where_keys_are_required(service, document):
    models = document["paths"]["/api/models/{model_id}"]
    assert [models[method]["security"] for method in ("get", "patch", "delete")] == [[{"ApiKey": []}]] * 3
    assert "scope `admin`" in models["delete"]["description"]
    assert "security" not in document["paths"]["/health"]["get"]
    open_document = create_app(service.ports).openapi()
    assert all("security" not in call for _, call in calls(open_document))


def test_operation_ids_are_unique(document):
    ids = [call["operationId"] for _, call in calls(document)]
    assert len(ids) == len(set(ids))


def test_a_specification_inside_a_job_has_the_targets_and_markets_of_one_alone(document):
    schemas = document["components"]["schemas"]
    groups = [[choice["$ref"] for choice in group["oneOf"]] for group in schemas["ModelSpec"]["allOf"]]
    assert groups == [[choice["$ref"] for choice in group["oneOf"]] for group in schemas["ModelCreate"]["allOf"][1:]]
    assert schemas["JobCreateTrain"]["properties"]["request"]["$ref"].endswith("/ModelSpec")


def test_filters_know_every_model_type():
    assert ModelType.__args__ == MODEL_TYPES


def test_the_page_lists_hyper_parameters_targets_and_channels(client):
    page = html.unescape(client.get("/docs").text)
    for family in FAMILIES.values():
        _, _, section = page.partition(f"<h4>Body, {family.title} (* is required)</h4>")
        listed = re.findall(r"<code>params\.(\w+)</code>", section.partition("</table>")[0])
        assert listed == list(family.hyper_parameters.model_fields)
    assert "integer, >= 1, <= 24" in page
    assert "<h4>Body, Change (* is required)</h4>" in page
    assert all(f"AlertRuleCreate{name.capitalize()}" in page for name in KINDS)


def test_every_link_leads_to_a_call_with_a_field_that_the_response_has(document):
    called = {call["operationId"]: call for _, call in calls(document)}
    used = set()
    for name, call in calls(document):
        for answer in call["responses"].values():
            for title, link in answer.get("links", {}).items():
                ((parameter, source),) = link["parameters"].items()
                assert parameter in {item["name"] for item in called[link["operationId"]]["parameters"]}, (name, title)
                shape = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                field = source.removeprefix("$response.body#/")
                assert field in document["components"]["schemas"][shape]["properties"], (name, title)
                used.add(shape)
    assert used == set(LINKS)


def test_links_lead_from_an_order_to_predictions(document):
    """As a client follows them, by their names alone."""
    called = {call["operationId"]: call for _, call in calls(document)}
    call = called["post_api_models_create"]
    for name in ("job", "model", "activate", "model", "test", "job", "test_result", "model", "predictions"):
        status = min(status for status in call["responses"] if status.startswith("2"))
        call = called[call["responses"][status]["links"][name]["operationId"]]
    assert call["operationId"] == "get_api_predictions"


def test_the_page_shows_every_call_and_runs_no_script(client, document):
    page = client.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page.text
    assert "http://" not in page.text.replace("http://127.0.0.1:8000", "")
    for name, call in calls(document):
        assert f'id="{call["operationId"]}"' in page.text, name


SHORT_PHASES, ALL_PHASES = "examples,fuzzing,stateful", "examples,coverage,fuzzing,stateful"


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("caller", "examples", "phases"),
    [
        # Requests with each single fault, thousands of them, are for the long version.
        ("with a key", 2, SHORT_PHASES),
        ("without a key", 2, SHORT_PHASES),
        *(
            pytest.param(caller, 150, ALL_PHASES, marks=pytest.mark.slow)
            for caller in ("with a key", "without a key", "no keys required")
        ),
    ],
)
def test_no_request_breaks_the_service_or_its_word(service, caller, examples, phases, tmp_path):
    """Schemathesis, all its checks."""
    service.fill_market()
    a, b = service.ready_model("a"), service.ready_model("b")
    service.comparison(a, b)
    service.jobs.order("TEST", {"model_id": a})
    header = ["--header", f"X-API-Key: {service.keys.create('all', ['admin'])[1]}"] if caller == "with a key" else []
    options = {"require_keys": caller != "no keys required", "read_limit": None, "write_limit": None}
    with service.client(**options) as client:
        url = f"{client.base_url}/openapi.json"
        command = ["-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", url, "--checks", "all", *header]
        extent = ["--phases", phases, "--max-examples", str(examples), "--seed", "7"]
        done = subprocess.run(
            [sys.executable, *command, *extent, "--no-color"],
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
            cwd=tmp_path,  # it keeps notes of its own
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert all(status < 500 for _, _, status in service.requests)
