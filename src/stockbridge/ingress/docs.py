"""The reference at /docs: one page of HTML made from the OpenAPI document, no script, no CDN."""

import json
from html import escape
from typing import Any


def page(document: dict[str, Any]) -> str:
    """The reference of an OpenAPI document, calls by tag, then the shapes."""
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_call(method, path, operation))
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups)
    calls = "".join(
        f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>{"".join(group)}</section>'
        for tag, group in groups.items()
    )
    shapes = "".join(
        f'<details id="shape-{escape(name)}"><summary><code>{escape(name)}</code> '
        f"{escape(schema.get('description', ''))}</summary>{_fields(schema)}</details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    title = f"{escape(document['info']['title'])} API {escape(document['info']['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="stylesheet" href="/style.css"></head><body class="docs">'
        f'<header><h1>{title}</h1><nav>{links}<a href="#shapes">shapes</a></nav></header>'
        "<main><p>Send <code>Authorization: Bearer &lt;key&gt;</code>. Errors are "
        "<code>application/problem+json</code>. Machine-readable: "
        '<a href="/openapi.json">openapi.json</a>.</p>'
        f'{calls}<section id="shapes"><h2>shapes</h2>{shapes}</section></main></body></html>'
    )


def _call(method: str, path: str, operation: dict[str, Any]) -> str:
    scopes = " or ".join(scope for entry in operation["security"] for scope in entry["key"])
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}</td>"
        f"<td>{_kind(p['schema'])}{' required' if p.get('required') else ''}</td></tr>"
        for p in operation["parameters"]
    )
    table = f"<table><tbody>{parameters}</tbody></table>" if parameters else ""
    body = operation.get("requestBody", {}).get("content", {})
    asked = "".join(
        f"<p>Body {escape(kind)}: {_kind(content['schema'])}</p>" for kind, content in body.items()
    )
    answers = "".join(
        f"<p>{escape(status)}: {escape(answer['description'])} "
        + ", ".join(_kind(content["schema"]) for content in answer.get("content", {}).values())
        + "</p>"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><b>{method.upper()}</b> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation['description'])}</p>"
        f"<p>Scope: {escape(scopes) or 'none, public'}</p>{table}{asked}{answers}</details>"
    )


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{' *' if name in required else ''}</td>"
        f"<td>{_kind(field)}</td><td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words, with a link where it is a shape."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return escape(" | ".join(json.dumps(value) for value in schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    limits = ("minLength", "maxLength", "minimum", "maximum", "pattern", "format", "default")
    notes = [f"{name} {json.dumps(schema[name])}" for name in limits if name in schema]
    text = str(schema.get("type", "any"))
    if "properties" in schema:
        text += f" of {', '.join(schema['properties'])}"
    return escape(f"{text} ({', '.join(notes)})" if notes else text)
