"""The application: routes and middleware."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, Depends, FastAPI

from kurswerk import __version__
from kurswerk.api import (
    activation,
    alerts,
    comparisons,
    health,
    jobs,
    market,
    models,
    predictions,
    quality,
    stocks,
    tests,
    watchlists,
)
from kurswerk.api._authentication import Authenticator
from kurswerk.api._docs import add_docs
from kurswerk.api._limits import RateLimiter
from kurswerk.api._middleware import RequestMiddleware
from kurswerk.api._openapi import DESCRIPTION, describe, only_known_parameters, operation_id
from kurswerk.api._options import ApiOptions
from kurswerk.api._table_versions import TableVersions
from kurswerk.api.errors import handle_errors
from kurswerk.api.ports import ApiPorts
from kurswerk.api.stream import Broadcast

# One file per noun; each gives its paths in full.
ROUTERS: tuple[APIRouter, ...] = (
    models.router,
    activation.router,
    predictions.router,
    alerts.router,
    tests.router,
    comparisons.router,
    jobs.queue_router,
    jobs.jobs_router,
    market.router,
    stocks.router,
    quality.router,
    watchlists.router,
    health.router,
)


def create_app(ports: ApiPorts, options: ApiOptions | None = None) -> FastAPI:
    """Build the API over the ports it is given.

    Raises
    ------
    InvalidInputError
        If a rate limit or the URL of its storage cannot be read.
    """
    options = options or ApiOptions()
    versions = TableVersions()
    limiter = RateLimiter(options.read_limit, options.write_limit, options.limit_storage)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # takes its time, and the first request shall not wait for it
        following = asyncio.create_task(versions.follow(ports.changes))
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await limiter.close()

    app = FastAPI(
        title="Kurswerk",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        servers=[{"url": options.path_prefix}] if options.path_prefix else None,
        dependencies=[Depends(only_known_parameters)],
        generate_unique_id_function=operation_id,
    )
    app.state.ports, app.state.versions = ports, versions
    handle_errors(app)
    for router in (*ROUTERS, jobs.creation_router(ports.jobs.kinds), alerts.creation_router(ports.channels.values())):
        app.include_router(router)
    app.router.routes.append(Broadcast(ports.stream).route())
    add_docs(app)
    describe(app, keys=options.require_keys, job_types=ports.jobs.kinds.names)
    app.add_middleware(
        RequestMiddleware,
        options=options,
        authenticator=Authenticator(ports.keys, versions),
        limiter=limiter,
        versions=versions,
        on_request=ports.on_request,
    )
    return app
