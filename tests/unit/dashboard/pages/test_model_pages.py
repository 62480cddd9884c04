"""The list of models and a model's page, and what their callbacks do."""

import base64
import json
import re
from dataclasses import replace

from kurswerk.core.messages import Message
from kurswerk.market import Panel
from memory_dashboard import Browser, JudgedPredictions, Registry, notices, services_over


def test_a_model_is_switched_judged_certified_downloaded_and_deleted(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    given = {"model-id.data": 1, "model-activate.n_clicks": 1, "model-source.value": "1", "model-certify.n_clicks": 1}
    assert "Activated" in notices(browser.fire("model-activate.children", given, "model-activate.n_clicks"))
    assert registry.get(1).is_active
    assert "Deactivated" in notices(browser.fire("model-activate.children", given, "model-activate.n_clicks"))
    assert "Metrics against" in json.dumps(browser.fire("model-quality.children", given, "model-source.value"))
    out_of_fold = browser.fire("model-quality.children", given | {"model-source.value": ""}, "model-source.value")
    assert out_of_fold == {} or "Metrics against" in json.dumps(out_of_fold)
    assert "Job created" in notices(browser.fire("", given, "model-certify.n_clicks"))
    file = browser.fire("model-file.data", given | {"model-download.n_clicks": 1}, "model-download.n_clicks")
    data = file["response"]["model-file"]["data"]
    assert data["filename"] == "a.onnx"
    assert base64.b64decode(data["content"]) == registry.artifact(registry.get(1).artifact_sha256)
    limits = given | {"model-threshold-save.n_clicks": 1, "model-threshold.value": 40}
    assert "Saved" in notices(browser.fire("model-threshold.value", limits, "model-threshold-save.n_clicks"))
    assert registry.get(1).alert_threshold == 0.4
    wrong = limits | {"model-threshold.value": 400}
    assert "0 to 100" in notices(browser.fire("model-threshold.value", wrong, "model-threshold-save.n_clicks"))
    sure = '{"kind":"danger-do","what":"model-delete"}.n_clicks'
    assert browser.fire("go.data", given | {sure: None}, sure) == {}
    assert 1 in registry.records
    assert "Deleted" in notices(browser.fire("go.data", given | {sure: 1}, sure))
    assert 1 not in registry.records


def test_models_are_filtered_chosen_and_deleted_together(panel: Panel, registry: Registry):
    browser = Browser(services_over(panel, registry))
    assert '"label": "no artifact"}], "value": "FAILED"' in browser.open("/models", "?status=FAILED")
    assert '"label": "no artifact"}], "value": ""' in browser.open("/models", "?status='||true")
    renewed = browser.fire("models-table.rowData", {"models-tick.n_intervals": 1}, "models-tick.n_intervals")
    assert [row["name"] for row in renewed["response"]["models-table"]["rowData"]] == ["c", "b", "a"]
    rows = [{"id": "2", "name": "b"}, {"id": "3", "name": "c"}]
    chosen = browser.fire("models-chosen.children", {"models-table.selectedRows": rows}, "models-table.selectedRows")
    assert chosen["response"]["models-compare"]["disabled"] is False
    sure = '{"kind":"danger-do","what":"models-delete"}.n_clicks'
    browser.fire("models-tick.n_intervals", {sure: 1, "models-table.selectedRows": rows}, sure)
    assert set(registry.records) == {1}
    none = browser.fire("models-tick.n_intervals", {sure: 1, "models-table.selectedRows": []}, sure)
    assert "No model is chosen" in notices(none)


def test_a_model_is_loaded_anew(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    given = {"model-id.data": 1, "model-reload.n_clicks": 1}
    assert "reloads the model" in notices(browser.fire("", given, "model-reload.n_clicks"))
    assert services.live.reloaded == [1]


def test_a_model_without_artifact_is_trained_again_with_one_click(panel: Panel, registry: Registry):
    browser = Browser(services_over(panel, registry))
    reason = Message("adoption.without_artifact")
    registry.records[1] = replace(registry.get(1), status="NO_ARTIFACT", artifact_sha256=None, error_detail=reason)
    page = browser.open("/models/1")
    assert "never loaded" in page
    assert "no artifact" in page
    assert '"model-train-again"' in page
    assert '"model-activate"' not in page
    given = {"model-id.data": 1, "model-train-again.n_clicks": None}
    assert browser.fire("go.data", given, "model-train-again.n_clicks") == {}
    answer = browser.fire("go.data", given | {"model-train-again.n_clicks": 1}, "model-train-again.n_clicks")
    assert "Job created" in notices(answer)
    again = registry.get("a 2")
    assert f"/dashboard/models/{again.id}" in json.dumps(answer)
    assert {**again.spec, "name": "a"} == dict(registry.get(1).spec)


def test_a_model_whose_description_could_not_be_translated_is_shown(panel: Panel, registry: Registry):
    browser = Browser(services_over(panel, registry))
    registry.records[1] = replace(registry.get(1), status="NO_ARTIFACT", spec={}, features=(), artifact_sha256=None)
    page = browser.open("/models/1")
    assert "target not known" in page
    assert '"model-train-again"' not in page
    assert "no artifact" in browser.open("/models")


def test_a_model_names_the_columns_that_it_lacks(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    assert "Its inputs are incomplete" not in browser.open("/models/1")
    services.live.missing = ["coin_metrics.volume_sol"]
    page = browser.open("/models/1")
    assert "Its inputs are incomplete" in page
    assert "coin_metrics.volume_sol is missing from the database" in page


def test_a_models_curves_are_those_of_the_test_that_is_chosen(browser: Browser, registry: Registry):
    test = registry.tests_of(1)[0]
    shown = {
        source: browser.seen("model-curves", {"model-source.value": source, "model-id.data": 1})
        for source in ("", str(test.id))
    }
    assert all(f"chart-{name}" in text for text in shown.values() for name in ("pr", "roc", "calibration"))
    assert shown[""] != shown[str(test.id)]


def test_what_came_of_live_predictions_is_measured_when_it_is_looked_at(browser: Browser):
    given = {"model-id.data": 1, "model-tabs.value": "live"}
    shown = json.dumps(browser.fire("model-live-metrics.children", given, "model-tabs.value"), ensure_ascii=False)
    assert re.search(r"1\d\d of 2\d\d predicted ones came true", shown)
    assert re.search(r'"Precision, live".*?"7\d\.\d%".*?"\[6\d\.\d% … [78]\d\.\d%\]"', shown)
    assert "coin stopped trading: 12, no row within the horizon: 3" in shown
    assert "live-calibration" in shown
    assert browser.fire("model-live-metrics.children", given | {"model-tabs.value": "tests"}, "model-tabs.value") == {}
    assert '"model-alerts"' in browser.open("/models/1", "?tab=live")


def test_a_model_without_judged_predictions_reports_that(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    services.live.outcomes = JudgedPredictions(0)
    given = {"model-id.data": 1, "model-tabs.value": "live"}
    shown = json.dumps(Browser(services).fire("model-live-metrics.children", given, "model-tabs.value"))
    assert "No prediction has been judged yet" in shown


def test_a_model_is_named_and_described_anew(browser: Browser, registry: Registry):
    given = {
        "model-id.data": 1,
        "model-name-save.n_clicks": 1,
        "model-name.value": " first ",
        "model-description.value": "x",
    }
    answer = browser.fire("go.data", given, "model-name-save.n_clicks")
    assert answer["response"]["go"]["data"]["to"] == "/dashboard/models/1?tab=specification"
    assert (registry.get(1).name, registry.get(1).description) == ("first", "x")
    browser.fire("go.data", given | {"model-description.value": " "}, "model-name-save.n_clicks")
    assert registry.get(1).description is None
    for name in ("", "x" * 256):
        refused = browser.fire("go.data", given | {"model-name.value": name}, "model-name-save.n_clicks")
        assert "1 to 255 characters" in notices(refused)
    assert registry.get(1).name == "first"
