"""``/docs``: the OpenAPI document as a page that needs no other host and runs no script."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
# Bounds beyond are those of JSON or of the database, and of no interest to a reader.
_LARGE = 2**53 - 1
_TYPE_WORDS = {"null": "null", "date-time": "ISO 8601 time"}


def add_docs(app: FastAPI) -> None:
    """Serve the page under ``/docs``."""

    async def docs(_request: Request) -> HTMLResponse:
        text, style_hash = _page(json.dumps(app.openapi()))
        policy = f"default-src 'none'; style-src 'sha256-{style_hash}'; frame-ancestors 'none'; base-uri 'none'"
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    app.add_route("/docs", docs, include_in_schema=False)


@lru_cache(maxsize=4)
def _page(document_text: str) -> tuple[str, str]:
    """Return the page of a document, and the hash by which its style may be used."""
    document = json.loads(document_text)
    environment = Environment(
        loader=PackageLoader("kurswerk.api", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (resources.files("kurswerk.api") / "page" / "docs.css").read_text(encoding="utf-8")
    shapes = document.get("components", {}).get("schemas", {})
    groups = [(tag, list(_calls(document, tag["name"], shapes))) for tag in document["tags"]]
    text = environment.get_template("docs.html.j2").render(
        info=document["info"], groups=[group for group in groups if group[1]], style=style
    )
    return text, base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _calls(document: Mapping[str, Any], tag: str, shapes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, operations in document["paths"].items():
        for method, call in operations.items():
            if tag in call.get("tags", ()):
                body = _json_of(call.get("requestBody", {}))
                yield {
                    "id": call["operationId"],
                    "method": method.upper(),
                    "path": path,
                    "text": call.get("description", ""),
                    "parameters": [_field(item["name"], item["schema"], item) for item in call.get("parameters", ())],
                    "body": list(_body_tables(body.get("schema", {}), shapes)),
                    "body_example": _pretty(body["example"]) if "example" in body else None,
                    "answers": [
                        (status, answer["description"], _pretty(_json_of(answer).get("example")))
                        for status, answer in sorted(call["responses"].items())
                    ],
                }


def _json_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = part.get("content", {}).get("application/json", {})
    return found


def _pretty(value: Any) -> str | None:
    return None if value is None else json.dumps(value, indent=2, ensure_ascii=False)


def _body_tables(schema: Mapping[str, Any], shapes: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the fields of a body, and of each alternative that it may be, under the alternative's title."""
    shape = _resolved(schema, shapes)
    if "properties" in shape:
        yield "", list(_fields(shape))
    for group in (shape, *shape.get("allOf", ())):
        for choice in group.get("oneOf", ()):
            alternative = _resolved(choice, shapes)
            yield alternative.get("title", ""), list(_fields(alternative))


def _resolved(schema: Mapping[str, Any], shapes: Mapping[str, Any]) -> Mapping[str, Any]:
    shape: Mapping[str, Any] = shapes[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return shape


def _fields(shape: Mapping[str, Any], prefix: str = "") -> Iterator[dict[str, Any]]:
    """Yield the fields of an object; those of an object inside it with its name before theirs."""
    required = shape.get("required", ())
    for name, item in shape.get("properties", {}).items():
        if "properties" in item:
            yield from _fields(item, f"{prefix}{name}.")
        elif not item.get("deprecated"):
            yield _field(prefix + name, item, {"required": name in required})


def _field(name: str, schema: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": _type_of(schema),
        "required": about.get("required", False),
        "default": json.dumps(schema["default"], ensure_ascii=False) if schema.get("default") is not None else "",
        "text": about.get("description") or schema.get("description", ""),
    }


def _type_of(schema: Mapping[str, Any]) -> str:
    """Return a type in words.

    Examples
    --------
    >>> _type_of({"anyOf": [{"items": {"type": "integer"}, "type": "array"}, {"type": "null"}]})
    'list of integer or null'
    >>> _type_of({"enum": ["up", "down"], "type": "string"})
    '"up" or "down"'
    >>> _type_of({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
    'number, > 0, <= 1'
    """
    if "const" in schema:
        return json.dumps(schema["const"])
    if "anyOf" in schema:
        return " or ".join(map(_type_of, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "items" in schema:
        return f"list of {_type_of(schema['items'])}"
    name = str(schema.get("format") or schema.get("type", "any"))
    bounds = [f"{sign} {schema[key]:g}" for key, sign in _BOUNDS.items() if abs(schema.get(key, _LARGE)) < _LARGE]
    return ", ".join([_TYPE_WORDS.get(name, name), *bounds])
