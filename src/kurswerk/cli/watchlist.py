"""``kurswerk watchlist``: instruments that somebody follows together."""

from collections.abc import Callable
from typing import Any

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp, to_us
from kurswerk.market import MARKETS
from kurswerk.market.watchlists import WatchedInstrument, Watchlist, WatchlistStore

_market = click.option(
    "--market",
    type=click.Choice(list(MARKETS)),
    default="stocks",
    show_default=True,
    help="Whose instruments they are.",
)


@click.group("watchlist")
def command() -> None:
    """Follow instruments together, under a name.

    A WATCHLIST is its name or its id. The dashboard's pages and the REST API show and filter by the same lists.
    """


@command.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List all watchlists."""
    found = open_application().stores.watchlists.all()
    if as_json:
        print_json({"watchlists": [_document(one) for one in found]})
    elif found:
        rows = [(one.id, one.name, len(one.instruments), f"{one.updated_at:%Y-%m-%d %H:%M}") for one in found]
        print_table("watchlists", ("id", "name", "instruments", "changed"), rows)
    else:
        click.echo(Message("cli.no_watchlists"))


@command.command("show")
@click.argument("watchlist")
@json_option
def show_command(watchlist: str, *, as_json: bool) -> None:
    """Show what is on WATCHLIST."""
    _show(_store().get(_identifier(watchlist)), as_json=as_json)


@command.command("create")
@click.argument("name")
@click.argument("keys", nargs=-1, metavar="[KEY]…")
@_market
@json_option
def create_command(name: str, keys: tuple[str, ...], market: str, *, as_json: bool) -> None:
    """Make a watchlist called NAME, with instruments such as AAPL."""
    _show(_store().create(name, [WatchedInstrument(market, key) for key in keys]), as_json=as_json)


def _changing(name: str, text: str, change: Callable[[WatchlistStore], Callable[..., Watchlist]]) -> None:
    """Add a subcommand that changes which instruments are on a watchlist."""

    @command.command(name, help=text)
    @click.argument("watchlist")
    @click.argument("keys", nargs=-1, required=True, metavar="KEY…")
    @_market
    @json_option
    def changing(watchlist: str, keys: tuple[str, ...], market: str, *, as_json: bool) -> None:
        store = _store()
        number = store.get(_identifier(watchlist)).id
        _show(change(store)(number, [WatchedInstrument(market, key) for key in keys]), as_json=as_json)


_changing("add", "Add instruments to WATCHLIST; those that are on it stay where they are.", lambda store: store.add)
_changing("remove", "Take instruments off WATCHLIST.", lambda store: store.remove)


@command.command("delete")
@click.argument("watchlist")
@json_option
def delete_command(watchlist: str, *, as_json: bool) -> None:
    """Delete WATCHLIST; its instruments stay."""
    store = _store()
    found = store.get(_identifier(watchlist))
    store.delete(found.id)
    if as_json:
        print_json(_document(found))
    else:
        click.echo(Message("cli.watchlist_deleted", name=found.name))


def _store() -> WatchlistStore:
    return open_application().stores.watchlists


def _identifier(text: str) -> int | str:
    """Return an id, which is digits alone, or a name, which never is."""
    return int(text) if text.isdecimal() else text


def _show(one: Watchlist, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(one))
    else:
        print_table(f"{one.name} ({one.id})", ("market", "instrument"), list(one.instruments))


def _document(one: Watchlist) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "instruments": [found._asdict() for found in one.instruments],
        "created_at": format_timestamp(to_us(one.created_at)),
        "updated_at": format_timestamp(to_us(one.updated_at)),
    }
