"""Every page over a market and a registry in memory, and what its callbacks do."""

import base64
import json
import re
from dataclasses import replace

import pytest

from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_datetime
from kurswerk.market import Panel
from memory_dashboard import WHEN, Browser, Live, Market, Registry, notices, services_over

ALIKE = {
    "differences": {"pr_auc": {"value": 0.0, "low": 0.0, "high": 0.0}},
    "mcnemar": {"only_a_right": 0, "only_b_right": 0, "p_value": 1.0},
}
PATHS = ("", "/data", "/models", "/new", "/test", "/compare", "/jobs", "/live", "/system")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("path", [*PATHS, "/models/1", "/models/3", "/data/COIN0", "/nowhere"])
def test_every_page_opens_in_every_language(browser: Browser, path: str, language: str):
    browser.client.headers["accept-language"] = language
    text = browser.open(path)
    assert "That did not work" not in text
    assert "Something went wrong" not in text
    assert "schiefgegangen" not in text


@pytest.mark.parametrize(
    ("path", "search", "words"),
    [
        ("/models/99", "", "no model 99"),
        ("/models/x", "", "there is no model x"),
        ("/data/NONE", "", "there are no rows of 'NONE' in the market coins"),
        ("/jobs/9", "", "there is no job 9"),
        ("/jobs/x", "", "there is no job x"),
        ("/nowhere", "", "There is no such page"),
        ("/compare", "?comparison=9", "there is no comparison 9"),
        ("/compare", "?comparison=1", "Side by side"),
        ("/models/1", "?tab=inside&threshold=30", '"inside"'),
        ("/models/3", "", "all rows have the label 0"),
        ("/new", "?clone=1", '"a-2"'),
        ("/test", "?models=1,99", "training of a"),
        ("/live", "?model=1&min=50&coin=COIN0", "COIN0"),
    ],
)
def test_an_address_decides_what_is_shown(browser: Browser, path: str, search: str, words: str):
    assert words in browser.open(path, search)


@pytest.mark.parametrize(("language", "mark"), [("en", "."), ("de", ",")])
def test_fields_for_numbers_take_the_readers_decimal_mark(browser: Browser, language: str, mark: str):
    browser.client.headers["accept-language"] = language
    shown = [browser.open(path) for path in ("/data", "/new", "/live", "/models/1")] + [browser.seen("live-rules")]
    marks = [text.count(f'"decimalSeparator": "{mark}"') for text in shown]
    assert marks == [text.count('"type": "NumberInput"') for text in shown]
    assert all(marks)


def test_an_empty_market_leads_to_the_first_step(panel: Panel):
    services = services_over(panel, Registry())
    services.market.empty = True
    browser = Browser(services)
    assert "Simulate a market" in browser.open("")
    for path in PATHS[1:]:
        assert "Something went wrong" not in browser.open(path)
    assert "There is nothing to learn from yet" in browser.open("/new")
    answer = browser.fire("overview-tick.n_intervals", {"first-simulate.n_clicks": 1}, "first-simulate.n_clicks")
    assert services.ingestion.asked == [(60, 24.0, 42)]
    assert "Market data stored" in notices(answer)
    assert "Next: train a first model" in json.dumps(
        browser.fire("overview-content.children", {"overview-tick.n_intervals": 1}, "overview-tick.n_intervals")
    )


def test_without_a_predictor_pages_state_that(panel: Panel, registry: Registry):
    browser = Browser(services_over(panel, registry, live=None, keys=None))
    assert "No predictor is part" in browser.open("/live")
    assert "No predictor is part" in browser.open("")
    assert "Something went wrong" not in browser.open("/models/1", "?tab=live")
    assert "Something went wrong" not in browser.open("/data/COIN0")


FORM = {
    "spec-name.value": "new",
    "spec-model_type.value": "xgboost",
    "spec-kind.value": "change",
    "spec-target_var.value": "price_close",
    "spec-future_minutes.value": 5,
    "spec-min_percent_change.value": 1,
    "spec-direction.value": "up",
    "spec-features.value": ["volume_sol"],
    "spec-use_smote.checked": True,
    "spec-start.value": "2024-01-01 00:00:00",
    "spec-end.value": "2024-01-01 05:00:00",
}


def check(browser: Browser, **changes: object) -> dict:
    given = FORM | {f"spec-{name}": value for name, value in changes.items()}
    return browser.fire("spec-problems.children", given, "spec-name.value")["response"]


def test_the_command_is_for_the_address_in_the_browser(browser: Browser):
    given = FORM | {"url.href": "https://host.example:8443/ml/dashboard/new"}
    found = browser.fire("spec-problems.children", given, "spec-name.value")["response"]
    first = found["spec-curl"]["children"].splitlines()[0]
    assert first == "curl -X POST https://host.example:8443/ml/api/models/create \\"


def test_a_right_form_can_be_weighed_and_ordered(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    found = check(browser)
    assert found["spec-order"]["disabled"] is False
    document = found["spec-document"]["data"]
    assert json.loads(found["spec-json"]["children"]) == document
    assert "X-API-Key" not in found["spec-curl"]["children"]
    weighed = browser.fire("spec-estimate.children", {"spec-document.data": document}, "spec-document.data")
    assert "positive in" in json.dumps(weighed)
    answer = browser.fire("go.data", {"spec-order.n_clicks": 1, "spec-document.data": document}, "spec-order.n_clicks")
    assert services.jobs.get(1).request["name"] == "new"
    assert "Job created" in notices(answer)
    assert "Training of new" in browser.open("/jobs")


def test_a_horizon_in_sessions_takes_the_place_of_minutes(browser: Browser):
    document = check(browser, **{"horizon_sessions.value": 5, "calendar.value": "XETR"})["spec-document"]["data"]
    assert (document["horizon_sessions"], document["calendar"]) == (5, "XETR")
    assert "future_minutes" not in document
    minutes = check(browser, **{"calendar.value": "XETR"})["spec-document"]["data"]
    assert minutes["future_minutes"] == 5
    assert "calendar" not in minutes


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name.value": ""}, "spec-name", "character"),
        ({"name.value": "a"}, "spec-name", "taken"),
        ({"indicators.value": ["rsy_14"]}, None, "did you mean"),
        ({"future_minutes.value": -1}, "spec-future_minutes", "greater than 0"),
        ({"horizon_sessions.value": 0}, "spec-horizon_sessions", "equal to 1"),
        ({"horizon_sessions.value": 1, "calendar.value": "XNY"}, None, "did you mean"),
        ({"end.value": None}, None, "Choose a beginning and an end."),
        ({"end.value": "soon"}, None, "is no time"),
        ({"start.value": "2030-01-01 00:00:00", "end.value": "2030-01-02 00:00:00"}, None, "the data reach from"),
        ({"kind.value": "level"}, None, "operator"),
    ],
)
def test_what_is_wrong_stands_at_its_field(browser: Browser, changes: dict, field: str | None, words: str):
    found = check(browser, **changes)
    assert found["spec-order"]["disabled"] is True
    place = found["spec-problems"]["children"] if field is None else found[field]["error"]
    assert words in json.dumps(place)


def test_tests_and_comparisons_are_ordered(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    times = {"start.value": "2024-01-01 07:00:00", "end.value": "2024-01-01 09:00:00"}
    test = {"test-models.value": ["1"], "test-order.n_clicks": 1} | {f"test-{k}": v for k, v in times.items()}
    period_notes = browser.fire("test-remarks.children", test, "test-models.value")["response"]
    assert "outside of the training" in json.dumps(period_notes)
    assert "Job 1 is in the queue." in notices(browser.fire("go.data", test, "test-order.n_clicks"))
    early = test | {"test-start.value": "2024-01-01 01:00:00", "test-end.value": "2024-01-01 02:00:00"}
    assert "looks too good" in json.dumps(browser.fire("test-remarks.children", early, "test-models.value"))
    none = browser.fire("test-remarks.children", test | {"test-models.value": []}, "test-models.value")["response"]
    assert none["test-order"]["disabled"] is True
    pair = {"compare-a.value": "1", "compare-b.value": "2", "compare-order.n_clicks": 1}
    pair |= {f"compare-{k}": v for k, v in times.items()}
    assert "outside of both" in json.dumps(browser.fire("compare-remarks.children", pair, "compare-a.value"))
    assert "Job created" in notices(browser.fire("go.data", pair, "compare-order.n_clicks"))
    same = browser.fire("compare-remarks.children", pair | {"compare-b.value": "1"}, "compare-a.value")["response"]
    assert same["compare-order"]["disabled"] is True
    assert [job.job_type for job in services.jobs.find()] == ["COMPARE", "TEST"]


@pytest.mark.parametrize(
    ("prefix", "fields", "marked"),
    [
        ("test", {"test-models.value": ["1", "2"]}, ["training of a", "training of b"]),
        ("test", {"test-models.value": [], "test-marked.data": [1]}, []),
        ("compare", {"compare-a.value": "1", "compare-b.value": "1"}, ["training of a"]),
        ("compare", {"compare-a.value": "2", "compare-b.value": None}, ["training of b"]),
    ],
)
def test_the_picture_marks_when_the_chosen_models_learnt(browser: Browser, prefix: str, fields: dict, marked: list):
    answer = browser.fire(f"{prefix}-picture.figure", fields, next(iter(fields)))["response"]
    layout = answer[f"{prefix}-picture"]["figure"]["layout"]
    assert [one["text"] for one in layout.get("annotations", [])] == marked
    again = fields | {f"{prefix}-marked.data": answer[f"{prefix}-marked"]["data"]}
    assert browser.fire(f"{prefix}-picture.figure", again, next(iter(fields))) == {}


def test_the_strongest_predictions_are_of_different_coins(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    services.live.found.append(replace(services.live.found[0], id=10, coin_id="COIN1"))
    shown = Browser(services).open("")
    beginning = shown.index("Strongest predictions now")
    strongest = shown[beginning : shown.index("Recent alerts")]
    assert [strongest.count(f"/data/coins/{coin}") for coin in ("COIN0", "COIN1")] == [1, 1]
    assert "90.0" in strongest


@pytest.mark.parametrize("value", [0.03, -0.03])
def test_a_lead_lies_within_its_interval(browser: Browser, registry: Registry, value: float):
    ends = sorted([0.0, 3 * value])
    found = {"differences": {"pr_auc": {"value": value, "low": ends[0], "high": ends[1]}}}
    registry.comparisons.append(replace(registry.comparisons[0], significance=found))
    better = "a" if value > 0 else "b"
    summary = f"{better} ranks better by 0.0300 PR-AUC; within +0.0000 … +0.0900"
    assert summary in browser.open("/compare", "?comparison=2")


def test_models_that_are_alike_are_shown_as_such(browser: Browser, registry: Registry):
    registry.comparisons.append(replace(registry.comparisons[0], significance=ALIKE))
    assert "Both rank equally well. They err about equally often" in browser.open("/compare", "?comparison=2")


def test_jobs_are_cancelled_and_tried_again(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    services.jobs.order("TEST", {"model_id": 1})
    button = '{"job":1,"kind":"job-cancel"}.n_clicks'
    assert "Cancelled" in notices(browser.fire("jobs-tick.n_intervals", {button: 1}, button))
    assert services.jobs.get(1).status == "CANCELLED"
    other = button.replace("1", "7", 1)
    assert "That did not work" in notices(browser.fire("jobs-tick.n_intervals", {other: 1}, other))
    again = '{"job":1,"kind":"job-retry"}.n_clicks'
    assert "In the queue again" in notices(browser.fire("jobs-tick.n_intervals", {again: 1}, again))
    assert services.jobs.get(1).status == "PENDING"
    listed = browser.fire("jobs-list.children", {"jobs-status.value": "PENDING"}, "jobs-status.value")
    assert "Test of a" in json.dumps(listed)


def test_data_are_simulated_and_brought_in(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    given = {"simulate-go.n_clicks": 1, "simulate-coins.value": 5, "simulate-hours.value": 2, "simulate-seed.value": 7}
    assert "Market data stored" in notices(browser.fire("data-content.children", given, "simulate-go.n_clicks"))
    file = {
        "ingest-file.contents": "data:text/csv;base64," + base64.b64encode(b"a,b").decode(),
        "ingest-file.filename": "x.csv",
        "data-market.data": "coins",
    }
    done = browser.fire("ingest-done.children", file, "ingest-file.contents")
    assert "x.csv: 3 rows read, 2 accepted" in json.dumps(done)
    assert services.ingestion.asked == [(5, 2.0, 7), ("x.csv", b"a,b")]
    broken = file | {"ingest-file.contents": "data:text/csv;base64,???"}
    assert "did not arrive whole" in notices(browser.fire("ingest-done.children", broken, "ingest-file.contents"))


def test_a_chart_is_drawn_anew_for_what_it_shows_and_explains_its_points(browser: Browser):
    window = {"xaxis.range[0]": "2024-01-01 01:00:00", "xaxis.range[1]": "2024-01-01 02:00:00"}
    given = {
        "instrument-name.data": {"market": "coins", "key": "COIN0"},
        "instrument-chart.relayoutData": window,
        "instrument-models.value": ["1"],
    }
    patch = browser.fire("instrument-chart.figure", given, "instrument-chart.relayoutData")["response"][
        "instrument-chart"
    ]["figure"]
    drawn = {tuple(one["location"]): one["params"]["value"] for one in patch["operations"]}
    assert len(drawn["data",][0]["x"]) < 200
    assert drawn["data",][-1]["name"] == "a"
    assert drawn["layout", "shapes"] == []
    click = {
        "instrument-name.data": {"market": "coins", "key": "COIN0"},
        "instrument-model.value": "1",
        "instrument-chart.clickData": {"points": [{"x": "2024-01-01 03:00:00"}]},
    }
    explained = json.dumps(browser.fire("instrument-features.children", click, "instrument-chart.clickData"))
    assert "The most important of" in explained
    assert re.search(r"a: probability \d+\.\d+%, prediction: (yes|no)\.", explained)
    newest = click | {"instrument-chart.clickData": None, "instrument-newest.n_clicks": 1}
    for changed in ("instrument-newest.n_clicks", "instrument-model.value"):
        latest = json.dumps(browser.fire("instrument-features.children", newest, changed))
        assert "Row of Jan 1, 2024, 09:59" in latest
    nothing = click | {"instrument-chart.clickData": {}, "instrument-model.value": "1"}
    assert "Click a point" in json.dumps(
        browser.fire("instrument-features.children", nothing, "instrument-model.value")
    )


def test_a_period_is_chosen_on_the_picture(browser: Browser):
    chosen = {"test-picture.selectedData": {"range": {"x": ["2024-01-01 04:00:10", "2024-01-01 02:00:00"]}}}
    found = browser.fire("test-start.value", chosen, "test-picture.selectedData")["response"]
    assert found["test-start"]["value"] == "2024-01-01 02:00:00"
    assert found["test-end"]["value"] == "2024-01-01 04:00:00"


@pytest.mark.parametrize("drift", [0.0, 0.25])
def test_a_stored_prediction_is_computed_again(panel: Panel, registry: Registry, drift: float):
    services = services_over(panel, registry)
    services.live.drift = drift
    services.live.found = [replace(services.live.found[3], timestamp=to_datetime(int(panel.timestamps[90])))]
    browser = Browser(services)
    moment = f"{services.live.found[0].timestamp:%Y-%m-%d %H:%M:%S}"
    given = {
        "instrument-name.data": {"market": "coins", "key": "COIN0"},
        "instrument-model.value": "1",
        "instrument-chart.clickData": {"points": [{"x": moment}]},
    }
    shown = json.dumps(browser.fire("instrument-features.children", given, "instrument-chart.clickData"))
    assert "Stored live: 40.0%." in shown
    clicked = {"instrument-replay.n_clicks": 1, "instrument-stored.data": "4"}
    replayed = json.dumps(browser.fire("instrument-replayed.children", clicked, "instrument-replay.n_clicks"))
    assert ("agrees in every bit" in replayed) != bool(drift)
    assert ("instead of" in replayed) == ("Rows that were corrected after it: 1." in replayed) == bool(drift)
    assert "left out: 2." in replayed


def test_keys_are_made_and_revoked(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    given = {"key-make.n_clicks": 1, "key-name.value": "flow", "key-scope.value": "train"}
    assert "kw_flow_read_train" in json.dumps(browser.fire("key-made.children", given, "key-make.n_clicks"))
    assert "Give the key a name" in notices(
        browser.fire("key-made.children", given | {"key-name.value": " "}, "key-make.n_clicks")
    )
    sure = '{"kind":"danger-do","what":"key-1"}.n_clicks'
    assert "Revoked" in notices(browser.fire("system-keys.children", {sure: 1}, sure))
    assert services.keys.revoked == [1]
    assert "system-now" in json.dumps(
        browser.fire("system-now.children", {"system-tick.n_intervals": 1}, "system-tick.n_intervals")
    )


def test_a_fault_of_ours_is_logged_and_owned_up_to(panel: Panel, registry: Registry, caplog):
    class Broken(Live):
        def predictions(self, **_: object):
            raise ZeroDivisionError("a fault")

    browser = Browser(services_over(panel, registry, live=Broken(registry)))
    assert "Something went wrong" in browser.open("/live")
    assert "a fault" in caplog.text


def test_the_market_in_memory_is_the_one_asked(panel: Panel):
    assert Market(panel).instruments() == list(panel.instruments)


REASON = Message("model.not_ready", name="a", status="FAILED", remedy=Message("training.again"))


@pytest.mark.parametrize(
    ("path", "search", "words"),
    [
        ("/data/NONE", "", "Im Markt coins gibt es keine Zeilen von „NONE“"),
        ("/compare", "?comparison=9", "Es gibt keinen Vergleich 9"),
        ("", "", "hat in 2,0 ms geantwortet"),
        ("", "", "Platte: 1,0 GB frei"),
        ("/data", "", "das Hoch liegt unter dem Tief"),
        ("/models/3", "", "Modell „a“ ist nicht bereit (Zustand: gescheitert); bitte neu trainieren"),
        ("/jobs", "", "Modell „a“ ist nicht bereit (Zustand: gescheitert); bitte neu trainieren"),
        ("/jobs", "", "gescheitert: Modell „a“ ist nicht bereit"),
    ],
)
def test_messages_of_other_parts_are_in_the_readers_language(
    panel: Panel, registry: Registry, path: str, search: str, words: str
):
    services = services_over(panel, registry)
    registry.records[3] = replace(registry.records[3], error_msg=str(REASON), error_detail=REASON)
    number = services.jobs.order("TEST", {"model_id": 1})
    job = services.jobs.get(number)
    ended = replace(job, status="FAILED", started_at=WHEN, completed_at=WHEN)
    services.jobs.jobs[number] = replace(ended, error_msg=str(REASON), error_detail=REASON)
    browser = Browser(services)
    browser.client.headers["accept-language"] = "de"
    assert words in browser.open(path, search)


def test_answers_to_a_reader_are_in_the_readers_language(panel: Panel, registry: Registry):
    services = services_over(panel, registry)
    browser = Browser(services)
    browser.client.headers["accept-language"] = "de"
    found = check(browser, **{"future_minutes.value": -1})
    assert found["spec-future_minutes"]["error"] == "Erlaubt: größer als 0"
    found = check(browser, **{"indicators.value": ["rsy_14"]})
    assert "Merkmal „rsy_14“ ist unbekannt; war „rsi_14“ gemeint?" in json.dumps(found, ensure_ascii=False)
    turned = {"test-models.value": ["1"], "test-start.value": "2024-01-02 00:00:00"}
    turned |= {"test-end.value": "2024-01-01 00:00:00"}
    period_notes = browser.fire("test-remarks.children", turned, "test-models.value")["response"]
    assert "Der Zeitraum beginnt um 02.01.2024" in json.dumps(period_notes, ensure_ascii=False)
    order = turned | {"test-order.n_clicks": 1}
    assert "Der Zeitraum beginnt um 02.01.2024" in notices(browser.fire("go.data", order, "test-order.n_clicks"))
    simulated = browser.fire("data-content.children", {"simulate-go.n_clicks": 1}, "simulate-go.n_clicks")
    assert "1.234 Zeilen sind gespeichert" in notices(simulated)
    file = {"ingest-file.contents": "data:text/csv;base64,YSxi", "ingest-file.filename": "a.csv"}
    file["data-market.data"] = "coins"
    done = browser.fire("ingest-done.children", file, "ingest-file.contents")
    assert "a.csv: 3 Zeilen gelesen, 2 angenommen" in json.dumps(done, ensure_ascii=False)


def test_the_form_orders_a_return_forecast(browser: Browser):
    kind = {"kind.value": "return", "model_type.value": "ridge", "coverage.value": 0.8, "use_smote.checked": False}
    found = check(browser, **kind)
    document = json.loads(found["spec-json"]["children"])
    assert (document["target"], document["coverage"], document["future_minutes"]) == ("return", 0.8, 5)
    assert not {"use_time_based_prediction", "direction", "min_percent_change"} & document.keys()
    assert found["spec-order"]["disabled"] is False
    assert found["spec-document"]["data"] == document
