"""The REST API as a part of the service."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

from fastapi import FastAPI

from kurswerk.api import ApiOptions, ApiPorts, FrameProtocol, ProxyMiddleware, ProxyOptions, create_app
from kurswerk.bootstrap.addresses import is_loopback
from kurswerk.bootstrap.api_keys import keep_configured_keys
from kurswerk.bootstrap.api_services import api_services
from kurswerk.bootstrap.health import health_service
from kurswerk.bootstrap.http_server import Server, bind, url_of
from kurswerk.bootstrap.service import Service, memory_budget_bytes
from kurswerk.bootstrap.setting_groups import HttpSettings
from kurswerk.core.errors import ConflictError
from kurswerk.core.messages import Message
from kurswerk.observability import get_logger
from kurswerk.storage.operations import PostgresKeyStore

log = get_logger(__name__)
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
    keys = PostgresKeyStore(service.database)
    options = options_for(http, insecure=service.insecure)
    keep_configured_keys(keys, service.settings.api_keys)
    listener = bind(http.host, http.port)
    if options.require_keys and not keys.any_usable():
        # It serves all the same: whoever has no key is refused, and the first key counts at once.
        log.warning(str(Message("service.no_keys", host=http.host)))
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
    proxies = ProxyOptions(http.trusted_proxies, http.path_prefix, http.hsts_seconds)
    return ApiPart(Server(ProxyMiddleware(app, proxies), lifespan="on", ws=FrameProtocol), listener, beside)


class ApiPart:
    """uvicorn, from the first request until ``stop``."""

    def __init__(
        self, server: Server, listener: socket.socket, beside: contextlib.AbstractContextManager[object] | None
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
            await self._server.answer(self._listener, stop)


def options_for(http: HttpSettings, *, insecure: bool) -> ApiOptions:
    """Return how the API behaves: on loopback open to this machine, elsewhere only with keys.

    Raises
    ------
    ConflictError
        If strangers could reach an API that asks for no key.
    """
    local = is_loopback(http.host)
    require_keys = (not local if http.require_keys is None else http.require_keys) and not insecure
    if not local and not require_keys and not insecure:
        raise ConflictError("service.keys_not_required", host=http.host)
    # Without keys a name check keeps web pages from reaching the API through a name of their own.
    names = _LOCAL_NAMES if local and not require_keys else ()
    options = ApiOptions(
        require_keys=require_keys,
        allowed_hosts=http.allowed_hosts or names,
        read_limit=http.read_limit,
        write_limit=http.write_limit,
        metrics_token=http.metrics_token.get_secret_value() if http.metrics_token else None,
        path_prefix=http.path_prefix,
    )
    redis = http.redis_url
    return replace(options, limit_storage=f"async+{redis.get_secret_value()}") if redis else options
