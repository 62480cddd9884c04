"""Costs of simulated trades, as specifications and requests state them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    StrictBool,
    Tag,
    WithJsonSchema,
    model_validator,
)

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.evaluation import TradeCosts
from kurswerk.labels import LabelSpec
from kurswerk.market import MarketSchema, Role

Points = Annotated[float, Strict(), Field(ge=0, lt=10_000)]
_DEFAULTS: Final = TradeCosts()


class Costs(BaseModel):
    """Costs of each side of a simulated trade; the defaults are those of `TradeCosts`.

    Attributes
    ----------
    fee_bps, slippage_bps
        In basis points of the traded amount.
    fixed_cost
        Paid for each side whatever the amount, in the currency of the price: SOL for coins.
    stake
        Amount that a trade enters with, in that currency; needed by the two others.
    price_impact
        Whether a trade moves the price along the constant-product curve of the market's reserves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    fee_bps: Points = _DEFAULTS.fee_bps
    slippage_bps: Points = _DEFAULTS.slippage_bps
    fixed_cost: Annotated[float, Strict(), Field(ge=0)] = _DEFAULTS.fixed_cost
    stake: Annotated[float, Strict(), Field(gt=0)] | None = None
    price_impact: StrictBool = False

    @model_validator(mode="after")
    def _possible(self) -> Self:
        TradeCosts(**self.model_dump())
        return self


# Fees are those of the first tier of a large exchange (Binance, 2024: 0.1 % on spot, 0.05 % for takers of perpetual
# futures) and of pump.fun's bonding curve (1 %); slippages are assumptions, larger where liquidity is thin. With price
# impact the stake moves the curve itself and slippage is 0; 0.0005 SOL is an assumption for base and priority fee.
COST_PRESETS: Final[Mapping[str, Costs]] = {
    "none": Costs(fee_bps=0, slippage_bps=0),
    "spot-taker": Costs(fee_bps=10, slippage_bps=5),
    "futures-taker": Costs(fee_bps=5, slippage_bps=2),
    "bonding-curve": Costs(fee_bps=100, slippage_bps=50),
    "pump.fun": Costs(fee_bps=100, slippage_bps=0, fixed_cost=0.0005, stake=0.5, price_impact=True),
}


_NEITHER = Message("costs.neither_preset_nor_values", presets=list(COST_PRESETS))


def _known(value: Any) -> Any:
    if isinstance(value, str) and value not in COST_PRESETS:
        raise UnknownNameError("costs.unknown_preset", name=value, known=COST_PRESETS)
    if isinstance(value, Mapping):
        for key in value:
            if key not in Costs.model_fields:
                raise UnknownNameError("costs.unknown_field", name=str(key), known=Costs.model_fields)
    return value


def _shape(value: Any) -> str | None:
    if value is None:
        return "none"
    if isinstance(value, str):
        return "preset"
    return "values" if isinstance(value, Mapping | Costs) else None


_Preset = Annotated[str, WithJsonSchema({"type": "string", "enum": list(COST_PRESETS)})]
CostsField = Annotated[
    Annotated[_Preset, Tag("preset")] | Annotated[Costs, Tag("values")] | Annotated[None, Tag("none")],
    # Distinguished by their shape, so that what is wrong with fee and slippage is all that is reported.
    Discriminator(
        _shape,
        custom_error_type=_NEITHER.code,
        custom_error_message="{english}",
        custom_error_context={**_NEITHER.params, "english": str(_NEITHER)},
    ),
    BeforeValidator(_known),
]
"""Name of a preset, or fee and slippage; None leaves them to the model, or to the defaults of `Costs`."""


def costs_of(*choices: str | Costs | None) -> Costs:
    """Return the first costs that are given, or the defaults.

    Examples
    --------
    >>> costs_of(None, "none", "spot-taker").fee_bps
    0.0
    """
    chosen = next((choice for choice in choices if choice is not None), None)
    return COST_PRESETS[chosen] if isinstance(chosen, str) else chosen or Costs()


def trade_costs(costs: Costs, label: LabelSpec, market: MarketSchema) -> TradeCosts:
    """Return the costs of a model's simulated trades, in the direction of its target.

    Raises
    ------
    SpecError
        For price impact on a market whose rows state no reserves.
    """
    if costs.price_impact and Role.RESERVES not in market.roles:
        raise SpecError("costs.no_reserves", market=market.name)
    return TradeCosts(**costs.model_dump(), direction=label.trade_direction)
