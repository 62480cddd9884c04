"""``kurswerk bench``: speed beside a named peer in the same run."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table

# Name → module of kurswerk.bench; those that read bars take the file as their argument.
BENCHMARKS = {
    "ingest": "ingest",
    "load": "load",
    "features": "features",
    "live": "live",
    "inference": "inference",
    "train": "training",
    "api": "api",
    "serving": "serving",
    "stream": "stream",
    "start": "start",
    "dashboard": "dashboard",
}
_ON_BARS = frozenset({"features", "train"})


@click.command("bench")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option(
    "--bars",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Parquet of bars for features and train; a synthetic market of the same shape by default.",
)
@json_option
def command(names: tuple[str, ...], bars: Path | None, *, as_json: bool) -> None:
    """Measure NAMEs (ingest, load, features, live, inference, train, api, serving, stream, start, dashboard, or all).

    Each is set beside a peer measured in turn in the same run; the ratio says how many times faster ours was.
    """
    unknown = [name for name in names if name not in {*BENCHMARKS, "all"}]
    if unknown:
        raise click.UsageError(f"unknown benchmark '{unknown[0]}'; known: {', '.join(BENCHMARKS)}, all")
    chosen = list(BENCHMARKS) if "all" in names else list(dict.fromkeys(names))
    rows: list[dict[str, Any]] = []
    for name in chosen:
        click.echo(f"measuring {name} …", err=True)
        run: Callable[..., Sequence[dict[str, Any]]] = import_module(f"kurswerk.bench.{BENCHMARKS[name]}").run
        rows += run(bars) if name in _ON_BARS else run()
    if as_json:
        print_json(rows)
        return
    table = [
        (
            row["name"],
            row["ours_s"],
            row["peer"],
            row["peer_s"],
            f"{row['ratio']:.2f}",
            f"{row['at_least']:g}" if row["at_least"] else "–",
            row["note"],
        )
        for row in rows
    ]
    print_table("benchmarks", ("what", "ours, s", "peer", "peer, s", "ratio", "at least", "work"), table)
