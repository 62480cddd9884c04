"""Errors of forecasts, their baselines and intervals, against sums written out."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score, root_mean_squared_error

from kurswerk.core.errors import DataError
from kurswerk.evaluation import (
    FORECAST_METRICS,
    Bootstrap,
    ForecastPart,
    ForecastRows,
    NaiveForecasts,
    compare_forecasts,
    evaluate_forecasts,
)
from kurswerk.evaluation._interval_coverage import ADAPTIVE_STEP, Calibrated, adaptive_coverage

HOUR = 3_600_000_000
BOOTSTRAP = Bootstrap(replicates=50)


def market(days=40, instruments=6, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    times = np.repeat(np.arange(days, dtype=np.int64) * 24 * HOUR, instruments)
    codes = np.tile(np.arange(instruments), days)
    actual = rng.normal(0.2, spread, len(times))
    names = [f"I{k}" for k in range(instruments)]
    return ForecastRows(actual, codes, times, times + 24 * HOUR, names, np.abs(rng.normal(size=len(times)))), rng


def part(forecast, half=1.5, naive=None):
    naive = naive or NaiveForecasts(0.1, 1.6, 1.7)
    sizes = np.linspace(0.01, 3, 255)
    return ForecastPart(forecast, forecast - half, forecast + half, naive, sizes)


def test_metrics_are_those_of_scikit_learn():
    rows, rng = market()
    forecast = rows.actual + rng.normal(size=len(rows.actual))
    found = evaluate_forecasts(rows, [part(forecast)], 0.9, BOOTSTRAP)
    value = {name: estimate.value for name, estimate in found.estimates.items()}
    assert tuple(value) == FORECAST_METRICS
    assert value["mae"] == pytest.approx(mean_absolute_error(rows.actual, forecast))
    assert value["rmse"] == pytest.approx(root_mean_squared_error(rows.actual, forecast))
    squared = np.mean((rows.actual - forecast) ** 2)
    assert value["r2"] == pytest.approx(1 - squared / np.mean((rows.actual - 0.1) ** 2))
    assert value["directional_accuracy"] == pytest.approx(np.mean((rows.actual > 0) == (forecast > 0)))
    levels = ((forecast - 1.5, 0.05), (forecast, 0.5), (forecast + 1.5, 0.95))
    losses = [mean_pinball_loss(rows.actual, given, alpha=level) for given, level in levels]
    assert value["pinball"] == pytest.approx(np.mean(losses))
    assert value["interval_coverage"] == pytest.approx(np.mean(np.abs(rows.actual - forecast) <= 1.5))
    assert value["interval_width"] == pytest.approx(3.0)
    assert all(estimate.low <= estimate.value <= estimate.high for estimate in found.estimates.values())


def test_r2_against_the_mean_of_the_rows_themselves_is_that_of_scikit_learn():
    rows, rng = market()
    forecast = rows.actual + rng.normal(size=len(rows.actual))
    naive = NaiveForecasts(float(rows.actual.mean()), 1.0, 1.0)
    found = evaluate_forecasts(rows, [part(forecast, naive=naive)], 0.9, BOOTSTRAP)
    assert found.estimates["r2"].value == pytest.approx(r2_score(rows.actual, forecast))
    assert found.baselines["drift"]["r2"].value == pytest.approx(0)


def test_baselines_are_that_the_price_stays_or_drifts():
    rows, _ = market()
    found = evaluate_forecasts(rows, [part(rows.actual)], 0.9, BOOTSTRAP)
    assert found.baselines["persistence"]["mae"].value == pytest.approx(np.abs(rows.actual).mean())
    assert found.baselines["persistence"]["directional_accuracy"].value is None
    assert found.baselines["persistence"]["interval_width"].value == pytest.approx(3.2)
    assert found.baselines["drift"]["rmse"].value == pytest.approx(np.sqrt(np.mean((rows.actual - 0.1) ** 2)))
    assert found.differences["drift"]["mae"].high < 0


def test_skill_is_claimed_only_against_both_baselines():
    rows, rng = market(days=80)
    clear = evaluate_forecasts(rows, [part(rows.actual + 0.3 * rng.normal(size=len(rows.actual)))], 0.9, BOOTSTRAP)
    assert clear.has_skill
    assert clear.verdict.code == "forecast.has_skill"
    blind = evaluate_forecasts(rows, [part(rng.normal(size=len(rows.actual)))], 0.9, BOOTSTRAP)
    assert not blind.has_skill
    assert "No skill is shown" in str(blind.verdict)
    assert blind.as_json()["diebold_mariano"]["drift"]["better"] == "second"


def test_several_models_of_folds_are_measured_as_one():
    rows, rng = market()
    forecast, cut = rng.normal(size=len(rows.actual)), 90
    naive = NaiveForecasts(0.1, 1.6, 1.7)
    parts = [part(forecast[:cut], naive=naive), part(forecast[cut:], naive=naive)]
    whole, both = (evaluate_forecasts(rows, one, 0.9, BOOTSTRAP).as_json() for one in ([part(forecast)], parts))
    whole.pop("adaptive")
    both.pop("adaptive")
    assert whole == both


def test_coverage_is_reported_by_time_instrument_and_volatility():
    rows, _ = market(days=48)
    half = np.where(rows.codes == 2, 0.0, np.where(rows.timestamps < 24 * 24 * HOUR, 100.0, 0.0))
    forecast = np.full(len(rows.actual), 50.0)
    found = evaluate_forecasts(rows, [part(forecast, half=half)], 0.9, BOOTSTRAP).coverage_by
    assert [one["coverage"] for one in found["time"]] == pytest.approx([5 / 6] * 6 + [0.0] * 6)
    assert sum(one["rows"] for one in found["time"]) == len(rows.actual)
    assert found["instrument"]["lowest"][0] == {"instrument": "I2", "rows": 48, "coverage": 0.0}
    assert found["instrument"]["quartiles"][-1] == pytest.approx(0.5)
    assert sum(one["rows"] for one in found["volatility"]) == len(rows.actual)
    assert [one["fifth"] for one in found["volatility"]] == [1, 2, 3, 4, 5]


def test_adaptive_intervals_recover_after_the_market_has_changed():
    rng = np.random.default_rng(0)
    times = np.arange(6000, dtype=np.int64) * HOUR
    scale = np.where(times < times[2000], 1.0, 1.7)
    values = rng.normal(size=6000) * scale
    sizes = np.quantile(np.abs(rng.normal(size=20_000)), np.arange(1, 256) / 256)
    found = adaptive_coverage([Calibrated(values, np.zeros(6000), times, times + HOUR, sizes)], 0.9)
    fixed = np.mean(np.abs(values) <= sizes[round(0.9 * 256) - 1])
    assert fixed < 0.8
    assert found["coverage"] > 0.88
    assert found["step"] == ADAPTIVE_STEP


def test_adaptive_intervals_know_an_outcome_only_after_its_horizon():
    times = np.arange(300, dtype=np.int64) * HOUR
    values, sizes = np.full(300, 10.0), np.linspace(1, 5, 255)

    def widths(horizon):
        return adaptive_coverage([Calibrated(values, np.zeros(300), times, times + horizon * HOUR, sizes)], 0.9, 0.01)

    assert widths(1)["mean_width"] > widths(100)["mean_width"] > widths(400)["mean_width"]
    never = 2 * sizes[int(np.ceil(0.9 * 256)) - 1]
    assert widths(400)["mean_width"] == pytest.approx(never)


def test_the_winner_of_two_forecasts_is_the_one_with_smaller_errors_or_nobody():
    rows, rng = market(days=80)
    good, bad = (part(rows.actual + size * rng.normal(size=len(rows.actual))) for size in (0.3, 1.0))
    found = compare_forecasts(rows, bad, good, 0.9, ("old", "new"), BOOTSTRAP)
    assert found.winner == "b"
    assert str(found.verdict).startswith("new errs less than old")
    assert found.as_json()["differences"]["rmse"]["low"] > 0
    assert compare_forecasts(rows, good, bad, 0.9, bootstrap=BOOTSTRAP).winner == "a"
    same = compare_forecasts(rows, good, good, 0.9, bootstrap=BOOTSTRAP)
    assert same.winner is None
    assert not same.as_json()["more_than_luck"]


def test_what_cannot_be_measured_is_refused():
    rows, _ = market(days=3)
    with pytest.raises(DataError, match="one for each row"):
        evaluate_forecasts(rows, [part(rows.actual[1:])], 0.9)
    broken = rows.actual.copy()
    broken[4] = np.nan
    with pytest.raises(DataError, match="1 rows"):
        evaluate_forecasts(rows, [part(broken)], 0.9)
    none = ForecastRows(rows.actual[:0], rows.codes[:0], rows.timestamps[:0], rows.end_us[:0], ())
    with pytest.raises(DataError, match="no labelled rows"):
        evaluate_forecasts(none, [part(rows.actual[:0])], 0.9)
