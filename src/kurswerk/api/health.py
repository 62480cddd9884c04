"""How the service is."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import Responses, errors
from kurswerk.api._response_cache import cached
from kurswerk.api.schemas.health import HealthRead, ReadyRead

router = APIRouter(tags=["service"])

# However many ask, the database is asked once a second.
_LOOKED = cached(seconds=1.0)
_HEALTH: Responses = errors() | {503: {"model": HealthRead, "description": "Not able to serve."}}
_READY: Responses = errors() | {503: {"model": ReadyRead, "description": "Not able to serve."}}
_METRICS: Responses = errors() | {200: {"description": "Prometheus's text format.", "content": {"text/plain": {}}}}


@router.get("/health", dependencies=[_LOOKED], response_model=HealthRead, responses=_HEALTH)
@router.get("/api/health", dependencies=[_LOOKED], response_model=HealthRead, responses=_HEALTH)
def read_health(ports: Ports) -> Response:
    """Show the status of everything that serving needs; 503 when requests cannot be answered."""
    report = ports.health()
    return JSONResponse(report.as_json(), 200 if report.able_to_serve else 503)


@router.get("/ready", dependencies=[_LOOKED], response_model=ReadyRead, responses=_READY)
def read_readiness(ports: Ports) -> Response:
    """Report to a load balancer whether to send requests here."""
    ready = ports.health().able_to_serve
    return JSONResponse({"ready": ready}, 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses=_METRICS)
@router.get("/api/metrics", response_class=Response, responses=_METRICS)
def read_metrics(ports: Ports) -> Response:
    """Return all metrics for Prometheus, of all processes on this machine together."""
    return Response(ports.metrics_text(), media_type="text/plain; version=0.0.4; charset=utf-8")
