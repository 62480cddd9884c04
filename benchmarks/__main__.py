"""``python -m benchmarks NAME…``: speed beside a named peer in the same run."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from kurswerk.bootstrap.environment import let_idle_threads_sleep, share_metrics, use_kernel_cache
from kurswerk.bootstrap.settings import read_settings
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.errors import KurswerkError

# Name → module; those that read bars take the file as their argument.
BENCHMARKS = {
    "ingest": "ingest",
    "load": "load",
    "matrix": "matrix",
    "features": "features",
    "cross": "cross",
    "live": "live",
    "inference": "inference",
    "trees": "trees",
    "train": "training",
    "api": "api",
    "serving": "serving",
    "partitions": "partitions",
    "stream": "stream",
    "start": "start",
    "dashboard": "dashboard",
    "backtest": "backtest",
    "backtest-one": "backtest_one",
    "universe": "universe",
}
_ON_BARS = frozenset({"features", "train"})


@click.command("benchmarks", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option(
    "--bars",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Parquet of bars for features and train; a synthetic market of the same shape by default.",
)
@json_option
def main(names: tuple[str, ...], bars: Path | None, *, as_json: bool) -> None:
    """Measure NAMEs, or all.

    They are ingest, load, matrix, features, cross, live, inference, trees, train, api, serving, partitions, stream,
    start, dashboard, backtest, backtest-one and universe.

    Each is set beside a peer measured in turn in the same run; the ratio is how many times faster ours was.
    """
    unknown = [name for name in names if name not in {*BENCHMARKS, "all"}]
    if unknown:
        raise click.UsageError(f"unknown benchmark '{unknown[0]}'; known: {', '.join(BENCHMARKS)}, all")
    chosen = list(BENCHMARKS) if "all" in names else list(dict.fromkeys(names))
    _prepare_environment()
    rows: list[dict[str, Any]] = []
    for name in chosen:
        click.echo(f"measuring {name} …", err=True)
        rows += _measure(name, bars)
    if as_json:
        print_json(rows)
    else:
        header = ("what", "ours, s", "peer", "peer, s", "ratio", "at least", "work")
        print_table("benchmarks", header, [_cells(row) for row in rows])


def _prepare_environment() -> None:
    """Set what numba, OpenMP and prometheus_client read when they are imported, as the command line does."""
    let_idle_threads_sleep()
    settings = read_settings(os.environ, Path.cwd())
    use_kernel_cache(settings)
    share_metrics(settings)


def _measure(name: str, bars: Path | None) -> Sequence[dict[str, Any]]:
    # Imported late: each benchmark brings the libraries of its peers.
    run: Callable[..., Sequence[dict[str, Any]]] = import_module(f"benchmarks.{BENCHMARKS[name]}").run
    try:
        return run(bars) if name in _ON_BARS else run()
    except KurswerkError as error:
        raise click.ClickException(str(error)) from error


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    wanted = f"{row['at_least']:g}" if row["at_least"] else "–"
    return row["name"], row["ours_s"], row["peer"], row["peer_s"], f"{row['ratio']:.2f}", wanted, row["note"]


if __name__ == "__main__":
    main()
