"""The REST API as a part of the service: uvicorn on a socket that is bound before anything starts."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from kurswerk.api import ApiOptions, ApiPorts, FrameProtocol, create_app
from kurswerk.bootstrap.api_services import api_services
from kurswerk.bootstrap.health import health_service
from kurswerk.bootstrap.service import Service, memory_budget_bytes
from kurswerk.bootstrap.setting_groups import HttpSettings
from kurswerk.core.errors import ConflictError, InvalidInputError
from kurswerk.storage.operations import PostgresKeyStore

# Answers under way get this long when the service stops.
_GRACE_S = 3
_BACKLOG = 2048
# Adds what else a server answers, and returns what is open while it serves.
Extend = Callable[[FastAPI, ApiPorts, ApiOptions], contextlib.AbstractContextManager[object]]
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def part(service: Service, extend: Extend | None = None) -> "ApiPart":
    """Make the API.

    Parameters
    ----------
    extend
        Adds what else the same server answers, such as the dashboard.

    Raises
    ------
    ConflictError
        If the port is taken, or strangers could reach an API that asks for no key.
    """
    http = service.settings.http
    usable_keys = PostgresKeyStore(service.database).any_usable()
    options = options_for(http, insecure=service.insecure, usable_keys=usable_keys)
    listener = bind(http.host, http.port)
    reports = health_service(service)
    services = api_services(
        service.stores,
        service.settings.data_dir,
        stream=service.prediction_feed,
        health=reports.health,
        metrics_text=reports.metrics_text,
        on_request=service.metrics.observe_request,
        memory_budget_bytes=memory_budget_bytes(service.settings.worker),
    )
    app = create_app(services, options)
    beside = None if extend is None else extend(app, services, options)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws=FrameProtocol,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return ApiPart(_Server(config), listener, beside)


class ApiPart:
    """uvicorn, from the first request until ``stop``."""

    def __init__(
        self, server: "_Server", listener: socket.socket, beside: contextlib.AbstractContextManager[object] | None
    ) -> None:
        self._server = server
        self._beside = beside
        self._listener = listener
        self.ready = server.ready
        self._url = url_of(listener)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where the dashboard, the API, its documentation and its metrics are."""
        pages = {"dashboard": f"{self._url}/dashboard"} if self._beside is not None else {}
        return {**pages, "api": self._url, "docs": f"{self._url}/docs", "metrics": f"{self._url}/metrics"}

    async def run(self, stop: asyncio.Event) -> None:
        """Answer until ``stop`` is set, and the answers under way to their end."""
        with self._beside or contextlib.nullcontext():
            serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._server.should_exit = True
            stopping.cancel()
            await serving


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the service and reports when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
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
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def options_for(http: HttpSettings, *, insecure: bool, usable_keys: bool) -> ApiOptions:
    """Return how the API behaves: on loopback open to this machine, elsewhere only with keys.

    Raises
    ------
    ConflictError
        If keys are needed and there are none, or strangers could reach an API without.
    """
    local = is_loopback(http.host)
    require_keys = (not local if http.require_keys is None else http.require_keys) and not insecure
    if not local and not require_keys and not insecure:
        raise ConflictError("service.keys_not_required", host=http.host)
    if require_keys and not usable_keys:
        raise ConflictError("service.no_keys", host=http.host)
    # Without keys a name check keeps web pages from reaching the API through a name of their own.
    names = _LOCAL_NAMES if local and not require_keys else ()
    options = ApiOptions(
        require_keys=require_keys,
        allowed_hosts=http.allowed_hosts or names,
        read_limit=http.read_limit,
        write_limit=http.write_limit,
    )
    redis = http.redis_url
    return replace(options, limit_storage=f"async+{redis.get_secret_value()}") if redis else options


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
