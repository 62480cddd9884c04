"""Health and metrics on a port of their own, beside any part of the service."""

import asyncio
import socket
from collections.abc import Mapping

from kurswerk.bootstrap.health import health_service
from kurswerk.bootstrap.http_server import Server, bind, url_of
from kurswerk.bootstrap.service import Service
from kurswerk.observability import HealthEndpoint


def part(service: Service) -> "HealthPart":
    """Make it.

    Raises
    ------
    ConflictError
        If the port is taken.
    """
    settings = service.settings
    token = settings.http.metrics_token
    reports = health_service(service)
    endpoint = HealthEndpoint(reports.health, reports.metrics_text, token.get_secret_value() if token else None)
    listener = bind(settings.health.host, settings.health.port or 0)
    return HealthPart(Server(endpoint, lifespan="off", ws="none"), listener)


class HealthPart:
    """Reports how the service is until ``stop``; its answers also show that the process's event loop runs."""

    def __init__(self, server: Server, listener: socket.socket) -> None:
        self._server, self._listener = server, listener
        self.ready = server.ready

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where it is."""
        return {"health": f"{url_of(self._listener)}/health"}

    async def run(self, stop: asyncio.Event) -> None:
        """Answer until ``stop`` is set."""
        await self._server.answer(self._listener, stop)
