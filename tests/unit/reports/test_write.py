"""The page: whole, self-contained, escaped, the same for the same report, and sensible where things are missing."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, UnknownNameError
from kurswerk.market import Panel
from kurswerk.reports import MarketOverview, Place, Report, ReportedModel, _write, render_report, write_report
from kurswerk.reports._page import page_of
from kurswerk.reports._write import _json_inside_html
from unit.reports.samples import START, comparison_of, evaluation_of, market, record_of, report_of, result_of

VOID = {"meta", "link", "br", "img", "hr", "input"}
LOADS = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping", "manifest"}


class Page(HTMLParser):
    """What a browser would make of a page, as far as the tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.loads: list[str] = []
        self.tags: Counter[str] = Counter()
        self.events: list[str] = []
        self.text: list[str] = []
        self.charts = ""
        self._open: list[str] = []
        self._id = ""
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        values = {name: value or "" for name, value in attrs}
        self._id = values.get("id", "")
        if self._id:
            self.ids.append(self._id)
        self.events += [name for name in values if name.startswith("on")]
        self.loads += [value for name, value in values.items() if name in LOADS]
        if tag == "a":
            self.targets.append(values["href"])
        elif "href" in values:
            self.loads.append(values["href"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.charts = data if self._id == "charts" else self.charts
        elif self._open and self._open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of()


@pytest.fixture
def page(report: Report) -> dict[str, Any]:
    return whole_page(report)


@cache
def whole_page(report: Report) -> dict[str, Any]:
    return page_of(report)


@pytest.fixture(autouse=True)
def small_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes of library are parsed once, by the test that looks for them."""
    if "whole" not in request.node.name:
        monkeypatch.setattr(_write, "get_plotlyjs", lambda: "/* the library */")


def test_page_is_whole_and_loads_nothing(report: Report) -> None:
    text = render_report(report)
    page = Page(text)
    assert len(text) > 1_000_000, "the plotting library is inside"
    assert len(page.ids) == len(set(page.ids))
    assert page.targets
    assert {target.removeprefix("#") for target in page.targets} <= set(page.ids)
    assert page.loads == ["data:,"]
    assert page.tags["script"] == 3
    assert not {"img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert "default-src 'none'" in text
    assert "url(" not in text[text.index("<style>") : text.index("</style>")]
    assert set(json.loads(page.charts)) <= set(page.ids)


def test_page_shows_the_verdicts_and_what_was_done(report: Report) -> None:
    words = Page(render_report(report)).words
    for expected in (
        "forest beats ranking by recent volatility: PR-AUC 0.",
        "boosted trees is not certified yet",
        report.comparisons[0].significance["sentence"],
        "price_close up 2 % at 60 minutes",
        "Simulated a market",
        "1.2 s",
        "postgresql://postgres:•••@127.0.0.1:5432/kurswerk",
        "kurswerk predict COIN0",
        "3,600 rows 6 coins 2 days",
        "Fee and slippage are 10.0 and 5.0 basis points on each side.",
        "900,368 values compared",
        "2024-09-02 09:15:30 UTC",
        "80 draws with replacement over 6 coins",
    ):
        assert " ".join(expected.split()) in words
    assert "s3cret" not in words


def test_every_figure_is_there_on_both_grounds(page: dict[str, Any]) -> None:
    charts = page["charts"]
    names = {name.removeprefix("plot-").split("-")[0] for name in charts}
    assert names == {
        *(
            "advantage",
            "pr",
            "roc",
            "calibration",
            "equity",
            "folds",
            "candles",
            "confusion",
            "importance",
            "comparison",
        )
    }
    for drawn in charts.values():
        assert set(drawn) == {"light", "dark"}
        assert drawn["light"]["data"]
        assert drawn["light"] != drawn["dark"]


def test_equal_reports_give_equal_bytes(report: Report) -> None:
    assert render_report(report) == render_report(report_of())


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"&{{7*7}}"


def test_hostile_text_is_text(report: Report) -> None:
    names = (HOSTILE, f"{HOSTILE}2")
    bad = report_of(names)
    bad = replace(bad, title=HOSTILE, introduction=HOSTILE, places=(Place(HOSTILE, HOSTILE, HOSTILE),))
    calm, found = Page(render_report(report)), Page(render_report(bad))
    assert found.tags["script"] == calm.tags["script"]
    assert found.tags["img"] == 0
    assert found.events == []
    assert HOSTILE in found.words
    assert "&lt;/script&gt;" in json.dumps(json.loads(found.charts)), "Plotly reads HTML, so names are escaped for it"


@given(st.text(), st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False), max_size=3))
@settings(max_examples=40)
def test_json_inside_html_is_the_same_json_and_ends_no_script(text: str, numbers: dict[str, float]) -> None:
    written = _json_inside_html([text, numbers])
    assert json.loads(written) == [text, numbers]
    assert not set("<>&") & set(written)


def test_an_empty_report_explains_what_to_do() -> None:
    page = Page(render_report(Report("Nothing yet", START)))
    assert "kurswerk train SPEC.json" in page.words
    assert page.charts == "{}"
    assert {target.removeprefix("#") for target in page.targets} <= set(page.ids)


def test_a_model_without_anything_is_shown_with_what_is_missing() -> None:
    bare = replace(
        record_of(3, "bare", "xgboost", 0.5),
        evaluation=None,
        cv_scores=None,
        certificate=None,
        feature_importance={},
        metrics=None,
        status="FAILED",
        error_msg="all rows have the label 0",
        spec={},
        artifact_sha256=None,
        description="an attempt",
        library_versions={},
        features=(),
    )
    words = Page(render_report(Report("Bare", START, models=(ReportedModel(bare),)))).words
    for expected in (
        "bare is FAILED",
        "all rows have the label 0",
        "No evaluation is stored",
        "Not certified yet",
        "an attempt",
    ):
        assert expected in words
    assert "None" not in words


def test_one_class_and_no_trades_are_put_in_words() -> None:
    record = record_of(4, "quiet", "xgboost", 0.5)
    whole = evaluation_of(0.5, 4).as_json()
    undefined = {"value": None, "low": None, "high": None}

    def without(estimates: dict[str, dict[str, float | None]]) -> dict[str, dict[str, float | None]]:
        return {**estimates, "pr_auc": undefined, "roc_auc": undefined, "simulated_profit_pct": undefined}

    evaluation = {
        **whole,
        "num_positive": 0,
        "metrics": without(whole["metrics"]),
        "baselines": {name: without(one) for name, one in whole["baselines"].items()},
        "differences": {name: without(one) for name, one in whole["differences"].items()},
        "curves": {**whole["curves"], "precision_recall": None, "roc": None},
        "trades": {**whole["trades"], "count": 0, "skipped": 0, "equity": [], "simulated_profit_pct": None},
        "bootstrap": {},
    }
    test = replace(result_of(record, 0.5), evaluation=evaluation)
    words = Page(render_report(Report("Quiet", START, models=(ReportedModel(record, (test,)),)))).words
    for expected in (
        "no ranking can be judged",
        "no precision–recall curve",
        "no ROC curve",
        "No trade was made",
        "makes no trade",
    ):
        assert expected in words


def test_models_judged_on_different_rows_are_distinguished(report: Report) -> None:
    first, second = report.models
    later = replace(second.tests[0], test_start=START + timedelta(days=9), test_end=START + timedelta(days=12))
    page = page_of(replace(report, models=(first, replace(second, tests=(later, *second.tests)))))
    assert len(page["judged"]) == 2
    assert len(page["models"][1]["tests"]) == 2
    words = Page(render_report(replace(report, models=(first, ReportedModel(second.record))))).words
    assert "judged on different rows" in words


def test_equal_names_are_distinguished() -> None:
    one = record_of(1, "same", "xgboost", 0.5)
    models = (ReportedModel(one), ReportedModel(replace(one, id=2)), ReportedModel(one))
    names = [model["name"] for model in page_of(Report("Same", START, models=models))["models"]]
    assert names == ["same (model 1)", "same (model 2)", "same (model 1), 2"]


def test_a_comparison_of_unknown_models_and_other_targets(report: Report) -> None:
    tests = [model.tests[0] for model in report.models]
    one = comparison_of(*tests, (1.0, 0.8), ("forest", "boosted trees"))
    plain = replace(
        one, model_a_id=77, winner_id=None, significance={"more_than_luck": None, "sentence": "Their targets differ."}
    )
    page = page_of(replace(report, comparisons=(plain,)))
    (shown,) = page["comparisons"]
    assert shown["a"] == "model 77"
    assert shown["figure"] is None
    assert shown["verdict"].text.startswith("A draw")
    rows = {row["name"]: row for row in shown["table"]}
    assert rows["F1"]["a"] == f"{one.a_metrics.f1:.3f}"
    assert rows["F1"]["difference"] == "–"
    assert "Their targets differ." in Page(render_report(replace(report, comparisons=(plain,)))).words


def test_comparison_marks_only_differences_whose_interval_excludes_zero(report: Report, page: dict[str, Any]) -> None:
    one = report.comparisons[0]
    significance = {
        **one.significance,
        "differences": {
            **one.significance["differences"],
            "f1": {"value": -0.2, "low": -0.3, "high": -0.1},
            "recall": {"value": 0.2, "low": -0.3, "high": 0.4},
        },
    }
    rows = {row["name"]: row for row in page["comparisons"][0]["table"]}
    assert rows["base rate"]["difference"] == "–"
    rows = {
        row["name"]: row
        for row in page_of(replace(report, comparisons=(replace(one, significance=significance),)))["comparisons"][0][
            "table"
        ]
    }
    assert rows["F1"]["sure"]
    assert not rows["recall"]["sure"]
    assert rows["F1"]["interval"] == "−0.300 … −0.100"


def test_metric_table_marks_better_and_worse_the_right_way_round(report: Report) -> None:
    test = report.models[0].tests[0]
    differences = {
        **test.evaluation["differences"],
        "base_rate": {
            "f1": {"value": 0.2, "low": 0.1, "high": 0.3},
            "brier": {"value": 0.2, "low": 0.1, "high": 0.3},
            "log_loss": {"value": -0.2, "low": -0.3, "high": -0.1},
            "recall": {"value": 0.0, "low": -0.1, "high": 0.1},
        },
    }
    changed = replace(test, evaluation={**test.evaluation, "differences": differences})
    page = page_of(replace(report, models=(ReportedModel(report.models[0].record, (changed,)),)))
    signs = {row["name"]: row["others"][-1]["sign"] for row in page["models"][0]["table"]["rows"]}
    assert (signs["F1"], signs["Brier"], signs["log loss"], signs["recall"]) == ("better", "worse", "better", "")


def test_models_with_other_costs_are_named(report: Report) -> None:
    first, second = report.models
    evaluation = second.tests[0].evaluation
    dear = replace(second.tests[0], evaluation={**evaluation, "trades": {**evaluation["trades"], "fee_bps": 50.0}})
    costs = page_of(replace(report, models=(first, replace(second, tests=(dear,)))))["costs"]
    assert costs[1] == "Fee and slippage of boosted trees are 50.0 and 5.0 basis points on each side."


def test_times_are_utc_whatever_they_came_in() -> None:
    east = datetime(2024, 9, 2, 11, 0, tzinfo=timezone(timedelta(hours=2)))
    assert page_of(Report("t", east))["written"] == "2024-09-02 09:00:00 UTC"
    assert page_of(Report("t", datetime(2024, 9, 2, 9)))["written"] == "2024-09-02 09:00:00 UTC"  # noqa: DTZ001 - naive on purpose


def test_market_overview_of_a_panel() -> None:
    times = np.array([0, 60, 120, 0, 60]) * 1_000_000
    panel = Panel.from_columns(["b", "b", "b", "a", "a"], times, {"price_close": np.arange(5.0)})
    found = MarketOverview.of(panel, "somewhere")
    assert (found.rows, found.coins, found.source) == (5, 2, "somewhere")
    assert found.example is not None
    assert found.example.instruments == ("b",)
    assert found.example.column("price_close").tolist() == [0.0, 1.0, 2.0]
    assert (found.end - found.start).total_seconds() == 120
    chosen = MarketOverview.of(panel, coin="a").example
    assert chosen is not None
    assert chosen.instruments == ("a",)
    with pytest.raises(UnknownNameError, match="unknown coin"):
        MarketOverview.of(panel, coin="c")
    with pytest.raises(DataError, match="no rows"):
        MarketOverview.of(panel.until(-1))


def test_market_without_an_example() -> None:
    overview = replace(MarketOverview.of(market()[0]), example=None)
    assert "3,600 rows" in Page(render_report(Report("m", START, market=overview))).words


def test_write_makes_directories_replaces_and_leaves_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report.html"
    assert write_report(target, Report("one", START)) == target
    write_report(target, Report("two", START))
    assert "<title>two</title>" in target.read_text(encoding="utf-8")
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_report(tmp_path / "report.html", Report("one", START))
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
