"""Costs of simulated trades: what a form states is what the API takes, and what is shown names all of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.dashboard.widgets.evaluation import threshold_panel, trade_cards
from kurswerk.dashboard.widgets.specification_document import specification_from_fields
from kurswerk.dashboard.widgets.trade_costs import OWN, cost_fields, cost_words, costs_from_fields, other_costs
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.training import COST_PRESETS, Costs

COSTS = st.builds(
    Costs,
    fee_bps=st.integers(0, 999_900).map(lambda number: number / 100),
    slippage_bps=st.integers(0, 999_900).map(lambda number: number / 100),
    fixed_cost=st.floats(0, 10),
    stake=st.floats(0.001, 100),
    price_impact=st.booleans(),
)
TRADES = {"count": 50, "simulated_profit_pct": 1.25, "gross_profit_pct": 3.5, "skipped": 0} | Costs(
    fee_bps=100, slippage_bps=0, fixed_cost=0.0005, stake=0.5, price_impact=True
).model_dump()
ENDED = {"rows": 1234, "share": 0.1, "predicted_positive": 5, "trades": {"count": 55, "simulated_profit_pct": -3.5}}
EVALUATION = {
    "num_positive": 1, "num_negative": 1, "threshold": 0.5, "trades": TRADES, "ended_within_horizon": ENDED,
    "curves": {"calibration": [{"low": k / 10, "count": 1, "positive_rate": 1.0} for k in range(10)]},
}  # fmt: skip


def shown(component: object) -> str:
    return json.dumps(component.to_plotly_json(), default=lambda one: one.to_plotly_json(), ensure_ascii=False)


def values_of(component: object) -> dict[str, object]:
    """Return the values of a form's fields by their names."""
    found = {}

    def walk(one: object) -> None:
        if isinstance(one, dict):
            if str(one.get("id", "")).startswith("spec-costs"):
                found[one["id"].removeprefix("spec-")] = one.get("value", one.get("checked"))
            for inner in one.values():
                walk(inner)
        elif isinstance(one, list):
            for inner in one:
                walk(inner)

    walk(json.loads(shown(component)))
    return found


@given(COSTS)
def test_values_of_a_specification_come_back_from_the_form_as_they_were(costs):
    fields = values_of(cost_fields(UserContext(), "spec", costs.model_dump(), "default"))
    assert fields["costs"] == OWN
    assert Costs(**costs_from_fields(fields)).model_dump() == pytest.approx(costs.model_dump())


@pytest.mark.parametrize("given_costs", [None, *COST_PRESETS])
def test_a_preset_or_nothing_comes_back_by_its_name(given_costs):
    fields = values_of(cost_fields(UserContext(), "spec", given_costs, "default"))
    assert costs_from_fields(fields) == given_costs


def test_a_specification_states_costs_only_where_they_are_chosen():
    fields = {"name": "a", "model_type": "xgboost", "kind": "change", "features": [], "future_minutes": 1}
    assert "costs" not in specification_from_fields(fields | {"costs": ""})
    assert specification_from_fields(fields | {"costs": "pump.fun"})["costs"] == "pump.fun"
    own = specification_from_fields(fields | {"costs": "own", "costs_fee": 1.5})["costs"]
    assert own == Costs(fee_bps=150, slippage_bps=0).model_dump()


def test_costs_read_in_both_languages():
    assert cost_words(UserContext(), TRADES) == "fee 1%, 0.0005 fixed, stake 0.5 with price impact"
    german = cost_words(UserContext("de"), TRADES).replace("\N{NO-BREAK SPACE}", " ")
    assert german == "Gebühr 1 %, 0,0005 fest, Einsatz 0,5 mit Preiswirkung"


@pytest.mark.parametrize("language", ["en", "de"])
def test_rows_of_ended_coins_and_the_return_with_them_stand_beside_the_trades(language):
    user = UserContext(language)
    (card,) = trade_cards(user, {"model": EVALUATION})
    table, panel = shown(card), shown(threshold_panel(user, EVALUATION))
    for value in (user.number(1234), user.signed(-3.5, 2), cost_words(user, TRADES)):
        assert value in table
        assert value in panel
    assert user.signed(3.5, 2) in table


def test_returns_at_each_threshold_are_shown_after_other_costs_where_these_need_no_new_simulation():
    user, spot = UserContext(), {**TRADES, **Costs().model_dump(), "direction": "up"}
    labels = [one["label"] for one in other_costs(user, spot)]
    assert [label.partition(":")[0] for label in labels[1:]] == ["None", "Futures, taker", "Bonding curve"]
    assert labels[0] == cost_words(user, spot)
    panel = shown(threshold_panel(user, {**EVALUATION, "trades": spot}))
    assert all(label in panel for label in labels)
    for trades in ({**TRADES, "direction": "up"}, Costs().model_dump(), {}):  # a stake; of an older version; none
        assert [one["value"] for one in other_costs(user, trades)] == ["1,0"]
        assert '"display": "none"' in shown(threshold_panel(user, {**EVALUATION, "trades": trades}))


def test_without_trades_there_is_no_table_and_without_ended_coins_no_row_of_them():
    user = UserContext()
    assert trade_cards(user, {"model": {**EVALUATION, "trades": None}}) == []
    (card,) = trade_cards(user, {"model": {**EVALUATION, "ended_within_horizon": None}})
    assert "left at the last price" not in shown(card)
