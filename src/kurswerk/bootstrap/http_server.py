"""uvicorn as a part of the service: on a socket that is bound before anything starts."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from typing_extensions import override

from kurswerk.bootstrap.addresses import url_to
from kurswerk.core.errors import ConflictError, InvalidInputError

# Answers under way get this long when the service stops.
_GRACE_S = 3
_BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn that leaves signals to the service and reports when it answers.

    Parameters
    ----------
    app
        The ASGI application.
    **options
        As for `uvicorn.Config`.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # ours knows the path's prefix and the host's name too
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE_S,
            **options,
        )
        super().__init__(config)
        self.ready = asyncio.Event()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def answer(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Answer until ``stop`` is set, and the answers under way to their end."""
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self.should_exit = True
        stopping.cancel()
        await serving


def bind(host: str, port: int) -> socket.socket:
    """Take a port; 0 takes a free one.

    Raises
    ------
    ConflictError
        If it is taken, or not ours to take.
    InvalidInputError
        If the host has no address here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except socket.gaierror as error:
        raise InvalidInputError("service.no_such_address", host=host, reason=error.strerror) from error
    except OSError as error:
        raise ConflictError("service.port_not_available", host=host, port=port, reason=error.strerror) from error


def url_of(listener: socket.socket) -> str:
    """Return the URL of a socket; that of one on all addresses leads to this machine."""
    return url_to(*listener.getsockname()[:2])
