"""Models: order trainings, look at models, change and delete them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from kurswerk.api._answers import kept
from kurswerk.api._openapi import errors
from kurswerk.api._services import ServicesOf
from kurswerk.api.schemas._base import page_fields
from kurswerk.api.schemas.models import ModelPage, ModelQuery, ModelRead, ModelSummary, ModelUpdate
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import ArtifactCorruptError, ConflictError

router = APIRouter(prefix="/api/models", tags=["models"])

ModelId = Annotated[int, Path(ge=1, le=2**63 - 1, description="A model's id.")]


@router.get("", dependencies=[kept("ml_models")], responses=errors())
def list_models(query: Annotated[ModelQuery, Query()], services: ServicesOf) -> ModelPage:
    """List models, newest first, with their metrics; deleted ones are left out."""
    listing = services.catalog.models(query.page(), query.filters())
    return ModelPage(models=ModelSummary.all_of(listing.rows), **page_fields(query, listing))


@router.get("/{model_id:int}", dependencies=[kept("ml_models")], responses=errors(404))
def read_model(model_id: ModelId, services: ServicesOf) -> ModelRead:
    """Show a model with everything that is kept of it: specification, metrics, evaluation, certificate, versions."""
    return ModelRead.model_validate(services.catalog.model(model_id))


@router.patch("/{model_id:int}", responses=errors(404, 409, 413))
def update_model(model_id: ModelId, change: ModelUpdate, services: ServicesOf) -> ModelRead:
    """Change a model's name, description or alert threshold; fields that are left out stay as they are."""
    services.models.update(model_id, change.changes())
    return ModelRead.model_validate(services.catalog.model(model_id))


@router.delete("/{model_id:int}", status_code=204, responses=errors(404))
def delete_model(model_id: ModelId, services: ServicesOf) -> None:
    """Delete a model. It is only marked as deleted: its results stay, its name is free again."""
    services.models.delete(model_id)


@router.get(
    "/{model_id:int}/download",
    response_class=Response,
    responses={
        200: {"description": "The model as ONNX.", "content": {"application/octet-stream": {}}},
        **errors(404, 409),
    },
)
def download_model(model_id: ModelId, services: ServicesOf) -> Response:
    """Download a READY model as ONNX, which any ONNX runtime loads; its SHA-256 is proven before it is sent."""
    row = services.catalog.model(model_id)
    sha256 = row["artifact_sha256"]
    if sha256 is None:
        raise ConflictError(f"model {model_id} is {row['status']}; only a READY model can be downloaded")
    data = services.models.artifact(sha256)
    if sha256_bytes(data) != sha256:
        raise ArtifactCorruptError(f"the artifact of model {model_id} is not what was registered")
    headers = {"Content-Disposition": f'attachment; filename="kurswerk-model-{model_id}.onnx"', "X-SHA256": sha256}
    return Response(data, media_type="application/octet-stream", headers=headers)
