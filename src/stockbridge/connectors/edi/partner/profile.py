"""A partner's profile: everything agreed with one partner, as a validated TOML document.

The tables of codes begin with what guides have in common (`defaults.py`); a profile's own entries
go before them. What no table knows is never guessed: the set is refused to a person.
"""

import codecs
import tomllib
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from stockbridge.connectors.edi.findings import KINDS, Severity
from stockbridge.connectors.edi.segments import Delimiters, Limits, Policy
from stockbridge.contracts.base import Code
from stockbridge.kernel.errors import Misconfigured


class Agreed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the profile's tables: a misspelt name is refused."""


class Side(Agreed, frozen=True, kw_only=True):
    """One of the two: interchange id with its qualifier, and the application's id in groups."""

    id: Annotated[str, Meta(min_length=1, max_length=35)]
    qualifier: Annotated[str, Meta(max_length=4)] = "ZZ"
    app_id: Annotated[str, Meta(max_length=35)] = ""


class Acknowledgement(Agreed, frozen=True, kw_only=True):
    """What is answered, and when silence is told: our answer is due, theirs warned of, a breach."""

    functional: Literal["997", "999", "contrl", "none"] = "997"
    ta1: bool = False
    due_minutes: Annotated[int, Meta(ge=1, le=10_080)] = 15
    warn_minutes: Annotated[int, Meta(ge=1, le=43_200)] = 240
    breach_minutes: Annotated[int, Meta(ge=1, le=86_400)] = 1_440


class Items(Agreed, frozen=True, kw_only=True):
    """How items are named: `qualifiers` by preference; those in `ours` hold our SKU.

    Other ids are aliases in `namespace`; `global_namespace` takes those that are GTINs (UP, EN, UK
    ...), padded to 14 digits. With `uses_case_code`, the UPC of the case is the last resort.
    """

    qualifiers: tuple[str, ...] = ("SK", "SA", "VN", "VP", "BP", "IN", "UP", "UK", "EN", "UI")
    ours: tuple[str, ...] = ("SK",)
    namespace: Code
    global_namespace: Code | None = None
    uses_case_code: bool = False


class Locations(Agreed, frozen=True, kw_only=True):
    """How places are named: their ids to our location codes, in their numberings.

    `qualifiers` lists the numberings that count (empty: any); `roles` whose id is the reporting
    building's, by preference; `default` speaks when a document names none.
    """

    table: dict[str, Code] = {}
    qualifiers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("WH", "SF", "SU")
    default: Code | None = None


class Rule(Agreed, frozen=True, kw_only=True):
    """What a reason means: what is booked, under which of our reasons, and in which state.

    `ask` refuses the line to a person; `skip` books nothing.
    """

    books: Literal["adjust", "hold", "release", "ask", "skip"]
    reason: Code | None = None
    state: Literal["available", "quarantined"] = "available"


Handling = Literal["good", "quarantined", "not_stocked", "discrepancy"]


class Stock(Agreed, frozen=True, kw_only=True):
    """How stock reports read: `quantities` of a kind to our states; `is_delta_when` purposes.

    A report's number orders reports when it is all digits. `is_authoritative`: where the partner is
    its location's authority, differences become counts.
    """

    quantities: dict[str, Literal["available", "allocated", "picked", "quarantined"]] = {}
    on_hand: tuple[str, ...] = ("17", "145")
    meaning: Literal["available", "on_hand", "available_net_of_promises"] = "available"
    delta_purposes: tuple[str, ...] = ("04",)
    inventory_status: dict[str, Literal["available", "quarantined"]] = {}
    is_authoritative: bool = False


class Sequence(Agreed, frozen=True, kw_only=True):
    """Control numbers: how long they are remembered, and whether the counter may start again."""

    window_days: Annotated[int, Meta(ge=1, le=3_650)] = 400
    may_reset: bool = False


class Marks(Agreed, frozen=True, kw_only=True):
    """The separators we write with."""

    element: Annotated[str, Meta(min_length=1, max_length=1)] = "*"
    component: Annotated[str, Meta(min_length=1, max_length=1)] = ">"
    repetition: Annotated[str, Meta(max_length=1)] = ""
    terminator: Annotated[str, Meta(min_length=1, max_length=1)] = "~"
    release: Annotated[str, Meta(max_length=1)] = ""
    decimal: Literal[".", ","] = "."
    newline: Literal["", "\n", "\r\n"] = ""


class Profile(Agreed, frozen=True, kw_only=True):
    """A partner. `us` and `partner` are as they stand in what the partner sends and gets.

    Switches (defaults after the guides seen): `w13_included_in_w07` the received quantity includes
    the damaged one; `hold_one_line` a hold comes as one line, not as minus and plus;
    `w06_n_means_all` a 945 "no exceptions" without lines ships all as ordered; `receipt_is` what a
    944 or 861 answers; `lines_in` references that hold our line number.
    """

    name: Code
    standard: Literal["x12", "edifact"] = "x12"
    partner: Side
    us: Side
    version: Annotated[str, Meta(min_length=1, max_length=12)] = "004010"
    isa_version: Annotated[str, Meta(pattern=r"^[0-9]{5}$")] = "00401"
    delimiters: Marks = Marks()
    encoding: str = "utf-8"
    time_zone: str = "UTC"
    is_test: bool = False
    owner: str = "operations"
    acknowledge: Acknowledgement = Acknowledgement()
    severities: dict[str, Severity] = {}
    items: Items
    locations: Locations = Locations()
    units: dict[str, str] = {}
    stock: Stock = Stock()
    sequence: Sequence = Sequence()
    adjustments: dict[str, Rule] = {}
    conditions: dict[str, Handling] = {}
    statuses: dict[str, Literal["closed", "open"]] = {}
    lines_in: tuple[str, ...] = ("LI", "LN")
    serials_in: tuple[str, ...] = ("SE",)
    receipt_is: Literal["transfer", "purchase_order"] = "purchase_order"
    w13_included_in_w07: bool = True
    hold_one_line: bool = True
    w06_n_means_all: bool = False

    def policy(self) -> Policy:
        """How the partner's files are read."""
        severities = {code: severity.value for code, severity in self.severities.items()}
        return Policy(encoding=self.encoding, limits=Limits(), severities=severities)

    def marks(self) -> Delimiters:
        """The separators we write with."""
        return Delimiters(**msgspec.structs.asdict(self.delimiters))

    @property
    def zone(self) -> ZoneInfo:
        """The partner's local time."""
        return ZoneInfo(self.time_zone)


def load(text: str, name: str = "profile") -> Profile:
    """The profile in a TOML text; Misconfigured names what in `name` is wrong, and how."""
    try:
        return decode(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{name}: {error}") from error
    except ValueError as error:
        raise Misconfigured(f"{name}: {error}") from error


def decode(document: dict[str, Any]) -> Profile:
    """The profile in a parsed document; ValueError says what is wrong."""
    profile = msgspec.convert(document, Profile)
    unknown = sorted(set(profile.severities) - set(KINDS))
    if unknown:
        raise ValueError(f"severities: {', '.join(unknown)} is no finding; see findings.KINDS")
    try:
        ZoneInfo(profile.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"time_zone {profile.time_zone!r} is no IANA zone") from error
    try:
        codecs.lookup(profile.encoding)
    except LookupError as error:
        raise ValueError(f"encoding {profile.encoding!r} is not known") from error
    marks = profile.marks().all
    if len(set(marks)) < len(marks):
        raise ValueError(f"delimiters {marks!r} are not all different")
    return profile
