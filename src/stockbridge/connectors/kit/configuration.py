"""Judges a system's configuration against its connector's manifest. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stockbridge.connectors.kit.hosts import origin_of, origins
from stockbridge.contracts.partners.manifest import ConfigField, Manifest
from stockbridge.kernel.errors import Misconfigured

_KINDS: Final[Mapping[str, tuple[type, str]]] = {
    "text": (str, "text"),
    "url": (str, "an address like https://shop.example.com"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
    "choice": (str, "text"),
    "table": (dict, "a table of names and texts"),
}
HOUSE_FIELDS: Final = frozenset({"operations", "system"})
"""Fields that every system may have, whatever its connector: the hub's own."""


def complete(manifest: Manifest, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the manifest's defaults where nothing is said."""
    defaults = {f.name: f.default for f in manifest.config if f.default is not None}
    return {**defaults, **config}


def faults(manifest: Manifest, config: Mapping[str, Any]) -> list[str]:
    """What is wrong, each with the field and the fix; empty if right."""
    known = {field.name: field for field in manifest.config}
    found = [
        f"{name}: {manifest.name} has no such field; it has {', '.join(sorted(known)) or 'none'}"
        for name in config
        if name not in known and name not in HOUSE_FIELDS
    ]
    for field in manifest.config:
        found += _field_faults(field, config.get(field.name))
    if found:
        return found
    try:
        origins(manifest, complete(manifest, config))
    except Misconfigured as error:
        return [str(error)]
    return []


def _field_faults(field: ConfigField, value: Any) -> Iterator[str]:
    if value is None or value in ("", {}):
        if field.required:
            yield f"{field.name}: is missing; {field.help}{_example(field)}"
        return
    kind, described = _KINDS[field.type]
    is_right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if not is_right:
        yield f"{field.name}: give {described}{_example(field)}"
    elif field.type == "choice" and value not in field.choices:
        yield f"{field.name}: {value} is none of {', '.join(field.choices)}"
    elif field.type == "table":
        yield from _table_faults(field, value)
    elif field.pattern is not None and not re.fullmatch(field.pattern, str(value)):
        yield f"{field.name}: {value} does not look right; {field.help}{_example(field)}"
    elif field.type == "url":
        yield from _url_faults(field, value)


def _table_faults(field: ConfigField, value: Mapping[str, Any]) -> Iterator[str]:
    for name, text in value.items():
        if not isinstance(text, str) or not text:
            yield f"{field.name}.{name}: give text{_example(field)}"


def _url_faults(field: ConfigField, value: str) -> Iterator[str]:
    try:
        origin_of(value)
    except Misconfigured as error:
        yield f"{field.name}: {error}"


def _example(field: ConfigField) -> str:
    return f", for example {field.example}" if field.example else ""
