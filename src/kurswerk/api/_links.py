"""Links between calls (OpenAPI 3.1, section 4.8.20): where what a response holds leads to, for clients that follow.

They belong to the response's schema, so that every call that answers with it has them: an order leads to its job, a job
to the model, test or comparison that it made, a model to its tests, predictions and activation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Link:
    """A call that can follow.

    Attributes
    ----------
    operation
        Its operation id.
    parameter
        The one of its parameters that is taken from the response.
    field
        The response's field that gives the value.
    description
        What it is for.
    """

    operation: str
    parameter: str
    field: str
    description: str

    def as_json(self) -> dict[str, Any]:
        """Return the link object of OpenAPI."""
        parameters = {self.parameter: f"$response.body#/{self.field}"}
        return {"operationId": self.operation, "parameters": parameters, "description": self.description}


def _job(field: str) -> dict[str, Link]:
    job = "_api_jobs_job_id"
    return {
        "log": Link(f"get{job}_log", "job_id", field, "What happened so far, line by line."),
        "cancel": Link(f"post{job}_cancel", "job_id", field, "Cancel it while it is PENDING or RUNNING."),
        "retry": Link(f"post{job}_retry", "job_id", field, "Let it run again once it is FAILED or CANCELLED."),
    }


def _test(test_field: str) -> Link:
    return Link("get_api_test_results_test_id", "test_id", test_field, "A test result.")


def _model(field: str) -> Link:
    return Link("get_api_models_model_id", "model_id", field, "A model with everything that is stored of it.")


_OF_MODEL = "_api_models_model_id"
# Schema of a response -> name of the link -> link.
LINKS: Mapping[str, Mapping[str, Link]] = {
    "JobOrdered": {
        "job": Link("get_api_jobs_job_id", "job_id", "job_id", "How far the job is, and its result in the end."),
        **_job("job_id"),
    },
    "JobRead": {
        "model": _model("result_model_id"),
        "test_result": _test("result_test_id"),
        "comparison": Link(
            "get_api_comparisons_comparison_id", "comparison_id", "result_comparison_id", "A comparison."
        ),
        **_job("id"),
    },
    "ModelRead": {
        "test": Link(f"post{_OF_MODEL}_test", "model_id", "id", "Order a test in a period of your choice."),
        "certify": Link(f"post{_OF_MODEL}_certify", "model_id", "id", "Order a new certificate."),
        "download": Link(f"get{_OF_MODEL}_download", "model_id", "id", "The model as ONNX."),
        "activate": Link(f"post{_OF_MODEL}_activate", "model_id", "id", "Let it predict every new row."),
        "deactivate": Link(f"post{_OF_MODEL}_deactivate", "model_id", "id", "Let it predict no more."),
        "test_results": Link("get_api_test_results", "model_id", "id", "Its test results."),
        "comparisons": Link("get_api_comparisons", "model_id", "id", "Comparisons with other models."),
        "predictions": Link("get_api_predictions", "model_id", "id", "Its predictions, newest first."),
        "performance": Link(f"get{_OF_MODEL}_performance", "model_id", "id", "How good its live predictions are."),
        "alerts": Link("get_api_alerts", "model_id", "id", "Its alerts, newest first."),
    },
    "Switched": {
        "model": _model("model_id"),
        "predictions": Link("get_api_predictions", "model_id", "model_id", "Its predictions, newest first."),
    },
    "TestRead": {"model": _model("model_id")},
    "ComparisonRead": {
        "model_a": _model("model_a_id"),
        "model_b": _model("model_b_id"),
        "test_a": _test("test_a_id"),
        "test_b": _test("test_b_id"),
    },
    "PredictionDetail": {
        "model": _model("model_id"),
        "replay": Link(
            "get_api_predictions_prediction_id_replay", "prediction_id", "id", "Compute it again from the stored rows."
        ),
        "latest": Link(
            "get_api_predictions_latest_coin_id", "coin_id", "coin_id", "All predictions of the coin's newest row."
        ),
    },
    "AlertRuleRead": {
        "change": Link("patch_api_alerts_rules_rule_id", "rule_id", "id", "Switch the rule on or off."),
        "delete": Link("delete_api_alerts_rules_rule_id", "rule_id", "id", "Remove the rule with its messages."),
        "deliveries": Link("get_api_alerts_deliveries", "rule_id", "id", "The rule's messages."),
    },
    "DeliveryRead": {
        "retry": Link("post_api_alerts_deliveries_delivery_id_retry", "delivery_id", "id", "Send it once more."),
    },
}


def add_links(document: dict[str, Any]) -> None:
    """Add the links of its schema to every response that succeeds."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                links = LINKS.get(_schema_of(response), {}) if status.startswith("2") else {}
                if links:
                    response["links"] = {name: link.as_json() for name, link in links.items()}


def _schema_of(response: Mapping[str, Any]) -> str:
    media = response.get("content", {}).get("application/json", {})
    reference: str = media.get("schema", {}).get("$ref", "")
    return reference.rpartition("/")[2]
