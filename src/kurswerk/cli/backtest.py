"""``kurswerk backtest``: what a model's signals would have brought on stored bars."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._options import mints_option, model_key, parse_mints, period_options
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.messages import Message
from kurswerk.training import BacktestRequest, backtest_model, read_document

_SHOWN_TRADES = 10
_TRADE_COLUMNS = ("symbol", "opened", "side", "bars", "entry_price", "exit_price", "return_pct", "reason")


@click.command("backtest")
@click.argument("model")
@period_options
@mints_option
@click.option("--enter", type=float, help="Probability from which a position is opened.  [default: 0.6]")
@click.option("--leave", type=float, help="Probability below which it is closed.  [default: 0.5]")
@click.option("--min-bars", type=int, help="Bars that a position is held at least.  [default: 0]")
@click.option("--cool-down-bars", type=int, help="Bars after an exit without a new entry.  [default: 0]")
@click.option(
    "--rules",
    "rules_path",
    metavar="RULES.json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Account, execution, costs, sizes and exits.",
)
@click.option("--trials", type=int, help="How many variants were tried, this one included.  [default: 1]")
@json_option
def command(
    model: str, start: str, end: str, mints: str | None, rules_path: Path | None, *, as_json: bool, **given: Any
) -> None:
    """Trade the signals of MODEL (id or name) over the bars of a period.

    A signal at the close is filled at the next open. Nothing is stored; a job of kind BACKTEST stores its result.
    """
    signal = {name: given.pop(name) for name in ("enter", "leave", "min_bars", "cool_down_bars")}
    request = BacktestRequest.parse(
        {
            "model_id": model_key(model),
            "test_start": start,
            "test_end": end,
            "mints": parse_mints(mints),
            "signal": _given(signal),
            "rules": {} if rules_path is None else read_document(rules_path),
            **_given(given),
        }
    )
    app = open_application()
    with progress_bar("backtest") as progress:
        found = backtest_model(request.trading, app.training, progress)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _print(found: Mapping[str, Any]) -> None:
    """Print metrics beside the baselines, costs, the last trades, and what is wrong with the test."""
    baselines, intervals = found["baselines"], found["intervals"]
    print_table(
        f"back-test of model {found['model_id']}, {found['start']} to {found['end']}",
        ("metric", "value", "low", "high", "hold", "equal"),
        [
            (
                name.replace("_", " "),
                value,
                *(intervals.get(name, {}).get(bound) for bound in ("low", "high")),
                *(baselines[kind].get(name) for kind in ("buy_and_hold", "equal_weight")),
            )
            for name, value in found["metrics"].items()
        ],
    )
    print_table("costs", ("kind", "amount"), [(name.replace("_", " "), paid) for name, paid in found["costs"].items()])
    if found["trades"]:
        shown = found["trades"][-_SHOWN_TRADES:]
        count = found["metrics"]["trades"]
        print_table(
            str(Message("cli.last_trades", shown=len(shown), count=count)),
            tuple(name.replace("_pct", " %").replace("_", " ") for name in _TRADE_COLUMNS),
            [tuple(trade[name] for name in _TRADE_COLUMNS) for trade in shown],
        )
    for finding in found["findings"]:
        click.echo(f"  {'!' if finding['violated'] else '·'} {finding['text']}")
