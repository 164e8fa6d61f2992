"""EPCIS 2.0 events in JSON-LD, as far as they say something of stock; the rest is passed over."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

LIST_MAX = 5_000
Uri = Annotated[str, Meta(min_length=1, max_length=512)]
Uris = Annotated[list[Uri], Meta(max_length=LIST_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]
Offset = Annotated[str, Meta(pattern=r"^([+-](0\d|1[0-4]):[0-5]\d)$")]


class Place(msgspec.Struct, frozen=True):
    """A readPoint or bizLocation."""

    id: Uri


class Quantity(msgspec.Struct, frozen=True, rename="camel"):
    """Some of a class: `quantity` in `uom` (UN/CEFACT), in base units without one."""

    epc_class: Uri
    quantity: float | int | None = None
    uom: str | None = None


class BizTransaction(msgspec.Struct, frozen=True, rename="camel"):
    """A business document."""

    biz_transaction: Uri
    type: str | None = None


class Source(msgspec.Struct, frozen=True):
    """Where goods come from."""

    source: Uri
    type: str


class Destination(msgspec.Struct, frozen=True):
    """Where goods go to."""

    destination: Uri
    type: str


class ErrorDeclaration(msgspec.Struct, frozen=True, rename="camel"):
    """The event did not occur, or says something wrong."""

    declaration_time: Moment
    reason: str | None = None
    corrective_event_ids: Annotated[list[str], Meta(max_length=LIST_MAX)] = msgspec.field(
        name="correctiveEventIDs", default_factory=list
    )


class Event(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One EPCIS event of any type; which lists it may have depends on the type."""

    type: Literal[
        "ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent",
        "AssociationEvent",
    ]  # fmt: skip
    event_time: Moment
    event_time_zone_offset: Offset
    event_id: Uri | None = msgspec.field(name="eventID", default=None)
    action: Literal["ADD", "OBSERVE", "DELETE"] | None = None
    biz_step: str | None = None
    disposition: str | None = None
    epc_list: Uris = []
    quantity_list: Annotated[list[Quantity], Meta(max_length=LIST_MAX)] = []
    parent_id: Uri | None = msgspec.field(name="parentID", default=None)
    input_epc_list: Uris = msgspec.field(name="inputEPCList", default_factory=list)
    output_epc_list: Uris = msgspec.field(name="outputEPCList", default_factory=list)
    input_quantity_list: Annotated[list[Quantity], Meta(max_length=LIST_MAX)] = []
    output_quantity_list: Annotated[list[Quantity], Meta(max_length=LIST_MAX)] = []
    transformation_id: Uri | None = msgspec.field(name="transformationID", default=None)
    read_point: Place | None = None
    biz_location: Place | None = None
    biz_transaction_list: Annotated[list[BizTransaction], Meta(max_length=100)] = []
    source_list: Annotated[list[Source], Meta(max_length=100)] = []
    destination_list: Annotated[list[Destination], Meta(max_length=100)] = []
    sensor_element_list: Annotated[list[msgspec.Raw], Meta(max_length=LIST_MAX)] = []
    error_declaration: ErrorDeclaration | None = None
