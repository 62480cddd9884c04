"""``kurswerk db adopt``: from the tables of an older service to ours."""

from typing import Any

import click

from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.database import Adoption, DatabaseAdministration
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message


@click.command("adopt")
@click.option("--apply", "apply_", is_flag=True, help="Do it; else it is only shown, and nothing is changed.")
@json_option
def adopt_command(*, apply_: bool, as_json: bool) -> None:
    """Take over the models, results, jobs and predictions of an older service in the configured database.

    Its tables move to the schema before_kurswerk, where they stay as they were. Its models come without their artifact,
    which is never loaded: they are listed, and kurswerk models retrain trains them again. Stop that service first.
    """
    database = DatabaseAdministration(current_settings())
    found = database.adopt() if apply_ else database.plan_adoption()
    if as_json:
        print_json({"database": str(database), **_document(found)})
        return
    if not found.tables:
        click.echo(Message("cli.nothing_to_adopt", database=database))
        return
    header = ("table", "rows", "kept as", "taken over")
    print_table(
        str(database), header, [(table.name, table.rows, table.kept_as, table.taken_over) for table in found.tables]
    )
    rows = [
        (model.id, model.name, "yes" if model.translated else "no", "; ".join(map(str, model.remarks)) or None)
        for model in found.models
    ]
    print_table("models", ("id", "name", "can be trained again", "remarks"), rows)
    if found.done:
        click.echo(Message("cli.adopted", count=sum(model.taken_over for model in found.models)))
        return
    if found.others:
        click.echo(Message("cli.adoption_others", others=found.others))
    click.echo(Message("cli.adoption_not_done"))


def _document(found: Adoption) -> dict[str, Any]:
    return {
        "done": found.done,
        "tables": [vars(table) for table in found.tables],
        "models": [
            {
                "id": model.id,
                "name": model.name,
                "old_name": model.old_name,
                "taken_over": model.taken_over,
                "translated": model.translated,
                "remarks": [str(remark) for remark in model.remarks],
            }
            for model in found.models
        ],
        "others": list(found.others),
    }
