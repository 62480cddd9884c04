"""What came of live predictions."""

from dataclasses import replace

import numpy as np
import pytest

from kurswerk.core.timestamps import MINUTE_US
from kurswerk.market import Panel
from kurswerk.training import Outcomes, outcomes_of, train
from memory_market import START_US, MemoryMarket, MemoryRegistry, a_spec, random_market, stores_of


@pytest.fixture(scope="module")
def record():
    models = MemoryRegistry()
    number = train(a_spec(), stores_of(random_market(), models)).id
    return models.get(number)


def test_predictions_are_counted_once_their_outcome_is_known(record):
    prices = np.array([100.0, 101, 103, 102])
    panel = Panel.from_columns(["a"] * 4, START_US + np.arange(4) * MINUTE_US, {"price_close": prices})
    goal = {"future_minutes": 1, "min_percent_change": 1.5, "target_var": "price_close", "direction": "up"}
    one = replace(record, spec=dict(record.spec) | goal)
    made = [("a", START_US + k * MINUTE_US, yes) for k, yes in enumerate([1, 1, 0, 1])]
    made += [("gone", START_US, 1), ("a", START_US + 1, 1)]  # rows that are not there any more
    found = outcomes_of(one, made, {"coins": MemoryMarket(panel)})
    assert found == Outcomes(
        known=3, positive=1, predicted_positives=2, true_positives=1
    )  # the last row's outcome is not known yet
    assert (found.precision, found.base_rate) == (0.5, 1 / 3)


def test_without_predictions_nothing_is_known(record):
    found = outcomes_of(record, [], {"coins": MemoryMarket(random_market())})
    assert (found.known, found.precision, found.base_rate) == (0, None, None)
