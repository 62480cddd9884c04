"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kurswerk.core.timestamps import parse_timestamp
from kurswerk.training import Costs, Period

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
    """Give a command ``--fee-bps`` and ``--slippage-bps`` for its simulated trades."""
    default = Costs()
    fee = click.option("--fee-bps", type=float, default=default.fee_bps, show_default=True, help="Fee per side.")
    slippage = click.option(
        "--slippage-bps", type=float, default=default.slippage_bps, show_default=True, help="Slippage per side."
    )
    return fee(slippage(command))


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
