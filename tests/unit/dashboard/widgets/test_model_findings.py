"""What a model's page concludes from its stored evaluation, beside what the browser tests see."""

from types import SimpleNamespace

import pytest

from kurswerk.dashboard.widgets.model_findings import model_findings
from kurswerk.dashboard.words.user_context import UserContext

ENDED = {"rows": 1234, "share": 0.1, "predicted_positive": 5, "trades": {"count": 50, "simulated_profit_pct": -3.5}}
TRADES = {"count": 50, "simulated_profit_pct": 1.25, "skipped": 0}


def texts(evaluation: dict, language: str) -> str:
    record = SimpleNamespace(evaluation=evaluation)
    return str(model_findings(UserContext(language=language), record, None).to_plotly_json())


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            "en",
            "1,234 rows have no label because trading ended within the horizon. With trades on them, left at the last",
        ),
        ("de", "1.234 Zeilen haben kein Label, weil der Handel vor dem Horizont endete."),
    ],
)
@pytest.mark.parametrize("interval", [{}, {"low": 0.5, "high": 2.0}])
def test_rows_whose_coin_stops_trading_are_named(language, sentence, interval):
    evaluation = {"trades": TRADES, "metrics": {"simulated_profit_pct": interval}, "ended_within_horizon": ENDED}
    assert sentence in texts(evaluation, language)


@pytest.mark.parametrize("ended", [None, {**ENDED, "rows": 0}, {**ENDED, "trades": {"simulated_profit_pct": None}}])
def test_nothing_is_added_where_no_such_row_is(ended):
    assert "trading ended" not in texts({"trades": TRADES, "ended_within_horizon": ended}, "en")


def forecast(**changes: object) -> dict:
    metrics = {"mae": 1.5, "interval_coverage": 0.85, "r2": -0.01, "directional_accuracy": 0.5, **changes}
    verdict = {"code": "forecast.no_skill", "params": {"persistence": "0.4", "drift": "0.6"}}
    return {
        "coverage": 0.9,
        "has_skill": False,
        "verdict": verdict,
        "metrics": {name: {"value": value} for name, value in metrics.items()},
        "baselines": {name: {"mae": {"value": 1.4}} for name in ("persistence", "drift")},
        "adaptive": {"coverage": 0.89},
    }


def test_a_forecast_without_skill_is_called_so_in_both_languages():
    found = texts({"forecast": forecast()}, "en")
    assert "No skill is shown" in found
    assert "1.500 points; 1.400 for an unchanged price" in found
    assert "hold 85" in found
    assert "Können ist nicht nachgewiesen" in texts({"forecast": forecast()}, "de")
    assert "R² out of sample" not in texts({"forecast": forecast(r2=None)}, "en")
