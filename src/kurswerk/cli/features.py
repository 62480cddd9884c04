"""``kurswerk features``: a specification's features for a file, or features of stored rows as a file."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from kurswerk.bootstrap.application import open_application
from kurswerk.bootstrap.files import read_panel, write_features
from kurswerk.bootstrap.job_kinds import files_in
from kurswerk.cli._groups import CommandGroup
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.core.messages import Message
from kurswerk.features import FeaturePlan, LiveEngine
from kurswerk.jobs import Progress
from kurswerk.market import Panel
from kurswerk.training import FeaturesRequest, ModelSpec, export_features, read_document, training_plan


@click.command("features")
@click.argument("spec", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("source", metavar="IN.parquet", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", metavar="OUT.parquet", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--live", is_flag=True, help="Compute through the live path, row by row in order of time.")
@click.option("--chunk", type=click.IntRange(1), default=1, show_default=True, help="Rows at a time with --live.")
@json_option
def features(spec: Path, source: Path, target: Path, chunk: int, *, live: bool, as_json: bool) -> None:
    """Compute the features of SPEC.json for IN.parquet and write OUT.parquet.

    OUT has the keys of IN and one float64 column per feature; both paths give the same bits.
    """
    specification = ModelSpec.read(spec)
    file = read_panel(source, specification.market_schema)
    plan = training_plan(specification, file.panel)
    with progress_bar("features") as progress:
        values = (
            _replay(plan, file.panel, chunk, progress)
            if live
            else plan.compute(file.panel, threads=2).astype(np.float64, copy=False)
        )
    write_features(target, file, plan.names, values)
    document = {"rows": len(file.panel), "features": list(plan.names), "path": str(target), "live": live}
    if as_json:
        print_json(document)
    else:
        rows, features = Message("count.rows", count=len(file.panel)), Message("count.features", count=len(plan.names))
        click.echo(Message("cli.features_written", rows=rows, features=features, path=target))


def _replay(plan: FeaturePlan, panel: Panel, chunk: int, progress: Progress) -> NDArray[np.float64]:
    """Feed the rows of all coins to the live engine in order of time."""
    first = plan.first_stage
    engine = LiveEngine(first)
    codes = panel.codes
    order = np.lexsort((codes, panel.timestamps))
    names = np.asarray(panel.instruments, dtype=object)
    inputs = np.column_stack([panel.column(name) for name in plan.inputs]) if plan.inputs else np.empty((len(panel), 0))
    values = np.empty((len(panel), len(first.names)))
    for start in range(0, len(order), chunk):
        rows = order[start : start + chunk]
        values[rows] = engine.update(list(names[codes[rows]]), panel.timestamps[rows], inputs[rows])
        if start % (64 * chunk) == 0:
            progress(start / len(order), Message("progress.rows", count=start))
    return values if plan.second_stage is None else plan.compare(values, panel)


@click.command("export")
@click.argument("request_path", metavar="REQUEST.json", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", metavar="OUT.parquet", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def export_command(request_path: Path, target: Path, *, as_json: bool) -> None:
    """Export features of stored rows, as REQUEST.json asks for, to OUT.parquet.

    The request is that of a job of kind FEATURES: features, start, end, and if wanted market, instruments, target. OUT
    has the bytes that such a job writes; it appears whole or not at all.
    """
    request = FeaturesRequest.parse(read_document(request_path))
    app = open_application()
    with progress_bar("export") as progress:
        result = export_features(request, app.training, files_in(target.parent), target.name, progress=progress)
    if as_json:
        print_json({**result.model_dump(), "path": str(target)})
    else:
        click.echo(
            f"{result.rows:,} rows of {result.instruments:,} instruments × {len(result.columns)} columns → {target} "
            f"({result.bytes:,} bytes, SHA-256 {result.sha256})"
        )


command = CommandGroup(features, [export_command])
