"""``kurswerk serve``: the service, in one process or split over several."""

import asyncio
import os
from collections.abc import Callable, Collection, Sequence

import click
import uvloop

from kurswerk import __version__
from kurswerk.bootstrap.application import current_settings
from kurswerk.bootstrap.service import PARTS, Part, make_parts, open_service, run_parts
from kurswerk.bootstrap.settings import WITHOUT_EFFECT, Settings
from kurswerk.cli._output import json_option, print_json
from kurswerk.core.messages import Message
from kurswerk.observability import get_logger

log = get_logger(__name__)


@click.command("serve")
@click.option("--host", help="Address to listen on; any but loopback needs API keys.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option("--only", metavar="PART,…", help=f"Only these parts: {', '.join(PARTS)}.")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without API keys.")
@json_option
def command(host: str | None, port: int | None, only: str | None, *, insecure: bool, as_json: bool) -> None:
    """Serve the REST API and work on its jobs until Ctrl-C.

    Brings the tables up to date first. Several may run side by side on one database, each on a port of its own.
    """
    settings = current_settings()
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    parts = [name.strip() for name in (only or "").split(",") if name.strip()]
    serve(settings.replace_in("http", **given), parts, insecure=insecure, as_json=as_json)


def serve(settings: Settings, only: Collection[str] = (), *, insecure: bool = False, as_json: bool = False) -> None:
    """Run parts of the service until SIGTERM or Ctrl-C; print where they are once they work."""
    service, watch = open_service(settings, insecure=insecure)
    for name, reason in WITHOUT_EFFECT.items():
        if name in os.environ:
            log.info("a variable of older services has no effect", variable=name, reason=reason)
    try:
        parts = make_parts(service, only)
        addresses = {name: address for part in parts for name, address in part.addresses.items()}

        def announce() -> None:
            if as_json:
                print_json({"addresses": addresses, "database": str(service.database)})
            else:
                # In one piece: whoever reads the first line has them all.
                head = Message("cli.service_running", version=__version__, database=service.database)
                click.echo("\n".join([str(head), *(f"  {name:9} {address}" for name, address in addresses.items())]))

        run_service([*watch, *parts], announce)
    finally:
        service.close()


def run_service(parts: Sequence[Part], announce: Callable[[], None] = lambda: None) -> None:
    """Run parts until SIGTERM or Ctrl-C, or until one of them ends; ``announce`` is called once all work."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_parts(parts, announce))
