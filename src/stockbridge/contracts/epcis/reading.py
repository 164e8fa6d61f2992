"""EPCIS documents and events: split with their bytes, checked, decoded. Pure; never raises."""

from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import msgspec

from stockbridge.contracts.base import Shape
from stockbridge.contracts.epcis.mapping import Unbookable, commands_of
from stockbridge.contracts.epcis.model import Event
from stockbridge.contracts.events.decoding import YEAR_MAX, YEAR_MIN, Undecodable, attempt

CONTRACT: Final = "epcis.v2"
ERROR_SUFFIX: Final = "#errorDeclaration"
"""Ends the message id of an event that is sent again to declare it wrong."""


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    event_list: list[msgspec.Raw] = []


class _Document(msgspec.Struct, rename="camel"):
    type: str
    epcis_body: _Body = _Body()
    schema_version: str = ""


_event = msgspec.json.Decoder(Event).decode
_document = msgspec.json.Decoder(_Document).decode


def read_event(body: bytes) -> Event | Undecodable:
    """One event, its required fields and lists checked."""
    event = attempt(_event, body)
    if isinstance(event, Undecodable):
        return event
    fault = _fault(event)
    return Undecodable("invalid_event", fault) if fault else event


def read_document(body: bytes) -> list[bytes] | Undecodable:
    """The events of an EPCISDocument, each as the bytes it came in."""
    document = attempt(_document, body)
    if isinstance(document, Undecodable):
        return document
    if document.type != "EPCISDocument":
        detail = (
            f"type is {document.type[:40]!r}, not EPCISDocument: captured are documents with "
            "their events in epcisBody.eventList"
        )
        return Undecodable("invalid_event", detail)
    if not document.epcis_body.event_list:
        return Undecodable("no_events", "the document has no events in epcisBody.eventList")
    return [bytes(event) for event in document.epcis_body.event_list]


def identity(event: Event, body: bytes) -> str:
    """The event's own id; else one made of its content, the same whenever it is sent."""
    if event.event_id is not None:
        return event.event_id
    digest = sha256(_canonical(body)).digest()
    return f"urn:uuid:{UUID(bytes=digest[:16], version=5)}"


def message_id(event: Event, event_id: str) -> str:
    """The id of the event's message: declaring it wrong is another message than the event."""
    return event_id + ERROR_SUFFIX if event.error_declaration is not None else event_id


def decode(body: bytes) -> list[Shape] | Undecodable:
    """The commands an event asks for; none when it says nothing of stock."""
    event = read_event(body)
    if isinstance(event, Undecodable):
        return event
    try:
        found: Any = commands_of(event, identity(event, body))
        # Built by hand, so held to the limits of their fields here.
        for command in found:
            fact = getattr(command, "fact", command)
            msgspec.convert(msgspec.to_builtins(fact), type(fact))
    except Unbookable as error:
        return Undecodable("not_bookable", f"{event.type} {event.event_id or ''}: {error}")
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        return Undecodable("invalid_event", f"{event.type} {event.event_id or ''}: {error}")
    commands: list[Shape] = found
    return commands


def _fault(event: Event) -> str | None:
    if event.type in ("ObjectEvent", "AggregationEvent", "TransactionEvent", "AssociationEvent"):
        if event.action is None:
            return f"action: an {event.type} needs ADD, OBSERVE or DELETE"
    elif event.action is not None:
        return "action: a TransformationEvent has none"
    if event.type == "ObjectEvent" and not _is_about_something(event):
        return (
            "an ObjectEvent needs an epcList, a quantityList, or a sensorElementList of a readPoint"
        )
    if event.type == "TransactionEvent" and not event.biz_transaction_list:
        return "bizTransactionList: a TransactionEvent needs one"
    if not YEAR_MIN < event.event_time.year < YEAR_MAX:
        return f"eventTime is in the year {event.event_time.year}"
    return None


def _is_about_something(event: Event) -> bool:
    of_a_place = event.sensor_element_list and (event.read_point or event.biz_location)
    return bool(event.epc_list or event.quantity_list or of_a_place)


def _canonical(body: bytes) -> bytes:
    """The event's content without what may differ when it is sent again."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Something that is passed over is no JSON: then only the same bytes are the same event.
        return body
    for name in ("recordTime", "errorDeclaration", "@context"):
        content.pop(name, None)
    return msgspec.json.encode(content, order="sorted")
