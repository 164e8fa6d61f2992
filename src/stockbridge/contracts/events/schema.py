"""JSON Schema of the built-in contracts, made from their shapes."""

from functools import cache
from typing import Any, Final

import msgspec

from stockbridge.contracts.events.model import Fact
from stockbridge.contracts.events.registry import EventType

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ITEM_NAMED: Final = [
    {"required": ["sku"], "not": {"anyOf": [{"required": ["alias"]}, {"required": ["namespace"]}]}},
    {"required": ["alias", "namespace"], "not": {"required": ["sku"]}},
]


@cache
def schema_of(event: EventType) -> dict[str, Any]:
    """The JSON Schema of an event's data, complete in itself. Do not change the answer."""
    (reference,), parts = msgspec.json.schema_components(
        [event.shape], ref_template="#/$defs/{name}"
    )
    name = reference["$ref"].rpartition("/")[2]
    body = parts.pop(name)
    if issubclass(event.shape, Fact):
        _without_null(body["properties"], ("sku", "alias", "namespace"))
        body["oneOf"] = _ITEM_NAMED
    head = {"$schema": DIALECT, "$id": f"/schemas/{event.name}/{event.version}.json"}
    return {**head, **body, **({"$defs": parts} if parts else {})}


def _without_null(properties: dict[str, Any], names: tuple[str, ...]) -> None:
    """Names that are given are given as text: `null` would make the choice between them unclear."""
    for name in names:
        options = [option for option in properties[name]["anyOf"] if option != {"type": "null"}]
        properties[name] = options[0]
