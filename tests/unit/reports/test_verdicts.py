"""Verdicts state what the stored intervals show, and no more."""

from dataclasses import replace
from typing import Any

import pytest

from kurswerk.reports import ReportedModel
from kurswerk.reports._verdicts import against, verdicts
from unit.reports.samples import certificate, evaluation_of, record_of, result_of


def stored(value: float | None, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    difference = {"value": value, "low": low, "high": high}
    return {
        "num_positive": 10,
        "metrics": {"pr_auc": {"value": 0.31, "low": 0.2, "high": 0.4}},
        "baselines": {"volatility": {"pr_auc": {"value": 0.22, "low": 0.1, "high": 0.3}}},
        "differences": {"volatility": {"pr_auc": difference}},
        **more,
    }


@pytest.mark.parametrize(
    ("evaluation", "tone", "words"),
    [
        (
            stored(0.09, 0.05, 0.13),
            "good",
            "beats ranking by recent volatility: PR-AUC 0.310 against 0.220 (difference",
        ),
        (stored(0.09, 0.05, 0.13), "good", "difference +0.090, 95 % interval +0.050 … +0.130"),
        (stored(0.09, -0.05, 0.13), "unsure", "does not clearly beat"),
        (stored(-0.09, -0.13, -0.05), "bad", "is worse than"),
        (stored(0.09, None, None), "unsure", "may or may not beat"),
        (stored(None, None, None), "unsure", "cannot be set against"),
        (stored(0.09, 0.05, 0.13, beats={"volatility": False}), "unsure", "does not clearly beat"),
        (stored(0.09, 0.05, 0.13, bootstrap={"confidence": 0.9}), "good", "90 % interval"),
    ],
)
def test_against_a_baseline(evaluation: dict[str, Any], tone: str, words: str) -> None:
    found = against("forest", evaluation, "volatility")
    assert found.tone == tone
    assert words in found.text


def test_why_there_is_no_verdict() -> None:
    assert "came true" in against("m", stored(None, None, None, num_positive=0), "volatility").detail
    assert "undefined" in against("m", stored(None, None, None), "volatility").detail


@pytest.fixture
def model() -> ReportedModel:
    record = record_of(1, "forest", "random_forest", 1.0)
    return ReportedModel(record, (result_of(record, 1.0),))


def texts(model: ReportedModel) -> str:
    return "\n".join(f"{one.tone}: {one.text} {one.detail}" for one in verdicts("forest", model))


def with_evaluation(model: ReportedModel, **more: Any) -> ReportedModel:
    test = model.tests[0]
    return replace(model, tests=(replace(test, evaluation={**test.evaluation, **more}),))


def test_a_good_model(model: ReportedModel) -> None:
    found = verdicts("forest", model)
    assert [one.tone for one in found] == ["good"] * 5
    assert "beats ranking by recent volatility" in found[0].text
    assert "probes found no look into the future" in found[-1].text


def test_verdict_follows_the_evaluation() -> None:
    evaluation = evaluation_of(1.0, 1)
    assert against("m", evaluation.as_json(), "persistence").tone == (
        "good" if evaluation.beats("persistence") else "unsure"
    )


def test_status_and_missing_tests(model: ReportedModel) -> None:
    failed = replace(model.record, status="FAILED", error_msg="one class", evaluation=None, certificate=None)
    assert texts(ReportedModel(failed)).startswith("bad: forest is FAILED. one class")
    assert "not been tested" in texts(ReportedModel(model.record))
    assert "beats persistence" in texts(ReportedModel(model.record)), "out of fold stands in for the test"
    assert "trade" not in texts(ReportedModel(failed))
    assert "certified" not in texts(ReportedModel(failed))


def test_trades(model: ReportedModel) -> None:
    trades = model.evaluation["trades"]
    assert "no trades are simulated" in texts(with_evaluation(model, trades=None))
    none = {**trades, "count": 0, "skipped": 0}
    assert "No probability reaches the threshold of 0.35" in texts(with_evaluation(model, trades=none))
    assert "All 7 predicted trades lack" in texts(with_evaluation(model, trades={**none, "skipped": 7}))
    one = {**trades, "count": 1, "simulated_profit_pct": -2.0}
    for bounds, tone in (((None, None), "unsure"), ((-3.0, -1.0), "bad"), ((-3.0, 1.0), "unsure")):
        profit = {"value": -2.0, "low": bounds[0], "high": bounds[1]}
        metrics = {**model.evaluation["metrics"], "simulated_profit_pct": profit}
        assert f"{tone}: forest's 1 simulated trade lose" in texts(with_evaluation(model, trades=one, metrics=metrics))


def test_certificates(model: ReportedModel) -> None:
    broken = replace(model, record=replace(model.record, certificate=certificate(certified=False)))
    assert "bad: forest is NOT certified: 17 differing bits, 1 of 7 probes failed." in texts(broken)
    assert "not certified yet" in texts(replace(model, record=replace(model.record, certificate=None)))


def test_a_long_name_is_cut_in_sentences(model: ReportedModel) -> None:
    found = verdicts("x" * 255, model)
    assert all(one.text.startswith("x" * 59 + "…") for one in found)


def test_warnings(model: ReportedModel) -> None:
    seen = replace(
        model.tests[0], has_overlap=True, overlap_note="40.0% of the test period lies in the training period"
    )
    assert "bad: forest was tested on data it had seen. 40.0%" in texts(replace(model, tests=(seen,)))
    seen = replace(seen, overlap_note=None, is_overfitted=True, accuracy_degradation=0.21)
    found = texts(replace(model, tests=(seen,)))
    assert "The test period overlaps" in found
    assert "falls by 0.210" in found
