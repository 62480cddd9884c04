"""The OpenAPI document beyond what routes declare themselves; parameters that are not in it are refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from kurswerk.api._authentication import KEY_HEADER, needed_scope
from kurswerk.api._examples import error_example, example_of
from kurswerk.api._links import add_links
from kurswerk.api.schemas._specification import specification_schemas, without_older_places
from kurswerk.api.schemas.errors import ErrorRead
from kurswerk.core.errors import UnknownNameError

DESCRIPTION = """
Order trainings, tests and comparisons of models, follow them, and read what came of them.

A call that orders work answers at once with a `job_id`; `GET /api/jobs/{job_id}` shows how far it is and, in the end,
its result. Responses link to the calls that can follow. Lists take `limit`, `offset`, `sort` and `order`. Times are ISO
8601 in UTC. Every answer carries `X-Request-ID`, every error the same body. A `GET` answers with an `ETag`; send it as
`If-None-Match`, and an answer that has not changed comes as an empty 304.
"""
TAGS = [
    {"name": "models", "description": "Train, look at, change and delete models."},
    {"name": "predictions", "description": "What models predict from new rows, and which models do."},
    {"name": "test results", "description": "How models did in a period they were not trained on."},
    {"name": "comparisons", "description": "Two models on identical rows."},
    {"name": "jobs", "description": "What was ordered; `/api/jobs` and `/api/queue` are the same."},
    {"name": "market", "description": "What data there are."},
    {"name": "service", "description": "Health and metrics."},
]
_MEANING = {
    400: "The request cannot be carried out: no JSON, or no data for it.",
    401: "An API key is needed, or it is unknown or revoked.",
    403: "The key lacks the scope.",
    404: "There is nothing with this id.",
    409: "The request contradicts the present state.",
    413: "The body is too large.",
    422: "A field or parameter is wrong; `details` names each.",
    429: "Too many calls; `Retry-After` is the number of seconds to wait.",
    503: "The database cannot be reached at the moment.",
}
Responses = dict[int | str, dict[str, Any]]
_SHAPES = "#/components/schemas/{model}"
# Named, not given as a model: FastAPI would build a validator for every error of every call.
_ERROR = {"$ref": _SHAPES.format(model="ErrorRead")}
_EVERYWHERE = (400, 401, 403, 422, 429, 503)


def errors(*statuses: int) -> Responses:
    """Return the error answers a call can give beside those that every call can give, for ``responses=``."""
    return {
        status: {
            "description": _MEANING[status],
            "content": {"application/json": {"schema": _ERROR, "example": error_example(status)}},
        }
        for status in (*_EVERYWHERE, *statuses)
    }


def describe(app: FastAPI, *, keys: bool, job_types: Sequence[str]) -> None:
    """Complete the OpenAPI document.

    It gains an example for every answer, the registered kinds of job, one schema per model type, target and market,
    links between calls and, where keys are required, each call's scope.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=TAGS,
                servers=app.servers or None,
            )
            _describe_errors(document)
            _list_job_types(document, job_types)
            schemas = document["components"]["schemas"]
            schemas |= specification_schemas(schemas["ModelCreate"])
            if "ModelSpec" in schemas:  # the same in requests for jobs
                schemas["ModelSpec"] |= without_older_places(schemas["ModelCreate"])
            add_links(document)
            _give_examples(document)
            if keys:
                _state_scopes(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _describe_errors(document: dict[str, Any]) -> None:
    shape = ErrorRead.model_json_schema(ref_template=_SHAPES)
    document["components"]["schemas"] |= shape.pop("$defs") | {"ErrorRead": shape}


def _list_job_types(document: dict[str, Any], job_types: Sequence[str]) -> None:
    """List the registered kinds of job wherever ``job_type`` is described."""
    shapes = document["components"]["schemas"]
    found = [shape["properties"]["job_type"] for shape in shapes.values() if "job_type" in shape.get("properties", {})]
    for operations in document["paths"].values():
        for operation in operations.values():
            parameters = (item["schema"] for item in operation.get("parameters", ()) if item["name"] == "job_type")
            found += [choice for schema in parameters for choice in schema["anyOf"] if choice["type"] == "string"]
    for schema in found:
        schema["enum"] = list(job_types)


def _give_examples(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            for part in (*operation["responses"].values(), operation.get("requestBody", {})):
                for media in part.get("content", {}).values():
                    if "schema" in media:
                        media.setdefault("example", example_of(media["schema"], shapes))


def _state_scopes(document: dict[str, Any]) -> None:
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["ApiKey"] = {"type": "apiKey", "in": "header", "name": KEY_HEADER}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = needed_scope(method.upper(), path)
            if scope is not None:
                operation["security"] = [{"ApiKey": []}]
                operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()


async def only_known_parameters(request: Request) -> None:
    """Refuse query parameters that the call does not have.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    if not request.scope["query_string"]:
        return
    known = _parameters(request.app)[request.method, request.scope["route"].path_format]
    for name in request.query_params:
        if name not in known:
            raise UnknownNameError("api.unknown_query_parameter", name=name, known=known)


def _parameters(app: FastAPI) -> Mapping[tuple[str, str], frozenset[str]]:
    found: Mapping[tuple[str, str], frozenset[str]] | None = getattr(app.state, "parameters", None)
    if found is None:
        found = app.state.parameters = {
            (method.upper(), path): frozenset(
                item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"
            )
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        }
    return found


def methods_of(app: FastAPI, path: str) -> list[str]:
    """Return the methods that a path has, e.g. for ``Allow``."""
    return sorted(method for method, template in _parameters(app) if template == path)


def operation_id(route: APIRoute) -> str:
    """Return a name for a call that generated clients can use, such as ``get_api_models_model_id``."""
    words = route.path_format.replace("{", "").replace("}", "").replace("-", "_").strip("/").split("/")
    return "_".join([*(method.lower() for method in sorted(route.methods or ())), *words])
