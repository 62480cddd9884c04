"""Models: order trainings, look at models, change and delete them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from kurswerk.api._dependencies import Ports, request_id_of
from kurswerk.api._openapi import errors
from kurswerk.api._response_cache import cached
from kurswerk.api.jobs import Priority, ordered
from kurswerk.api.schemas._base import LARGEST_ID, page_fields
from kurswerk.api.schemas.jobs import JobOrdered
from kurswerk.api.schemas.models import (
    ModelCreate,
    ModelPage,
    ModelQuery,
    ModelRead,
    ModelSummary,
    ModelTrainAgain,
    ModelUpdate,
)
from kurswerk.api.schemas.performance import PerformanceQuery, PerformanceRead
from kurswerk.api.schemas.results import ComparisonCreate, TestCreate
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ArtifactCorruptError, ConflictError
from kurswerk.core.timestamps import to_us
from kurswerk.jobs import DEFAULT_PRIORITY
from kurswerk.oversight import live_performance
from kurswerk.training import ModelSpec, specification_again

router = APIRouter(prefix="/api/models", tags=["models"])

ModelId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A model's id.")]


@router.post("/create", status_code=201, responses=errors(409, 413))
def order_model_training(
    spec: ModelCreate, ports: Ports, request: Request, response: Response, priority: Priority = DEFAULT_PRIORITY
) -> JobOrdered:
    """Order the training of a model.

    What cannot succeed is refused at once: unknown or missing columns (with the nearest match), a period without data
    (with the range there is), a name that is taken, more memory than a training may take. The name is reserved from now
    on.
    """
    job = ports.jobs.order("TRAIN", spec, priority=priority, request_id=request_id_of(request))
    return ordered(job, f"training of '{spec.name}' is queued", response)


@router.post("/compare", status_code=201, responses=errors(404, 409, 413))
def order_model_comparison(
    order: ComparisonCreate,
    ports: Ports,
    request: Request,
    response: Response,
    priority: Priority = DEFAULT_PRIORITY,
) -> JobOrdered:
    """Order the comparison of two READY models on the rows that both can judge."""
    job = ports.jobs.order("COMPARE", order.model_dump(), priority=priority, request_id=request_id_of(request))
    return ordered(job, f"comparison of models {order.model_a_id} and {order.model_b_id} is queued", response)


@router.post("/{model_id:int}/train", status_code=201, responses=errors(404, 409, 413))
def order_model_training_again(
    model_id: ModelId,
    ports: Ports,
    request: Request,
    response: Response,
    change: ModelTrainAgain | None = None,
    priority: Priority = DEFAULT_PRIORITY,
) -> JobOrdered:
    """Order a new model by the specification of one that is there, such as one taken over without an artifact."""
    given = (change or ModelTrainAgain()).model_dump()
    spec = specification_again(ports.models.get(model_id), ports.models, **given)
    job = ports.jobs.order("TRAIN", spec, priority=priority, request_id=request_id_of(request))
    return ordered(job, f"training of '{spec.name}' is queued", response)


@router.post("/{model_id:int}/test", status_code=201, responses=errors(404, 409, 413))
def order_model_test(
    model_id: ModelId,
    order: TestCreate,
    ports: Ports,
    request: Request,
    response: Response,
    priority: Priority = DEFAULT_PRIORITY,
) -> JobOrdered:
    """Order a test of a READY model in a period it was not trained on."""
    job = ports.jobs.order(
        "TEST", {"model_id": model_id, **order.model_dump()}, priority=priority, request_id=request_id_of(request)
    )
    return ordered(job, f"test of model {model_id} is queued", response)


@router.post("/{model_id:int}/certify", status_code=201, responses=errors(404, 409))
def order_model_certificate(
    model_id: ModelId, ports: Ports, request: Request, response: Response, priority: Priority = DEFAULT_PRIORITY
) -> JobOrdered:
    """Order a new certificate for a READY model: its pipeline is probed for looks into the future."""
    order = {"model_id": model_id}
    job = ports.jobs.order("CERTIFY", order, priority=priority, request_id=request_id_of(request))
    return ordered(job, f"certificate of model {model_id} is queued", response)


@router.get("", dependencies=[cached("ml_models")], responses=errors())
def list_models(query: Annotated[ModelQuery, Query()], ports: Ports) -> ModelPage:
    """List models, newest first, with their metrics; deleted ones are left out."""
    listing = ports.catalog.models(query.page(), query.filters())
    return ModelPage(models=ModelSummary.all_of(listing.rows), **page_fields(query, listing))


@router.get("/{model_id:int}", dependencies=[cached("ml_models")], responses=errors(404))
def read_model(model_id: ModelId, ports: Ports) -> ModelRead:
    """Show a model with everything that is kept of it: specification, metrics, evaluation, certificate, versions."""
    return ModelRead.model_validate(ports.catalog.model(model_id))


@router.patch("/{model_id:int}", responses=errors(404, 409, 413))
def update_model(model_id: ModelId, change: ModelUpdate, ports: Ports) -> ModelRead:
    """Change a model's name, description or alert threshold; fields that are left out stay as they are."""
    ports.models.update(model_id, change.changes())
    return ModelRead.model_validate(ports.catalog.model(model_id))


@router.delete("/{model_id:int}", status_code=204, responses=errors(404))
def delete_model(model_id: ModelId, ports: Ports) -> None:
    """Delete a model. It is only marked as deleted: its results stay, its name is free again."""
    ports.models.delete(model_id)


@router.get(
    "/{model_id:int}/download",
    response_class=Response,
    responses={
        200: {"description": "The model as ONNX.", "content": {"application/octet-stream": {}}},
        **errors(404, 409),
    },
)
def download_model(model_id: ModelId, ports: Ports) -> Response:
    """Download a READY model as ONNX, which any ONNX runtime loads; its SHA-256 is proven before it is sent."""
    row = ports.catalog.model(model_id)
    sha256 = row["artifact_sha256"]
    if sha256 is None:
        raise ConflictError("model.not_ready_for_download", id=model_id, status=row["status"])
    data = ports.models.artifact(sha256)
    if sha256_bytes(data) != sha256:
        raise ArtifactCorruptError("artifact.of_model_changed", model=model_id)
    headers = {"Content-Disposition": f'attachment; filename="kurswerk-model-{model_id}.onnx"', "X-SHA256": sha256}
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/{model_id:int}/performance", responses=errors(404))
def read_model_performance(
    model_id: ModelId, query: Annotated[PerformanceQuery, Query()], ports: Ports
) -> PerformanceRead:
    """Measure a model's live predictions by what became of them: metrics with intervals, and calibration."""
    label = ModelSpec.stored(ports.models.get(model_id).spec).label_spec()
    since_us, until_us = (None if moment is None else to_us(moment) for moment in (query.since, query.until))
    found = live_performance(
        ports.outcomes,
        model_id,
        label,
        threshold=query.threshold,
        since_us=since_us,
        until_us=until_us,
        limit=query.limit,
    )
    return PerformanceRead.of(model_id, found)
