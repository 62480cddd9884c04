"""``kurswerk test``: a model on any period and any coins."""

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._models import print_evaluation, test_document
from kurswerk.cli._options import (
    cost_options,
    mints_option,
    model_key,
    parse_mints,
    parse_period,
    period_options,
)
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.core.messages import Message
from kurswerk.training import Costs, run_test


@click.command("test")
@click.argument("model")
@period_options
@mints_option
@cost_options
@json_option
def command(
    model: str,
    start: str,
    end: str,
    mints: str | None,
    costs: Costs | None,
    *,
    as_json: bool,
) -> None:
    """Test MODEL (id or name) on a period; reports by how much it overlaps the training."""
    period = parse_period(start, end)
    app = open_application()
    with progress_bar("test") as progress:
        result_id, result = run_test(
            model_key(model),
            period,
            app.training,
            mints=parse_mints(mints),
            costs=costs,
            progress=progress,
        )
    if as_json:
        print_json(test_document(result_id, result))
        return
    click.echo(f"test {result_id} of model {result.model_id}, {start} to {end}: {result.overlap_note}")
    print_evaluation("test, 95 % interval by coin and time", result.evaluation)
    if result.is_overfitted:
        click.echo(f"  {Message('cli.overfitted', difference=f'{result.accuracy_degradation:.3f}')}")
