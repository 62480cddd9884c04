"""``kurswerk keys``: who may call the API."""

from typing import Any

import click

from kurswerk.bootstrap.api_keys import SCOPES, ApiKey, open_key_store
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp, to_us


@click.group("keys")
def command() -> None:
    """Make, list and revoke API keys.

    A client sends its key in the header X-API-Key. Each scope includes the ones before it: read; train (order and
    cancel jobs, change models); admin (delete models, decide which ones predict).
    """


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=["read"],
    show_default=True,
    help="What the key allows.",
)
@json_option
def create_command(name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Make a key called NAME and print it; it cannot be shown again."""
    record, key = open_key_store().create(name, scopes)
    if as_json:
        print_json({**_document(record), "key": key})
        return
    click.echo(key)
    click.echo(Message("cli.key_created", id=record.id, name=record.name, scopes=record.scopes), err=True)


@command.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List all keys, revoked ones too."""
    documents = [_document(record) for record in open_key_store().all()]
    if as_json:
        print_json({"keys": documents})
        return
    if not documents:
        click.echo(Message("cli.no_keys"))
        return
    header = ("id", "name", "prefix", "scopes", "created", "last used", "revoked")
    rows = [tuple(" ".join(v) if isinstance(v, list) else v for v in document.values()) for document in documents]
    print_table("API keys", header, rows)


@command.command("rotate")
@click.argument("key")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0, max=8760),
    default=24.0,
    show_default=True,
    help="For so long KEY is accepted beside the new one.",
)
@json_option
def rotate_command(key: str, grace_hours: float, *, as_json: bool) -> None:
    """Make a key of the same name and scopes as KEY (id, name or prefix), print it, and revoke KEY after a while."""
    made, secret, old = open_key_store().rotate(key, 3600 * grace_hours)
    if as_json:
        print_json({**_document(made), "key": secret, "replaces": _document(old)})
        return
    click.echo(secret)
    click.echo(Message("cli.key_rotated", id=made.id, name=made.name, old=old.id, until=old.revoked_at), err=True)


@command.command("revoke")
@click.argument("key")
@json_option
def revoke_command(key: str, *, as_json: bool) -> None:
    """Revoke KEY (its id, name or prefix); it is refused from now on."""
    record = open_key_store().revoke(key)
    if as_json:
        print_json(_document(record))
    else:
        click.echo(Message("cli.key_revoked", id=record.id, name=record.name))


def _document(record: ApiKey) -> dict[str, Any]:
    moments = {name: getattr(record, name) for name in ("created_at", "last_used_at", "revoked_at")}
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "scopes": list(record.scopes),
        **{name: moment and format_timestamp(to_us(moment)) for name, moment in moments.items()},
    }
