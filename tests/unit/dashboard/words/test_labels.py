"""How a model's target is described."""

from types import SimpleNamespace

import pytest

from kurswerk.dashboard.words.labels import forecast_text, target_description
from kurswerk.dashboard.words.user_context import UserContext

CHANGE = {"target_var": "close", "use_time_based_prediction": True, "min_percent_change": 3, "direction": "up"}


@pytest.mark.parametrize(
    ("spec", "english", "german"),
    [
        ({"future_minutes": 60}, "close 3% higher after 60 min", "close 3 % höher nach 60 min"),
        ({"horizon_sessions": 1}, "close 3% higher after 1 session", "close 3 % höher nach 1 Handelstag"),
        (
            {"horizon_sessions": 5, "direction": "down", "horizon_mode": "within"},
            "close 3% lower within 5 sessions",
            "close 3 % tiefer innerhalb von 5 Handelstagen",
        ),
    ],
)
def test_the_horizon_is_named_in_its_unit(spec, english, german):
    record = SimpleNamespace(spec=CHANGE | spec)
    assert target_description(UserContext(language="en"), record) == english
    assert target_description(UserContext(language="de"), record) == german


def test_a_return_and_its_forecast_are_described_in_both_languages():
    record = SimpleNamespace(spec={"target_var": "close", "target": "return", "horizon_sessions": 5})
    assert target_description(UserContext(language="en"), record) == "return of close after 5 sessions"
    assert target_description(UserContext(language="de"), record) == "Rendite von close nach 5 Handelstagen"
    assert forecast_text(UserContext(language="en"), (1.234, -0.5, 2.0)) == "+1.23 (-0.50 … +2.00)".replace("-", "−")
