"""The AsyncAPI 3.0 document: the registry's contracts, and the doors they come and go by."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import msgspec

_CLOUDEVENT: Final = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string"},
        "sequence": {"type": "string"},
        "correlationid": {"type": "string"},
        "causationid": {"type": "string"},
    },
}


class Row(NamedTuple):
    """A contract in use, as the registry gives it."""

    name: str
    version: int
    status: str
    direction: str
    description: str
    schema: str

    @property
    def key(self) -> str:
        """Its name among the document's components."""
        return f"{self.name}.v{self.version}"


def document(contracts: Iterable[Row]) -> dict[str, Any]:
    """The AsyncAPI document of `contracts`."""
    rows = list(contracts)
    reported = [row.key for row in rows if row.direction == "reported"]
    told = [row.key for row in rows if row.direction == "told"]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Stockbridge",
            "version": version("stockbridge"),
            "description": "Facts that systems report to the hub, and events that it tells.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "events": _channel(
                "/v1/events", "CloudEvents over HTTP: binary, structured or batch", reported
            ),
            "subscriptions": _channel(
                None, "What the hub tells; the address is the subscriber's", told
            ),
        },
        "operations": {
            "report": {
                **_operation("receive", "events", reported),
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            },
            "tell": _operation("send", "subscriptions", told),
        },
        "components": {
            "messages": {row.key: _message(row) for row in rows},
            "schemas": {"CloudEvent": _CLOUDEVENT}
            | {row.key: msgspec.json.decode(row.schema) for row in rows},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _channel(address: str | None, description: str, keys: list[str]) -> dict[str, Any]:
    messages = {key: {"$ref": f"#/components/messages/{key}"} for key in keys}
    return {"address": address, "description": description, "messages": messages}


def _operation(action: str, channel: str, keys: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "security": [{"$ref": "#/components/securitySchemes/key"}],
        "messages": [{"$ref": f"#/channels/{channel}/messages/{key}"} for key in keys],
    }


def _message(row: Row) -> dict[str, Any]:
    envelope = {
        "allOf": [{"$ref": "#/components/schemas/CloudEvent"}],
        "properties": {
            "type": {"const": row.key},
            "data": {"$ref": f"#/components/schemas/{row.key}"},
        },
        "required": ["data"],
    }
    return {
        "name": row.key,
        "title": row.name.rpartition(".")[2].replace("_", " "),
        "summary": row.description,
        "contentType": "application/cloudevents+json",
        "payload": envelope,
        **({"tags": [{"name": "deprecated"}]} if row.status == "deprecated" else {}),
    }
