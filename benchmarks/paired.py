"""``python -m benchmarks.paired OTHER NAME…``: two checkouts measured in turn, with an interval of each ratio.

The speed of a machine drifts by more than what a change costs. So both checkouts are measured in pairs, one right after
the other, in alternating order; each pair gives one ratio, and the interval comes from how much the ratios scatter.
"""

import json
import math
import os
import statistics
import subprocess  # nosec B404
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from kurswerk.cli._terminal import print_table

Seconds = Mapping[str, float]


@click.command("paired", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--pairs", default=5, show_default=True, type=click.IntRange(2), help="Measurements of each checkout.")
@click.option("--command", default="python -m benchmarks", show_default=True, help="What OTHER's .venv/bin runs.")
def main(other: Path, names: tuple[str, ...], pairs: int, command: str) -> None:
    """Measure benchmarks NAMEs of this checkout and of OTHER, a checkout with its own .venv, in turn.

    The ratio is time here divided by time there: below 1 this checkout is faster. The interval covers 95 %.
    """
    here = Path.cwd()
    commands = ((here, "python -m benchmarks"), (other.resolve(), command))
    rows = []
    for name in names:
        measured: list[tuple[Seconds, Seconds]] = []
        for number in range(pairs):
            turn = commands if number % 2 == 0 else commands[::-1]
            found = {folder: run(folder, words, name) for folder, words in turn}
            measured.append((found[here], found[other.resolve()]))
            click.echo(f"{name}: pair {number + 1} of {pairs}", err=True)
        rows += [(what, *ratio_interval(ratios)) for what, ratios in ratios_of(measured).items()]
    table = [(what, f"{ratio:.3f}", f"{low:.3f} to {high:.3f}") for what, ratio, low, high in rows]
    print_table("this checkout / other", ("what", "ratio", "95 % interval"), table)


def run(folder: Path, command: str, name: str) -> Seconds:
    """Run a benchmark in a checkout and return what it measured in seconds, by name."""
    program, *arguments = command.split()
    words = [str(folder / ".venv" / "bin" / program), *arguments, name, "--json"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KURSWERK_")}
    done = subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 - the caller's own checkouts  # nosec B603
    return {row["name"]: row["ours_s"] for row in json.loads(done.stdout)}


def ratios_of(pairs: Sequence[tuple[Seconds, Seconds]]) -> dict[str, list[float]]:
    """Return, for each name that all runs have, the ratio of first to second in each pair.

    Examples
    --------
    >>> ratios_of([({"a": 2.0, "b": 1.0}, {"a": 1.0}), ({"a": 3.0}, {"a": 2.0})])
    {'a': [2.0, 1.5]}
    """
    common = [name for name in pairs[0][0] if all(name in side for pair in pairs for side in pair)]
    return {name: [first[name] / second[name] for first, second in pairs] for name in common}


def ratio_interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean of ratios and its 95 % interval by Student's t on their logarithms.

    Parameters
    ----------
    ratios
        At least two, positive.

    Examples
    --------
    >>> [round(value, 3) for value in ratio_interval([0.9, 1.0, 1.1])]
    [0.997, 0.777, 1.279]
    """
    from scipy.stats import t  # type: ignore[import-untyped]  # noqa: PLC0415 - takes a second to import

    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    half = t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


if __name__ == "__main__":
    main()
