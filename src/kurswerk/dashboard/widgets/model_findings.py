"""Findings on a model, from its stored evaluation."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from kurswerk.core.messages import Message
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.registry import ModelRecord, TestResult

Json = Mapping[str, Any]
# Between the coverage of an interval and its promise.
_NEAR_COVERAGE: Final = 0.02
_COLORS: Final = {"good": "teal", "bad": "red", "unsure": "orange"}
_SIGNS: Final = {"good": "✓", "bad": "✗", "unsure": "?"}
_BASELINES: Final = {
    "volatility": N_("the ranking by recent volatility"),
    "persistence": N_("persistence"),
    "base_rate": N_("the base rate"),
}


def model_findings(user: UserContext, record: ModelRecord, test: TestResult | None) -> Any:
    """Return the findings on a model, each with its tone."""
    evaluation = test.evaluation if test is not None else record.evaluation or {}
    found = [
        *_on_test(user, test),
        *_on_forecast(user, evaluation.get("forecast")),
        *_on_baselines(user, evaluation),
        *_on_trades(user, evaluation),
        *_on_ended(user, evaluation),
    ]
    return dmc.Stack(
        [
            html.Div(
                [
                    dmc.ThemeIcon(_SIGNS[tone], color=_COLORS[tone], variant="light", radius="xl", size="sm"),
                    dmc.Text(text, size="sm"),
                ],
                className="kw-finding",
            )
            for tone, text in found
        ],
        gap=6,
    )


def _on_test(user: UserContext, test: TestResult | None) -> Iterator[tuple[str, str]]:
    if test is None:
        yield (
            "unsure",
            user.t("Evaluated out of fold within the training period; a test on later data is stronger evidence."),
        )
        return
    if test.has_overlap:
        yield "bad", user.t("The test overlaps the training period: the model was evaluated on data it had seen.")
    if test.is_overfitted:
        yield (
            "bad",
            user.t(
                "It looks overfitted: accuracy falls by {n} from training to test.",
                n=user.number(test.accuracy_degradation, 3),
            ),
        )


def _on_forecast(user: UserContext, forecast: Json | None) -> Iterator[tuple[str, str]]:
    """Return what a forecast model's errors are against baselines, and what its intervals are worth."""
    if not forecast:
        return
    yield ("good" if forecast["has_skill"] else "bad"), user.message(Message.from_json(forecast["verdict"]))
    value = {name: estimate["value"] for name, estimate in forecast["metrics"].items()}
    others = {name: found["mae"]["value"] for name, found in forecast["baselines"].items()}
    yield (
        "good" if value["mae"] < min(others.values()) else "bad",
        user.t(
            "Its mean absolute error is {own} points; {unchanged} for an unchanged price, {drift} for the mean return.",
            own=user.number(value["mae"], 3),
            unchanged=user.number(others["persistence"], 3),
            drift=user.number(others["drift"], 3),
        ),
    )
    near = abs(value["interval_coverage"] - forecast["coverage"]) <= _NEAR_COVERAGE
    yield (
        "good" if near else "bad",
        user.t(
            "Its intervals hold {share} of the returns; {nominal} were promised. Adapted to their misses: {adapted}.",
            share=user.percent(value["interval_coverage"]),
            nominal=user.percent(forecast["coverage"]),
            adapted=user.percent(forecast["adaptive"]["coverage"]),
        ),
    )
    if value["r2"] is not None and value["directional_accuracy"] is not None:
        yield (
            "good" if value["r2"] > 0 else "bad",
            user.t(
                "R² out of sample is {r2}; {share} of the directions are right.",
                r2=user.signed(value["r2"], 4),
                share=user.percent(value["directional_accuracy"]),
            ),
        )


def _on_baselines(user: UserContext, evaluation: Json) -> Iterator[tuple[str, str]]:
    for baseline, words in _BASELINES.items():
        difference = ((evaluation.get("differences") or {}).get(baseline) or {}).get("pr_auc")
        if not difference or difference.get("value") is None:
            continue
        own = evaluation["metrics"]["pr_auc"]["value"]
        other = evaluation["baselines"][baseline]["pr_auc"]["value"]
        values = {"other": user.t(words), "own": user.number(own, 3), "theirs": user.number(other, 3)}
        low, high = difference.get("low"), difference.get("high")
        if low is None or high is None:
            yield (
                "unsure",
                user.t("It may or may not beat {other}: too few coins, too short a time.", other=values["other"]),
            )
            continue
        values |= {"low": user.signed(low, 3), "high": user.signed(high, 3)}
        if low > 0:
            yield (
                "good",
                user.t(
                    "It beats {other}: PR-AUC {own} against {theirs}, difference within {low} … {high}.",
                    **values,
                ),
            )
        elif high < 0:
            yield (
                "bad",
                user.t(
                    "It is worse than {other}: PR-AUC {own} against {theirs}, difference within {low} … {high}.",
                    **values,
                ),
            )
        else:
            yield (
                "unsure",
                user.t(
                    "It may be no better than {other}: PR-AUC {own} against {theirs}, difference {low} … {high}.",
                    **values,
                ),
            )


def _on_trades(user: UserContext, evaluation: Json) -> Iterator[tuple[str, str]]:
    trades = evaluation.get("trades")
    if not trades:
        return
    if not trades["count"]:
        yield (
            "unsure",
            user.t("At a threshold of {n} it makes no trade.", n=user.threshold(evaluation.get("threshold"))),
        )
        return
    estimate = (evaluation.get("metrics") or {}).get("simulated_profit_pct") or {}
    values = {"mean": user.signed(trades["simulated_profit_pct"], 2)}
    low, high = estimate.get("low"), estimate.get("high")
    if low is None or high is None:
        yield (
            "unsure",
            user.tn(
                "Its only simulated trade returns {mean}%, after costs; too few for an interval.",
                "Its {n} simulated trades return {mean}% each on average, after costs; too few for an interval.",
                trades["count"],
                **values,
            ),
        )
        return
    values |= {"low": user.signed(low, 2), "high": user.signed(high, 2)}
    text = user.tn(
        "Its only simulated trade returns {mean}%, after costs; within {low} … {high}%.",
        "Its {n} simulated trades return {mean}% each on average, after costs; within {low} … {high}%.",
        trades["count"],
        **values,
    )
    yield ("good" if low > 0 else "bad" if high < 0 else "unsure"), text


def _on_ended(user: UserContext, evaluation: Json) -> Iterator[tuple[str, str]]:
    """Report rows without a label because trading ended before their horizon, and what trades on them change."""
    ended = evaluation.get("ended_within_horizon") or {}
    mean = (ended.get("trades") or {}).get("simulated_profit_pct")
    if ended.get("rows") and mean is not None:
        yield (
            "unsure",
            user.t(
                "{n} rows have no label because trading ended within the horizon. With trades on them, left at the last"
                " price, the mean is {mean}%.",
                n=user.number(ended["rows"]),
                mean=user.signed(mean, 2),
            ),
        )
