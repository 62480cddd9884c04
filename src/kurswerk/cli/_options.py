"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

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
    """Give a command ``--costs``, ``--fee-bps`` and ``--slippage-bps`` for its simulated trades."""
    preset = click.option(
        "--costs", metavar="NAME", help=f"Costs of simulated trades: {', '.join(COST_PRESETS)}.  [default: the model's]"
    )
    fee = click.option("--fee-bps", type=float, help="Fee per side, in basis points, instead of the costs' own.")
    slippage = click.option("--slippage-bps", type=float, help="Slippage per side, likewise.")
    return preset(fee(slippage(command)))


def costs_given(costs: str | None, fee_bps: float | None, slippage_bps: float | None) -> Costs | None:
    """Return the costs that the options of `cost_options` state; None where none are given.

    Raises
    ------
    UnknownNameError
        For an unknown preset, with the nearest.
    SpecError
        If a fee or slippage is negative, or not below 10,000.

    Examples
    --------
    >>> costs_given("none", None, 2.0)
    Costs(fee_bps=0.0, slippage_bps=2.0)
    """
    if costs is None and fee_bps is None and slippage_bps is None:
        return None
    if costs is not None and costs not in COST_PRESETS:
        raise UnknownNameError("costs.unknown_preset", name=costs, known=COST_PRESETS)
    base = costs_of(costs)
    fee = base.fee_bps if fee_bps is None else fee_bps
    slippage = base.slippage_bps if slippage_bps is None else slippage_bps
    TradeCosts(fee, slippage)  # refuses what is out of range
    return Costs(fee_bps=fee, slippage_bps=slippage)


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
