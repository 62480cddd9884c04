"""Costs of simulated trades: fields to choose them, the request that they make, and trades with their costs."""

import json
from collections.abc import Mapping
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Input, Output, State, html

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.components import number_input, scrollable
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.formats import NOTHING
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.evaluation import TradeCosts, change_of_costs
from kurswerk.training import COST_PRESETS, Costs, costs_of

Json = Mapping[str, Any]

# The choices beside the presets: nothing is stated, or every value is.
UNSTATED: Final = ""
OWN: Final = "own"
# Field of a form → the property that holds its value.
COST_FIELDS: Final = {
    "costs": "value",
    "costs_fee": "value",
    "costs_slippage": "value",
    "costs_fixed": "value",
    "costs_stake": "value",
    "costs_impact": "checked",
}
_PRESET_WORDS: Final = {
    "none": N_("None"),
    "spot-taker": N_("Spot, taker"),
    "futures-taker": N_("Futures, taker"),
    "bonding-curve": N_("Bonding curve"),
    "pump.fun": "pump.fun",
}
_POINTS_A_PERCENT: Final = 100.0


def cost_fields(user: UserContext, prefix: str, given: str | Json | None, unstated: str) -> Any:
    """Return the fields ``<prefix>-costs…``.

    Parameters
    ----------
    given
        Name of a preset, values, or None, as a specification states them.
    unstated
        The words of the choice that states nothing.
    """
    choices = [
        {"value": UNSTATED, "label": unstated},
        *(
            {"value": name, "label": f"{user.t(_PRESET_WORDS.get(name, name))}: {cost_words(user, one.model_dump())}"}
            for name, one in COST_PRESETS.items()
        ),
        {"value": OWN, "label": user.t("Values of your own")},
    ]
    chosen = (given or UNSTATED) if given is None or isinstance(given, str) else OWN
    values = costs_of(given if isinstance(given, str) else Costs(**given) if given else None)
    return dmc.Stack(
        [
            dmc.Select(
                id=f"{prefix}-costs",
                label=user.t("Costs of a simulated trade"),
                description=user.t("Paid on each side, when it is entered and when it is left."),
                data=choices,
                value=chosen,
                allowDeselect=False,
            ),
            html.Div(
                _own_values(user, prefix, values),
                id=f"{prefix}-if-costs",
                style={} if chosen == OWN else {"display": "none"},
            ),
        ]
    )


def _own_values(user: UserContext, prefix: str, values: Costs) -> Any:
    fields = (
        ("fee", user.t("Fee, %"), values.fee_bps / _POINTS_A_PERCENT),
        ("slippage", user.t("Slippage, %"), values.slippage_bps / _POINTS_A_PERCENT),
        ("fixed", user.t("Fixed cost"), values.fixed_cost),
        ("stake", user.t("Stake"), "" if values.stake is None else values.stake),
    )
    boxes = [
        number_input(user, id=f"{prefix}-costs_{name}", label=label, value=value, min=0, debounce=250)
        for name, label, value in fields
    ]
    impact = dmc.Switch(
        id=f"{prefix}-costs_impact",
        checked=values.price_impact,
        label=user.t("Price impact of the stake on the bonding curve"),
    )
    hint = user.t(
        "Fixed cost and stake are in the price's currency, SOL for coins. Fixed cost and price impact need a stake."
    )
    return dmc.Stack(
        [dmc.SimpleGrid(boxes, cols={"base": 2, "sm": 4}), impact, dmc.Text(hint, size="xs", c="dimmed")], gap="xs"
    )


def register_cost_fields(app: DashboardApp, prefix: str) -> None:
    """Show the values of one's own where they are chosen, filled with those of the preset chosen before."""
    presets = {
        name: [one.fee_bps / _POINTS_A_PERCENT, one.slippage_bps / _POINTS_A_PERCENT, one.fixed_cost, one.stake or ""]
        for name, one in COST_PRESETS.items()
    }
    impacts = {name: one.price_impact for name, one in COST_PRESETS.items()}
    app.clientside_callback(
        f"""(chosen, ...shown) => {{
            const values = {json.dumps(presets)}[chosen], impact = {json.dumps(impacts)}[chosen];
            return [chosen === '{OWN}' ? {{}} : {{display: 'none'}}, ...(values ? [...values, impact] : shown)];
        }}""",
        Output(f"{prefix}-if-costs", "style"),
        *(Output(f"{prefix}-{name}", prop, allow_duplicate=True) for name, prop in list(COST_FIELDS.items())[1:]),
        Input(f"{prefix}-costs", "value"),
        *(State(f"{prefix}-{name}", prop) for name, prop in list(COST_FIELDS.items())[1:]),
    )


def costs_from_fields(fields: Json) -> str | dict[str, Any] | None:
    """Return what a request states: the name of a preset, values, or None for nothing.

    Examples
    --------
    >>> costs_from_fields({"costs": ""}), costs_from_fields({"costs": "pump.fun", "costs_fee": 7})
    (None, 'pump.fun')
    >>> costs_from_fields({"costs": "own", "costs_fee": 1, "costs_fixed": "", "costs_stake": 0.5, "costs_impact": True})
    {'fee_bps': 100.0, 'slippage_bps': 0.0, 'fixed_cost': 0.0, 'stake': 0.5, 'price_impact': True}
    """
    chosen = fields.get("costs") or UNSTATED
    if chosen != OWN:
        return chosen or None

    def number(name: str) -> Any:
        return 0.0 if fields.get(name) in (None, "") else fields[name]

    stake = fields.get("costs_stake")
    return {
        "fee_bps": round(number("costs_fee") * _POINTS_A_PERCENT, 6),
        "slippage_bps": round(number("costs_slippage") * _POINTS_A_PERCENT, 6),
        "fixed_cost": float(number("costs_fixed")),
        "stake": None if stake in (None, "") else float(stake),
        "price_impact": bool(fields.get("costs_impact")),
    }


def cost_words(user: UserContext, costs: Json) -> str:
    """Return the costs of each side of a trade in a few words.

    Examples
    --------
    >>> cost_words(UserContext(), {"fee_bps": 100, "slippage_bps": 0, "fixed_cost": 0.0005, "stake": 0.5,
    ...                            "price_impact": True})
    'fee 1%, 0.0005 fixed, stake 0.5 with price impact'
    >>> cost_words(UserContext(), {"fee_bps": 0, "slippage_bps": 0})
    'no costs'
    """
    parts = []
    if costs.get("fee_bps"):
        parts.append(user.t("fee {share}", share=user.threshold(costs["fee_bps"] / 10_000)))
    if costs.get("slippage_bps"):
        parts.append(user.t("slippage {share}", share=user.threshold(costs["slippage_bps"] / 10_000)))
    if costs.get("fixed_cost"):
        parts.append(user.t("{amount} fixed", amount=_amount(user, costs["fixed_cost"])))
    if costs.get("stake"):
        text = user.t("stake {amount} with price impact") if costs.get("price_impact") else user.t("stake {amount}")
        parts.append(text.format(amount=_amount(user, costs["stake"])))
    return ", ".join(parts) or user.t("no costs")


def other_costs(user: UserContext, trades: Json) -> list[dict[str, str]]:
    """Return choices of costs to see returns after: those of the evaluation, and presets that need no new simulation.

    A choice's value is the scale and the offset that make its mean return of the evaluation's, with a comma between.

    Examples
    --------
    >>> [one["value"] for one in other_costs(UserContext(), {"fee_bps": 0, "slippage_bps": 0, "direction": "up"})][:2]
    ['1,0', '0.9970044947556193,-0.29955052443807473']
    """
    stored = {name: trades[name] for name in Costs.model_fields if name in trades}
    if "direction" not in trades:
        return [{"value": "1,0", "label": cost_words(user, trades)}]
    before = TradeCosts(**stored, direction=trades["direction"])
    choices = [{"value": "1,0", "label": cost_words(user, trades)}]
    for name, costs in COST_PRESETS.items():
        change = change_of_costs(before, TradeCosts(**costs.model_dump(), direction=before.direction))
        if change is not None and change != (1.0, 0.0):
            words = f"{user.t(_PRESET_WORDS.get(name, name))}: {cost_words(user, costs.model_dump())}"
            choices.append({"value": f"{change[0]!r},{change[1]!r}", "label": words})
    return choices


def trades_table(user: UserContext, evaluations: Mapping[str, Json]) -> Any:
    """Return the simulated trades of evaluations by their models' names, with costs, and with coins that ended.

    None if no evaluation holds trades.
    """
    found = {name: one for name, one in evaluations.items() if one.get("trades")}
    if not found:
        return None
    trades = [one["trades"] for one in found.values()]
    ended = [one.get("ended_within_horizon") or {} for one in found.values()]
    rows = [
        (user.t("Trades"), [user.number(one["count"]) for one in trades]),
        (user.t("Mean return before costs, %"), [user.signed(one.get("gross_profit_pct"), 2) for one in trades]),
        (user.t("Mean return after costs, %"), [user.signed(one.get("simulated_profit_pct"), 2) for one in trades]),
        (user.t("Costs on each side"), [cost_words(user, one) for one in trades]),
    ]
    if any(ended):
        means = [(one.get("trades") or {}).get("simulated_profit_pct") for one in ended]
        counts = [
            f"{user.number(one['rows'])} ({user.percent(one['share'])})" if one.get("rows") is not None else NOTHING
            for one in ended
        ]
        rows += [
            (user.t("Rows left out because trading ended within the horizon"), counts),
            (
                user.t("Mean return with those, left at the last price, %"),
                [NOTHING if mean is None else user.signed(mean, 2) for mean in means],
            ),
        ]
    head = html.Tr([html.Th(""), *(html.Th(name, className="kw-r") for name in found)])
    body = [
        html.Tr([html.Th(name, scope="row"), *(html.Td(value, className="kw-r") for value in values)])
        for name, values in rows
    ]
    return scrollable(html.Table([html.Thead(head), html.Tbody(body)], className="kw-table"))


def _amount(user: UserContext, value: float) -> str:
    return f"{value:.6g}".replace(".", user.decimal_mark)
