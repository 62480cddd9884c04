"""Options that several commands share."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

import click

from kurswerk.core.errors import UnknownNameError
from kurswerk.core.timestamps import parse_timestamp
from kurswerk.evaluation import TradeCosts
from kurswerk.training import COST_PRESETS, Costs, Period, costs_of

Command = TypeVar("Command", bound=Callable[..., Any])


def period_options(command: Command) -> Command:
    """Give a command ``--start`` and ``--end``."""
    end = click.option("--end", required=True, metavar="TIME", help="Last moment, ISO 8601, inclusive.")
    start = click.option("--start", required=True, metavar="TIME", help="First moment, ISO 8601, UTC if naive.")
    return start(end(command))


def mints_option(command: Command) -> Command:
    """Give a command ``--mints A,B``."""
    return click.option("--mints", metavar="A,B", help="Only these coins; all by default.")(command)


def cost_options(command: Command) -> Command:
    """Give a command options for the costs of its simulated trades; its argument ``costs`` is `Costs` or None."""

    @wraps(command)
    def with_costs(*arguments: Any, costs: str | None, **given: Any) -> Any:
        changes = {name: given.pop(name) for name in Costs.model_fields}
        return command(*arguments, costs=chosen_costs(costs, changes), **given)

    options = (
        click.option(
            "--costs",
            metavar="NAME",
            help=f"Costs of simulated trades: {', '.join(COST_PRESETS)}.  [default: the model's]",
        ),
        click.option("--fee-bps", type=float, help="Fee per side, in basis points, instead of the costs' own."),
        click.option("--slippage-bps", type=float, help="Slippage per side, likewise."),
        click.option("--fixed-cost", type=float, help="Paid on each side whatever the amount; SOL for coins."),
        click.option("--stake", type=float, help="Amount that a trade enters with; SOL for coins."),
        click.option(
            "--price-impact/--no-price-impact",
            default=None,
            help="Whether a trade moves the price along the market's constant-product curve.",
        ),
    )
    for option in reversed(options):
        with_costs = option(with_costs)
    return cast("Command", with_costs)


def chosen_costs(preset: str | None, changes: Mapping[str, Any]) -> Costs | None:
    """Return a preset's costs with fields changed; None where neither is given.

    Parameters
    ----------
    changes
        Field of `Costs` → value, None where it is not given.

    Raises
    ------
    UnknownNameError
        For an unknown preset, with the nearest.
    SpecError
        If a value is out of range, or the stake is missing.

    Examples
    --------
    >>> chosen_costs("none", {"slippage_bps": 2.0}).slippage_bps
    2.0
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if preset is None and not given:
        return None
    if preset is not None and preset not in COST_PRESETS:
        raise UnknownNameError("costs.unknown_preset", name=preset, known=COST_PRESETS)
    document = costs_of(preset).model_dump() | given
    TradeCosts(**document)  # names what is out of range as the command line does
    return Costs.model_validate(document)


def seed_option(command: Command) -> Command:
    """Give a command ``--seed`` for its simulated market."""
    return click.option("--seed", type=int, default=42, show_default=True, help="The same seed gives the same market.")(
        command
    )


def speed_option(default: float) -> Callable[[Command], Command]:
    """Give a command ``--speed`` for a market that trades with the clock."""
    return click.option(
        "--speed",
        type=click.FloatRange(0.1, 1000.0),
        default=default,
        show_default=True,
        help="Seconds of the market in a second of ours.",
    )


def parse_period(start: str, end: str) -> Period:
    """Read a period; SpecError if it is empty or reversed."""
    return Period(parse_timestamp(start), parse_timestamp(end))


def parse_mints(text: str | None) -> tuple[str, ...] | None:
    """Split ``A,B`` into names; None stays None."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    return names or None


def model_key(text: str) -> int | str:
    """Read a model argument: digits are an id, anything else a name.

    Examples
    --------
    >>> model_key("12"), model_key("my forest")
    (12, 'my forest')
    """
    return int(text) if text.isdecimal() and len(text) < 19 else text
