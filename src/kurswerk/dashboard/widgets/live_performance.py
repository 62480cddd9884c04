"""What became of a model's live predictions: metrics with intervals, what stays unknown, calibration."""

from typing import Any, Final

import dash_mantine_components as dmc

from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.components import callout, stat, stat_row
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.evaluation import Estimate
from kurswerk.oversight import ForecastPerformance, LivePerformance
from kurswerk.reports import figure_calibration

# Why the label of a prediction stays unknown.
_REASONS: Final = {
    "ended": N_("coin stopped trading: {n}"),
    "gap": N_("no row within the horizon: {n}"),
    "no_value": N_("a value is missing: {n}"),
    "no_row": N_("row no longer stored: {n}"),
}


def live_performance_panel(user: UserContext, name: str, found: LivePerformance) -> Any:
    """Return how good a model's newest judged predictions were; ``name`` is the model's."""
    counts = found.counts
    if not counts.known and not counts.unknown:
        return callout(
            user.t("No prediction has been judged yet. One is judged once its horizon has passed in the market's time.")
        )
    precision, base_rate = found.estimates["precision"], found.estimates["base_rate"]
    shares = [
        stat(
            user.t("Precision, live"),
            user.percent(precision.value),
            detail=_range(user, precision)
            or user.t("{n} of {all}", n=user.number(counts.true_positive), all=user.number(counts.predicted_positive)),
        ),
        stat(user.t("Base rate, live"), user.percent(base_rate.value), detail=_range(user, base_rate)),
        stat(
            user.t("Judged predictions"),
            user.number(counts.known),
            detail=user.t(
                "{n} of {all} predicted ones came true",
                n=user.number(counts.true_positive),
                all=user.number(counts.predicted_positive),
            ),
        ),
        stat(
            user.t("Stay unknown"),
            user.number(counts.unknown),
            detail=", ".join(user.t(_REASONS[why], n=user.number(n)) for why, n in found.reasons.items()) or None,
        ),
    ]
    scores = [
        stat(title, user.number(estimate.value, digits), detail=_interval(user, estimate, digits))
        for title, estimate, digits in (
            (user.t("PR-AUC, live"), found.estimates["pr_auc"], 3),
            (user.t("Brier score, live"), found.estimates["brier"], 4),
        )
    ]
    if found.forecast is not None:
        scores += _forecast_stats(user, found.forecast)
    period = dmc.Text(
        user.t(
            "Newest judged predictions, rows from {first} to {last}; in brackets 95 % intervals.",
            first=user.date_time_us(found.first_us),
            last=user.date_time_us(found.last_us),
        ),
        size="xs",
        c="dimmed",
    )
    return dmc.Stack([stat_row(*shares, *scores), period, *_calibration(user, name, found)], gap="xs")


def _forecast_stats(user: UserContext, found: ForecastPerformance) -> list[Any]:
    unchanged = user.t("{n} for an unchanged price", n=user.number(found.persistence_mae, 3))
    width = user.t("{n} points wide on average", n=user.number(found.interval_width, 2))
    return [
        stat(user.t("Mean absolute error, live"), user.number(found.mae, 3), detail=unchanged),
        stat(user.t("Inside the interval, live"), user.percent(found.interval_coverage), detail=width),
    ]


def _calibration(user: UserContext, name: str, found: LivePerformance) -> list[Any]:
    if not found.calibration:
        return []
    drawing = figure_calibration({name: {"curves": {"calibration": found.calibration}}}, theme=user.theme)
    label = user.t("Dots: share that came true at each probability")
    return [
        dmc.Title(user.t("Calibration, live"), order=3, size="h5"),
        chart(user, "live-calibration", drawing, label=label),
    ]


def _range(user: UserContext, estimate: Estimate) -> str | None:
    """Return the interval of a share; None where there is none."""
    if estimate.low is None or estimate.high is None:
        return None
    return f"[{user.percent(estimate.low)} … {user.percent(estimate.high)}]"


def _interval(user: UserContext, estimate: Estimate, digits: int) -> str | None:
    """Return the interval of a number; None where there is none."""
    if estimate.low is None or estimate.high is None:
        return None
    return f"[{user.number(estimate.low, digits)} … {user.number(estimate.high, digits)}]"
