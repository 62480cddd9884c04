"""Costs of simulated trades, as specifications and requests state them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Strict, Tag

from kurswerk.core.errors import UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.evaluation import TradeCosts

Points = Annotated[float, Strict(), Field(ge=0, lt=10_000)]


class Costs(BaseModel):
    """Fee and slippage of each side of a simulated trade, in basis points; the defaults are those of `TradeCosts`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    fee_bps: Points = TradeCosts().fee_bps
    slippage_bps: Points = TradeCosts().slippage_bps


# Fees are those of the first tier of a large exchange (Binance, 2024: 0.1 % on spot, 0.05 % for takers of perpetual
# futures) and of pump.fun's bonding curve (1 %); slippages are assumptions, larger where liquidity is thin.
COST_PRESETS: Final[Mapping[str, Costs]] = {
    "none": Costs(fee_bps=0, slippage_bps=0),
    "spot-taker": Costs(fee_bps=10, slippage_bps=5),
    "futures-taker": Costs(fee_bps=5, slippage_bps=2),
    "bonding-curve": Costs(fee_bps=100, slippage_bps=50),
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


CostsField = Annotated[
    Annotated[str, Tag("preset")] | Annotated[Costs, Tag("values")] | Annotated[None, Tag("none")],
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
    >>> costs_of(None, "none", "spot-taker")
    Costs(fee_bps=0.0, slippage_bps=0.0)
    """
    chosen = next((choice for choice in choices if choice is not None), None)
    return COST_PRESETS[chosen] if isinstance(chosen, str) else chosen or Costs()
