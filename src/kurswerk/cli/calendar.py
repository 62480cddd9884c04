"""``kurswerk calendar``: the trading sessions of exchanges."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import click
import numpy as np

from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.sessions import KnownSessions, known_sessions, update_sessions, use_sessions_of
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp
from kurswerk.market.calendar import Calendar, calendar_of

_DAYS_SHOWN = 14
_DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.group("calendar")
def command() -> None:
    """Show the trading sessions of exchanges, and take newer ones from exchange_calendars.

    Horizons in sessions, and the timestamps of daily bars, follow them.
    """


@command.command("show")
@click.argument("exchange", required=False)
@click.option("--start", type=_DATE, help="First date.  [default: today]")
@click.option("--end", type=_DATE, help=f"Last date.  [default: {_DAYS_SHOWN} days after the first]")
@json_option
def show_command(exchange: str | None, start: datetime | None, end: datetime | None, *, as_json: bool) -> None:
    """List all exchanges, or the sessions of EXCHANGE (XNYS, XETR, …, 24/7) between two dates."""
    use_sessions_of(current_settings().data_dir)
    if exchange is None:
        _print_exchanges("exchanges", known_sessions(), as_json=as_json)
        return
    first = start.date() if start else datetime.now(UTC).date()
    last = end.date() if end else first + timedelta(days=_DAYS_SHOWN)
    calendar = calendar_of(exchange)
    sessions = _sessions_of(calendar, first, last)
    if as_json:
        print_json({"exchange": calendar.exchange, "sessions": sessions})
    else:
        rows = [tuple(session.values()) for session in sessions]
        print_table(f"Sessions of {calendar.exchange}", ("session", "open", "close", "half day"), rows)


@command.command("update")
@click.argument("exchanges", metavar="[EXCHANGE]...", nargs=-1)
@click.option("--start", type=_DATE, help="First date.  [default: 1990-01-01]")
@click.option("--end", type=_DATE, help="Last date.  [default: the end of the fourth year from now]")
@json_option
def update_command(exchanges: tuple[str, ...], start: datetime | None, end: datetime | None, *, as_json: bool) -> None:
    """Take sessions from the installed exchange_calendars; without EXCHANGE those of all that are known.

    They are kept in the data folder and asked before those of the package, by running services too.
    """
    data_dir = current_settings().data_dir
    use_sessions_of(data_dir)
    updated = update_sessions(data_dir, exchanges, start.date() if start else None, end.date() if end else None)
    _print_exchanges("updated", updated, as_json=as_json)
    changed = sum(len(one.changed) for one in updated)
    if changed and not as_json:
        names = [one.exchange for one in updated if one.changed]
        click.echo(Message("cli.sessions_changed", count=changed, exchanges=names))


def _print_exchanges(title: str, found: list[KnownSessions], *, as_json: bool) -> None:
    documents = [_document(one) for one in found]
    if as_json:
        print_json({title: documents})
        return
    header = ("exchange", "first", "last", "sessions", "half days", *(["changed"] if title == "updated" else []))
    rows = [tuple(document[name.replace(" ", "_")] for name in header) for document in documents]
    print_table("Exchanges", header, rows)


def _document(one: KnownSessions) -> dict[str, Any]:
    return {
        "exchange": one.exchange,
        "first": one.first.isoformat(),
        "last": one.last.isoformat(),
        "sessions": one.sessions,
        "half_days": one.half_days,
        "changed": len(one.changed),
        "source": one.source,
        "path": None if one.path is None else str(one.path),
    }


def _sessions_of(calendar: Calendar, first: date, last: date) -> list[dict[str, Any]]:
    dates = calendar.sessions_between(first, last)
    places = np.searchsorted(calendar.sessions.dates, dates)
    return [
        {
            "session": str(calendar.sessions.dates[place]),
            "open": format_timestamp(int(calendar.sessions.opens_us[place])),
            "close": format_timestamp(int(calendar.sessions.closes_us[place])),
            "half_day": bool(calendar.sessions.half_days[place]),
        }
        for place in places
    ]
