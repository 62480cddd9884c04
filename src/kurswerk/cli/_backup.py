"""``kurswerk db backup``, ``backups``, ``verify``, ``restore`` and ``schedule``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.backup import BackupService, BackupState, Header, KeepRule, parse_interval
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.messages import Message

Command = TypeVar("Command", bound=Callable[..., Any])


def _key_option(command: Command) -> Command:
    return click.option(
        "--key-file", type=click.Path(path_type=Path), help="Holds the key; else KURSWERK_BACKUP_KEY or …_KEY_FILE."
    )(command)


def keep_options(command: Command) -> Command:
    """Give a command ``--keep-last`` and ``--keep-days``."""
    last = click.option("--keep-last", type=click.IntRange(min=1), help="Remove older backups than the newest N.")
    days = click.option("--keep-days", type=click.FloatRange(min=0), help="But none of the last so many days.")
    return last(days(command))


@click.command("backup")
@click.argument("store", required=False)
@_key_option
@keep_options
@json_option
def backup_command(
    store: str | None, key_file: Path | None, keep_last: int | None, keep_days: float | None, *, as_json: bool
) -> None:
    """Back up the database and the files that belong to it, as of one moment, while everything runs.

    STORE is a folder or a URL such as s3://bucket/kurswerk; KURSWERK_BACKUP_STORE by default. With a key the backup is
    encrypted.
    """
    service = BackupService(current_settings(), store=store, key_file=key_file)
    with progress_bar("backup") as bar:
        done = service.create(KeepRule(keep_last, keep_days), progress=bar)
    header = done.header
    if as_json:
        missing, pruned = list(done.missing_files), list(done.pruned)
        print_json({"store": service.store, **_document(header), "missing_files": missing, "pruned": pruned})
        return
    click.echo(
        Message(
            "cli.backup_done",
            name=header.name,
            store=service.store,
            rows=header.rows,
            files=header.files,
            raw=header.raw_bytes / 1e6,
            stored=header.stored_bytes / 1e6,
            seconds=header.seconds,
        )
    )
    if done.missing_files:
        click.echo(Message("cli.backup_files_missing", names=done.missing_files), err=True)
    if done.pruned:
        click.echo(Message("cli.backup_pruned", names=done.pruned))


@click.command("backups")
@click.argument("store", required=False)
@json_option
def backups_command(store: str | None, *, as_json: bool) -> None:
    """List the complete backups of STORE, oldest first."""
    service = BackupService(current_settings(), store=store)
    documents = [_document(header) for header in service.complete()]
    if as_json:
        print_json({"store": service.store, "backups": documents})
    elif documents:
        header = ("name", "moment", "revision", "rows", "files", "MB", "stored MB", "seconds", "encrypted")
        shown = [
            {**one, "raw_bytes": one["raw_bytes"] / 1e6, "stored_bytes": one["stored_bytes"] / 1e6} for one in documents
        ]
        keys = ("name", "moment", "revision", "rows", "files", "raw_bytes", "stored_bytes", "seconds", "encrypted")
        print_table("backups", header, [tuple(one[key] for key in keys) for one in shown])
    else:
        click.echo(Message("cli.no_backups", store=service.store))


@click.command("verify")
@click.argument("backup", required=False)
@click.option("--restore", "restored", is_flag=True, help="Also restore into a database of its own, and drop that.")
@_key_option
@json_option
def verify_command(backup: str | None, key_file: Path | None, *, restored: bool, as_json: bool) -> None:
    """Read all of BACKUP, decrypt it, count its rows and compare everything with its manifest.

    BACKUP is the path or URL of one backup, or of a store, whose newest complete one is taken; KURSWERK_BACKUP_STORE by
    default.
    """
    service = BackupService(current_settings(), store=backup, key_file=key_file)
    with progress_bar("verify") as bar:
        found = service.verify(progress=bar)
        rows = service.restore_into_scratch(progress=bar) if restored else None
    counts = {"objects": found.objects, "tables": found.tables, "rows": found.rows, "files": found.files}
    if as_json:
        print_json({**_document(found.header), **counts, "restored_rows": rows})
        return
    click.echo(Message("cli.verify_done", name=found.header.name, **counts))
    if rows is not None:
        click.echo(Message("cli.verify_restored", rows=rows))


@click.command("restore")
@click.argument("backup", required=False)
@click.option("--replace", metavar="NAME", help="Name of the database, if it is not empty: the backup takes its place.")
@_key_option
@json_option
def restore_command(backup: str | None, replace: str | None, key_file: Path | None, *, as_json: bool) -> None:
    """Restore BACKUP in place of the database and of the files that belong to it.

    BACKUP is given as to verify. All of it is checked first, and loaded beside the present database, which it then
    replaces at once; the present one is kept under another name. Interrupted, it is simply called again.
    """
    service = BackupService(current_settings(), store=backup, key_file=key_file)
    with progress_bar("restore") as bar:
        done = service.restore(replace=replace, progress=bar)
    kept = [str(one) for one in (done.replaced_database, done.replaced_files) if one]
    if as_json:
        print_json(
            {
                **_document(done.header),
                "database": done.database,
                "replaced_database": done.replaced_database,
                "replaced_files": done.replaced_files and str(done.replaced_files),
                "settings_file": done.settings_file and str(done.settings_file),
                "finished_earlier": done.finished_earlier,
            }
        )
        return
    moment = done.header.moment
    click.echo(Message("cli.restore_done", database=done.database, moment=moment, files=done.files))
    for what in kept:
        click.echo(Message("cli.restore_replaced", what=what))


@click.command("schedule")
@click.argument("store", required=False)
@click.option("--every", metavar="INTERVAL", help="After each so long: 30m, 6h or 1d.")
@click.option("--cron", metavar="EXPRESSION", help="Instead: five fields, in UTC, such as '0 3 * * *'.")
@click.option("--off", is_flag=True, help="Make no more backups.")
@keep_options
@json_option
def schedule_command(
    store: str | None,
    every: str | None,
    cron: str | None,
    keep_last: int | None,
    keep_days: float | None,
    *,
    off: bool,
    as_json: bool,
) -> None:
    """Let the service make backups to STORE by itself, or show when it does.

    Services with a worker make them, one of them each. Set it again to change it; the key is that of their settings.
    """
    service = BackupService(current_settings(), store=store)
    setting = every is not None or cron is not None
    if off == setting and (off or store is not None or keep_last is not None or keep_days is not None):
        raise click.UsageError("give --every or --cron to set a schedule, or --off to end it")
    if off:
        state = service.end_schedule()
    elif setting:
        minutes = parse_interval(every) if every is not None else None
        state = service.schedule(every_minutes=minutes, cron=cron, keep=KeepRule(keep_last, keep_days))
    else:
        state = service.state()
    if as_json:
        print_json(_state_document(state))
        return
    schedule = state.schedule
    if schedule is None:
        click.echo(Message("cli.no_backup_schedule"))
    else:
        rhythm = f"{schedule.every_minutes} min" if schedule.cron is None else schedule.cron
        click.echo(Message("cli.backup_schedule", store=schedule.store, rhythm=rhythm, due=state.due))
    if state.last is not None:
        code = "cli.last_backup" if state.last.error is None else "cli.last_backup_failed"
        what = state.last.name if state.last.error is None else state.last.error
        click.echo(Message(code, moment=state.last.started_at, what=what))


def _state_document(state: BackupState) -> dict[str, Any]:
    schedule = state.schedule
    return {
        "schedule": schedule
        and {
            "store": schedule.store,
            "every_minutes": schedule.every_minutes,
            "cron": schedule.cron,
            "keep_last": schedule.keep.last,
            "keep_days": schedule.keep.days,
            "due": state.due,
        },
        "last": state.last and vars(state.last),
        "completed": state.completed and vars(state.completed),
    }


def _document(header: Header) -> dict[str, Any]:
    return {
        "name": header.name,
        "moment": header.moment,
        "program": header.program,
        "revision": header.revision,
        "server_version": header.server_version,
        "rows": header.rows,
        "files": header.files,
        "raw_bytes": header.raw_bytes,
        "stored_bytes": header.stored_bytes,
        "seconds": header.seconds,
        "encrypted": header.encryption is not None,
    }
