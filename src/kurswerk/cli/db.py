"""``kurswerk db``: prepare, inspect, back up, restore, find and stop the database."""

import click

from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.database import DatabaseAdministration
from kurswerk.cli._adopt import adopt_command
from kurswerk.cli._backup import backup_command, backups_command, restore_command, schedule_command, verify_command
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message
from kurswerk.market import DEFAULT_MARKET, MARKETS, market_named
from kurswerk.serving import missing_columns_message

# Whether the triggers were to be removed, and whether that changed anything.
_FEED_CODES = {
    (False, True): "cli.feed_in_place",
    (False, False): "cli.feed_in_place_already",
    (True, True): "cli.feed_removed",
    (True, False): "cli.feed_removed_already",
}


@click.group("db")
def command() -> None:
    """Prepare, inspect, back up, restore, find and stop the database.

    Without KURSWERK_DATABASE_URL it is a PostgreSQL of Kurswerk's own under KURSWERK_DATA_DIR.
    """


@command.command("upgrade")
@json_option
def upgrade_command(*, as_json: bool) -> None:
    """Create or migrate all tables; doing it again changes nothing."""
    database = DatabaseAdministration(current_settings())
    changed, revision = database.upgrade(), database.revision
    if as_json:
        print_json({"database": str(database), "revision": revision, "changed": changed})
    else:
        code = "cli.revision_now" if changed else "cli.revision_unchanged"
        click.echo(Message(code, database=database, revision=revision))


@command.command("status")
@json_option
def status_command(*, as_json: bool) -> None:
    """Show where the database is, its revision and its tables."""
    settings = current_settings()
    database = DatabaseAdministration(settings)
    if not database.running:
        document = {"database": "embedded", "running": False, "data_dir": str(settings.data_dir)}
        if as_json:
            print_json(document)
        else:
            click.echo(Message("cli.database_not_running", folder=settings.data_dir))
        return
    status = database.status()
    missing = database.missing_columns() if status.up_to_date else ()
    if as_json:
        tables = [vars(table) for table in status.tables]
        document = {**vars(status), "tables": tables, "up_to_date": status.up_to_date}
        document["missing_columns"] = [vars(column) for column in missing]
        print_json({"database": str(database), "running": True, **document})
        return
    click.echo(f"{database}, PostgreSQL {status.server_version}, {status.size_bytes / 1e6:,.1f} MB")
    click.echo(f"  revision {status.current or 'none'}, newest {status.head}")
    rows = [
        (table.name, table.rows, table.size_bytes, "Kurswerk" if table.owned else "found") for table in status.tables
    ]
    print_table("tables", ("table", "rows, about", "bytes", "made by"), rows)
    if not status.up_to_date:
        click.echo(f"  {Message('cli.database_upgrade_needed')}")
    if missing:
        columns = [(column.table, column.column) for column in missing]
        models = {model for column in missing for model in column.model_ids}
        click.echo(f"  {missing_columns_message(columns, len(models))}")


@command.command("url")
@json_option
def url_command(*, as_json: bool) -> None:
    """Print the URL, for psql and other programs; starts the embedded database."""
    url = DatabaseAdministration(current_settings()).url
    if as_json:
        print_json({"url": url})
    else:
        click.echo(url)


@command.command("install-feed")
@click.argument("market", type=click.Choice(list(MARKETS)), default=DEFAULT_MARKET, metavar="[MARKET]")
@click.option("--remove", is_flag=True, help="Take the triggers away; the table is then looked at again and again.")
@json_option
def install_feed_command(market: str, *, remove: bool, as_json: bool) -> None:
    """Put triggers on the table of MARKET that feed every new row to the predictor; coins by default.

    They are there already on a table that Kurswerk made. On one of others' rows are found by looking until then, which
    misses those that are much older than the newest.
    """
    database = DatabaseAdministration(current_settings())
    database.upgrade()
    schema = market_named(market)
    changed = database.remove_feed(schema) if remove else database.install_feed(schema)
    if as_json:
        print_json({"database": str(database), "market": market, "installed": not remove, "changed": changed})
    else:
        click.echo(Message(_FEED_CODES[remove, changed], database=database, table=schema.table))


@command.command("stop")
@json_option
def stop_command(*, as_json: bool) -> None:
    """Stop the embedded database; the next command starts it again."""
    stopped = DatabaseAdministration(current_settings()).stop()
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo(Message("cli.database_stopped") if stopped else Message("cli.database_not_stopped"))


for _command in (adopt_command, backup_command, backups_command, verify_command, restore_command, schedule_command):
    command.add_command(_command)
