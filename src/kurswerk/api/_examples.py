"""Examples of answers, made from their shapes."""

from collections.abc import Mapping
from typing import Any

_ERROR_WORDS = {
    400: ("no_data", "no rows from 2030-01-01T00:00:00Z to 2030-02-01T00:00:00Z; the data reach from …"),
    401: ("unauthorized", "this call needs an API key in X-API-Key"),
    403: ("forbidden", "this call needs the scope 'train'; the key 'n8n' does not have it"),
    404: ("not_found", "there is no model 7"),
    409: ("conflict", "a model named 'up 2 %' exists already; choose another name or delete that model"),
    413: ("body_too_large", "the body is larger than 1048576 bytes"),
    422: ("invalid_fields", "body.features: Field required"),
    429: ("rate_limited", "too many calls; try again in 12 s"),
    503: ("database_unavailable", "the database cannot be reached at the moment; try again in a few seconds"),
}
_PLAIN: Mapping[str, Any] = {
    "string": "…",
    "integer": 1,
    "number": 0.5,
    "boolean": True,
    "object": {},
    "null": None,
    "date-time": "2026-01-01T12:00:00Z",
}
_DEEPEST = 8


def error_example(status: int) -> dict[str, Any]:
    """Return what an error of this status looks like."""
    code, message = _ERROR_WORDS[status]
    details = [{"field": "body.features", "message": "Field required"}] if status == 422 else []
    return {
        "error": {
            "code": code,
            "message": message,
            "details": details,
            "timestamp": "2026-01-01T12:00:00Z",
            "request_id": "5f0c9a7e4d2b41c6a3e8b7d6c5f4a392",
        }
    }


def example_of(schema: Mapping[str, Any], shapes: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a value that a JSON schema allows, from its own examples where it has some.

    Examples
    --------
    >>> shape = {"properties": {"id": {"type": "integer", "examples": [7]}, "tags": {"items": {"type": "string"}}}}
    >>> example_of({"$ref": "#/components/schemas/Model"}, {"Model": shape})
    {'id': 7, 'tags': ['…']}
    """
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return example_of(shapes[schema["$ref"].rpartition("/")[2]], shapes, depth + 1)
    given = [*schema.get("examples", ()), *schema.get("enum", ())]
    given += [schema[name] for name in ("const", "default") if name in schema]
    if given:
        return given[0]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return example_of(schema[choice][0], shapes, depth + 1)
    if "properties" in schema:
        return {name: example_of(item, shapes, depth + 1) for name, item in schema["properties"].items()}
    if "items" in schema:
        return [example_of(schema["items"], shapes, depth + 1)]
    return _PLAIN.get(schema.get("format") or schema.get("type", "null"))
