"""Which models predict."""

from fastapi import APIRouter

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api.models import ModelId
from kurswerk.api.schemas.predictions import ActivationOrder, ActiveModelRead, ActiveModels, Switched
from kurswerk.serving import activate

router = APIRouter(prefix="/api/models", tags=["predictions"])


@router.get("/active", responses=errors())
def list_active_models(ports: Ports) -> ActiveModels:
    """List the models that predict every new row, and how they do."""
    return ActiveModels(models=ActiveModelRead.all_of(ports.activations.active()))


@router.post("/{model_id:int}/activate", responses=errors(404, 409, 413))
def activate_model(model_id: ModelId, ports: Ports, order: ActivationOrder | None = None) -> Switched:
    """Let a certified model predict every row that is committed from now on, in all running predictors.

    A model without a passed certificate is refused with the checks it failed; an operator may force it with a reason.
    """
    order = order or ActivationOrder()
    _, changed = activate(model_id, ports.models, ports.activations, force=order.force, reason=order.reason)
    message = f"model {model_id} " + ("predicts every new row from now on" if changed else "was active already")
    return Switched(success=True, message=message, model_id=model_id)


@router.post("/{model_id:int}/deactivate", responses=errors(404))
def deactivate_model(model_id: ModelId, ports: Ports) -> Switched:
    """Let a model predict no more; rows it missed are not predicted any more."""
    changed = ports.activations.deactivate(model_id)
    message = f"model {model_id} " + ("predicts no more" if changed else "was not active")
    return Switched(success=True, message=message, model_id=model_id)


@router.post("/{model_id:int}/reload", responses=errors(404))
def reload_model(model_id: ModelId, ports: Ports) -> Switched:
    """Let every running predictor load the model anew, within a second."""
    ports.activations.reload(model_id)
    return Switched(success=True, message=f"model {model_id} is loaded anew", model_id=model_id)
