"""The OpenAPI 3.1 document, made from the table of routes: one definition of every shape."""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from stockbridge.governance.keys import SCOPES
from stockbridge.ingress.answers import Problem
from stockbridge.ingress.call import Route

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_TEXT = {"type": "string"}
_HEADERS = {
    "X-Correlation-Id": {"description": "The id stored on every row touched", "schema": _TEXT},
    "RateLimit": {"description": "Requests left and seconds to refill", "schema": _TEXT},
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of `routes`."""
    table = list(routes)
    shapes = [Problem, *(shape for route in table for shape in _shapes(route))]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    described = dict(zip(map(_key, shapes), schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in table:
        operation = _operation(route, described, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stockbridge",
            "version": version("stockbridge"),
            "description": "The inventory hub: availability, promises, facts and masters.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"An API key with scopes of: {', '.join(SCOPES)}",
                }
            },
        },
    }


def _key(shape: Any) -> str:
    return repr(shape)


def _shapes(route: Route) -> list[Any]:
    asked = [shape for shape in (route.body, route.query) if shape is not None]
    return asked + [shape for answer in route.answers.values() for shape in _options(answer)]


def _options(answer: Any) -> tuple[Any, ...]:
    """The shapes an answer may have: none, one, or a tuple of them."""
    if answer is None:
        return ()
    return answer if isinstance(answer, tuple) else (answer,)


def _operation(
    route: Route, described: Mapping[str, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": (route.handler.__doc__ or "").strip(),
        "tags": [route.path.split("/")[2] if route.path.startswith("/v1/") else "process"],
        "parameters": _parameters(route, described, components),
        "responses": _responses(route, described),
        "security": [{"key": [scope]} for scope in route.scopes],
    }
    if route.body is not None:
        operation["requestBody"] = _request_body(route, described, components)
    elif route.raw:
        content = {kind: {"schema": {"type": "string"}} for kind in route.raw if kind}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _request_body(
    route: Route, described: Mapping[str, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    schema = described[_key(route.body)]
    if route.path_fields:
        # What the address names need not be repeated in the body.
        schema = deepcopy(_resolved(schema, components))
        required = [name for name in schema.get("required", []) if name not in route.path_fields]
        schema["required"] = required
    needed = bool(_resolved(schema, components).get("required"))
    return {"required": needed, "content": {"application/json": {"schema": schema}}}


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(components[name]) if name else dict(schema)


def _parameters(
    route: Route, described: Mapping[str, Any], components: Mapping[str, Any]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        shape = _resolved(described[_key(route.query)], components)
        required = shape.get("required", [])
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in shape["properties"].items()
        ]
    if route.method != "GET":
        key = {"type": "string", "minLength": 1, "maxLength": 255}
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": route.key_required,
                "description": "The same key with the same body answers the first answer again",
                "schema": key,
            }
        )
    return found


def _responses(route: Route, described: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, shape in sorted(route.answers.items()):
        answer: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": _HEADERS}
        options = [described[_key(option)] for option in _options(shape)]
        if options:
            schema = options[0] if len(options) == 1 else {"anyOf": options}
            answer["content"] = {"application/json": {"schema": schema}}
        found[str(status)] = answer
    problem = {"application/problem+json": {"schema": described[_key(Problem)]}}
    found["default"] = {"description": "A problem; `code` says which", "content": problem}
    return found
