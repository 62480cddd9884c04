"""A label's definition is refused where it is incomplete, contradictory or out of range."""

import math

import pytest

from kurswerk.core.errors import SpecError
from kurswerk.labels import MAX_HORIZON_MINUTES, LabelSpec, label_name

RISE = {"target_var": "price_close", "minutes": 60, "min_percent_change": 2.0, "direction": "up"}
ABOVE = {"target_var": "market_cap_close", "operator": ">", "target_value": 50_000.0}


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (RISE, {"target_var": ""}, "name the column"),
        (RISE, {"target_var": 3}, "name the column"),
        (RISE, {"mode": "after"}, "choose 'at' or 'within'"),
        (RISE, {"minutes": None}, "minutes is missing"),
        (RISE, {"minutes": 0}, "minutes is 0"),
        (RISE, {"minutes": -5}, "minutes is -5"),
        (RISE, {"minutes": math.nan}, "minutes is nan"),
        (RISE, {"minutes": True}, "minutes is True"),
        (RISE, {"minutes": "60"}, "minutes is '60'"),
        (RISE, {"minutes": MAX_HORIZON_MINUTES + 1}, "at most"),
        (RISE, {"sessions": 5}, "given twice, as 60 minutes and as 5 sessions"),
        (RISE, {"calendar": "XNYS"}, "calendar is 'XNYS', but"),
        (RISE, {"minutes": None, "sessions": 0}, "from 1 to 2600"),
        (RISE, {"minutes": None, "sessions": 2_601}, "horizon is 2601 sessions"),
        (RISE, {"minutes": None, "sessions": 1.0}, "horizon is 1.0 sessions"),
        (RISE, {"minutes": None, "sessions": True}, "horizon is True sessions"),
        (RISE, {"min_percent_change": 0}, "number above 0"),
        (RISE, {"min_percent_change": math.inf}, "number above 0"),
        (RISE, {"min_percent_change": None}, "min_percent_change is None"),
        (RISE, {"direction": "sideways"}, "choose 'up' or 'down'"),
        (RISE, {"direction": None}, "direction is None"),
        (RISE, {"operator": ">", "target_value": 1.0}, "not both"),
        (RISE, {"min_percent_change": None, "direction": None}, "needs either"),
        (ABOVE, {"operator": "=="}, "choose one of"),
        (ABOVE, {"operator": None}, "operator is None"),
        (ABOVE, {"target_value": None}, "target_value is None"),
        (ABOVE, {"target_value": math.nan}, "finite number"),
        (ABOVE, {"mode": "within"}, "minutes is missing"),
    ],
)
def test_refused(base: dict, change: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        LabelSpec(**{**base, **change})


def test_kinds() -> None:
    assert LabelSpec(**RISE).is_time_based
    assert not LabelSpec(**ABOVE).is_time_based
    assert LabelSpec(**ABOVE).horizon_us is None
    assert LabelSpec(**{**RISE, "minutes": 0.5}).horizon_us == 30_000_000
    assert LabelSpec(**{**RISE, "minutes": 1e-12}).horizon_us == 1


@pytest.mark.parametrize(
    ("spec", "direction"),
    [
        (LabelSpec(**RISE), "up"),
        (LabelSpec(**{**RISE, "direction": "down"}), "down"),
        (LabelSpec(**ABOVE), "up"),
        (LabelSpec(**{**ABOVE, "operator": "<"}), "down"),
        (LabelSpec(**{**ABOVE, "operator": "="}), "up"),
    ],
)
def test_trade_direction(spec: LabelSpec, direction: str) -> None:
    assert spec.trade_direction == direction


def test_names() -> None:
    assert label_name(LabelSpec(**RISE)) == "price_close up 2 % at 60 minutes"
    within = LabelSpec(**{**RISE, "minutes": 1, "mode": "within", "direction": "down", "min_percent_change": 2.5})
    assert label_name(within) == "price_close down 2.5 % within 1 minute"
    assert label_name(LabelSpec(**ABOVE)) == "market_cap_close > 50000 at the next row"
    assert label_name(LabelSpec(**ABOVE, minutes=10)) == "market_cap_close > 50000 at 10 minutes"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": None}, "minutes"),
        ({"operator": ">", "target_value": 1.0}, "give neither"),
        ({"min_percent_change": 1.0, "direction": "up"}, "give neither"),
        ({"mode": "within"}, "measured at the horizon"),
    ],
)
def test_a_return_has_a_horizon_and_nothing_else(changes, message):
    given = {"minutes": 5, "is_return": True}
    assert LabelSpec("close", **given).trade_direction == "up"
    with pytest.raises(SpecError, match=message):
        LabelSpec("close", **(given | changes))
