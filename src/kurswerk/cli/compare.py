"""``kurswerk compare``: two models on identical rows."""

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._models import comparison_document
from kurswerk.cli._options import (
    cost_options,
    mints_option,
    model_key,
    parse_mints,
    parse_period,
    period_options,
)
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.messages import Message
from kurswerk.registry import Comparison
from kurswerk.training import Costs, compare_models


@click.command("compare")
@click.argument("model_a")
@click.argument("model_b")
@period_options
@mints_option
@cost_options
@json_option
def command(
    model_a: str,
    model_b: str,
    start: str,
    end: str,
    mints: str | None,
    costs: Costs | None,
    *,
    as_json: bool,
) -> None:
    """Compare MODEL_A and MODEL_B (id or name) on the rows that both can judge.

    The higher F1 wins; a paired test decides whether the difference is more than luck. Of two forecasts that test
    decides who wins, or nobody.
    """
    period = parse_period(start, end)
    app = open_application()
    with progress_bar("compare") as progress:
        comparison_id, comparison = compare_models(
            model_key(model_a),
            model_key(model_b),
            period,
            app.training,
            mints=parse_mints(mints),
            costs=costs,
            progress=progress,
        )
    if as_json:
        print_json(comparison_document(comparison_id, comparison))
    else:
        names = (app.models.get(comparison.model_a_id).name, app.models.get(comparison.model_b_id).name)
        print_comparison(comparison_id, comparison, names)


def print_comparison(comparison_id: int, comparison: Comparison, names: tuple[str, str]) -> None:
    """Show both models side by side, the winner and the result of the paired test."""
    document = comparison_document(comparison_id, comparison)
    shown = ("f1_score", "precision_score", "recall", "accuracy", "roc_auc", "mcc", "simulated_profit_pct")
    rows = [(metric, document["a"][metric], document["b"][metric]) for metric in shown]
    print_table(f"comparison {comparison_id} on {comparison.num_samples:,} identical rows", ("metric", *names), rows)
    winner = {comparison.model_a_id: names[0], comparison.model_b_id: names[1]}.get(comparison.winner_id or 0)
    verdict = Message("cli.comparison_winner", name=winner) if winner else Message("cli.comparison_draw")
    if "diebold_mariano" not in comparison.significance:  # whose sentence names the winner
        click.echo(f"  {verdict}")
    click.echo(f"  {comparison.significance['sentence']}")
