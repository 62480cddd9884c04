"""Put the dashboard into the server of the API."""

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kurswerk.dashboard.ports import DashboardOptions, DashboardServices
from kurswerk.dashboard.shell.app import create_app
from kurswerk.dashboard.shell.middleware import PREFIX, AuthenticationMiddleware


class _PathRouter:
    """Sends what is the dashboard's to the dashboard, before the API's own rules for calls apply."""

    def __init__(self, app: ASGIApp, dashboard: ASGIApp) -> None:
        self._app, self._dashboard = app, dashboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "") if scope["type"] in {"http", "websocket"} else ""
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            await self._dashboard(scope, receive, send)
        elif path == "/" and scope["type"] == "http":
            await RedirectResponse(PREFIX, status_code=307)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def mount(app: FastAPI, services: DashboardServices, options: DashboardOptions | None = None) -> None:
    """Serve the dashboard below ``/dashboard`` of an application, and send ``/`` there.

    The dashboard is an application of its own in front of the other, so that neither its routes nor its error pages
    meet those of the API, nor the API's limits on calls those of a page.

    Parameters
    ----------
    app
        The server that is given the dashboard; it must not have begun to serve.
    services
        What the pages work with.
    options
        How the dashboard behaves.
    """
    options = options or DashboardOptions()
    server = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pages = create_app(server, services, options)
    keys = services.keys if options.require_keys else None
    authentication = AuthenticationMiddleware(
        server, keys, options.allowed_hosts, lambda: pages.policy, options.path_prefix
    )
    app.add_middleware(_PathRouter, dashboard=authentication)
