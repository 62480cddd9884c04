"""What every command prints for programs: one JSON document, or one clear line when it failed."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from kurswerk.core.messages import Message

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Give a command the flag ``--json`` as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def print_json(document: Any) -> None:
    """Print one JSON document; NaN and infinities do not exist in JSON and become null."""
    click.echo(json.dumps(_finite(document), indent=2, default=str, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def report_error(text: str, *, as_json: bool, kind: str = "Error", message: Message | None = None) -> None:
    """Write one clear line to stderr, and with ``--json`` the same as a document on stdout."""
    line = " ".join(text.split())
    click.echo(f"kurswerk: {line}", err=True)
    if as_json:
        details = {} if message is None else {"details": message.as_json()}
        print_json({"error": {"code": kind, "message": line, **details}})
