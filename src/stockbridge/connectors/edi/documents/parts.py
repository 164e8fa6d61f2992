"""What documents are made of: their codes kept as they are, their values typed.

Quantities and prices are exact decimals in the document's own units; dates are the partner's local
dates. What codes mean to the hub is decided later, by the partner's profile.
"""

import datetime as dt
from decimal import Decimal

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of all shapes here: immutable, absent values left out.

    They never refer to one another in a circle, so the garbage collector need not follow them.
    """


class ItemId(Part, frozen=True, kw_only=True, gc=False):
    """What an item is called: `qualifier` says by whom (UP, SK, VN, ...)."""

    qualifier: str
    id: str


class Reference(Part, frozen=True, kw_only=True, gc=False):
    """Another number that belongs to the document or line."""

    qualifier: str
    value: str = ""
    text: str = ""


class Moment(Part, frozen=True, kw_only=True, gc=False):
    """A qualified day, with a time of day (HHMM or HHMMSS) and its zone's code where given."""

    qualifier: str
    date: dt.date | None = None
    time: str = ""
    zone: str = ""


class Channel(Part, frozen=True, kw_only=True, gc=False):
    """A way to reach somebody: TE telephone, EM e-mail, ..."""

    kind: str
    address: str


class Contact(Part, frozen=True, kw_only=True, gc=False):
    """Whom to ask."""

    role: str
    name: str = ""
    channels: list[Channel] = []


class Party(Part, frozen=True, kw_only=True, gc=False):
    """Who, or where: `qualifier` says whose numbering `id` is in (9, 91, 92, UL)."""

    role: str
    name: str = ""
    qualifier: str = ""
    id: str = ""
    names: list[str] = []
    address: list[str] = []
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    place_qualifier: str = ""
    place: str = ""
    references: list[Reference] = []
    contacts: list[Contact] = []


class Note(Part, frozen=True, kw_only=True, gc=False):
    """Free text: `text`, or `messages` line by line; `reference` names what they are about."""

    text: str = ""
    kind: str = ""
    reference: str = ""
    messages: list[str] = []
    language: str = ""


class Mark(Part, frozen=True, kw_only=True, gc=False):
    """A label on a package: GM or BJ an SSCC, CP a carrier's number; `last` ends a range."""

    qualifier: str
    value: str
    last: str = ""
    more: list[str] = []


class Carriage(Part, frozen=True, kw_only=True, gc=False):
    """How it travels; `qualifier` says whose code `carrier` is (2: SCAC)."""

    sequence: str = ""
    qualifier: str = ""
    mode: str = ""
    carrier: str = ""
    routing: str = ""
    terms: str = ""
    equipment: str = ""
    status: str = ""


class Load(Part, frozen=True, kw_only=True, gc=False):
    """How much of what packaging, and its weight."""

    packaging: str = ""
    count: Decimal | None = None
    weight_qualifier: str = ""
    weight: Decimal | None = None
    weight_unit: str = ""
    volume: Decimal | None = None
    volume_unit: str = ""


class Amount(Part, frozen=True, kw_only=True, gc=False):
    """A quantity of a kind (33 available, 17 on hand, ...), and the days it is about."""

    kind: str
    quantity: Decimal
    unit: str = ""
    dates: list[Moment] = []
    places: list["Place"] = []


class Place(Part, frozen=True, kw_only=True, gc=False):
    """Where a quantity is (EDIFACT LOC)."""

    qualifier: str
    id: str = ""


class Split(Part, frozen=True, kw_only=True, gc=False):
    """A quantity for one of several destinations (SDQ)."""

    place: str
    quantity: Decimal


class Splits(Part, frozen=True, kw_only=True, gc=False):
    """Destinations of one line, in one numbering (`qualifier`) and unit."""

    unit: str
    qualifier: str = ""
    rows: list[Split] = []


class Pack(Part, frozen=True, kw_only=True, gc=False):
    """How a line is packed: units in a pack, packs in a case; weight and volume of one."""

    packs: Decimal | None = None
    size: Decimal | None = None
    unit: str = ""
    packaging: str = ""
    weight_qualifier: str = ""
    weight: Decimal | None = None
    weight_unit: str = ""
    volume: Decimal | None = None
    volume_unit: str = ""
    inner: Decimal | None = None


class Charge(Part, frozen=True, kw_only=True, gc=False):
    """An allowance (A), a charge (C) or neither (N); `amount` in currency units."""

    indicator: str
    code: str = ""
    amount: Decimal | None = None
    percent_qualifier: str = ""
    percent: Decimal | None = None
    rate: Decimal | None = None
    method: str = ""
    text: str = ""


class Tax(Part, frozen=True, kw_only=True, gc=False):
    """A tax: its amount and rate."""

    kind: str
    amount: Decimal | None = None
    percent: Decimal | None = None
    jurisdiction: str = ""


class Document(Part, frozen=True, kw_only=True, gc=False):
    """What every document has."""

    number: str = ""
    purpose: str = ""
    date: dt.date | None = None
    time: str = ""
    currency: str = ""
    currency_of: str = ""
    references: list[Reference] = []
    dates: list[Moment] = []
    parties: list[Party] = []
    contacts: list[Contact] = []
    notes: list[Note] = []
    line_count: int | None = None
    hash_total: Decimal | None = None


class Line(Part, frozen=True, kw_only=True, gc=False):
    """What every line has; `case_code` is the case's UPC, where a segment has a place for it."""

    line: str = ""
    ids: list[ItemId] = []
    case_code: str = ""
    references: list[Reference] = []
    dates: list[Moment] = []
    descriptions: list[Note] = []
    marks: list[Mark] = []
