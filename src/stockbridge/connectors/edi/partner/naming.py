"""A partner's words to ours: items, places, units, moments, quantities. Nothing is guessed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from stockbridge.connectors.edi.documents.parts import Document, ItemId, Line, Moment, Party
from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.partner.defaults import BASE_UNITS
from stockbridge.connectors.edi.partner.profile import Profile

GTIN_QUALIFIERS: Final = frozenset({"UP", "UI", "UK", "UA", "EN", "EO", "UC", "SRV"})
GTIN_DIGITS: Final = 14
SHIPPED, RECEIVED, REPORTED = ("11",), ("09", "50", "050"), ("405", "366")
_YEAR_DIGITS: Final = 8


class Words:
    """Translates one document's words; `findings` collects what has no translation."""

    def __init__(self, profile: Profile, sent_at: datetime) -> None:
        """`sent_at` is the envelope's moment: no fact is later than the message that tells it."""
        self.profile = profile
        self.sent_at = sent_at
        self.findings: list[Finding] = []

    def find(self, code: str, message: str, **where: Any) -> None:
        """Add a finding."""
        self.findings.append(finding(code, message, self.profile.severities, **where))

    def item(self, line: Line, ids: Sequence[ItemId] | None = None) -> dict[str, Any] | None:
        """What names the item: `sku`, or `alias` and `namespace`; None when nothing does."""
        items = self.profile.items
        known = {one.qualifier: one.id for one in reversed(line.ids if ids is None else ids)}
        if items.uses_case_code and line.case_code:
            known.setdefault("UA", line.case_code)
        order = [*items.qualifiers, *(["UA"] if items.uses_case_code else [])]
        for qualifier in order:
            name = known.get(qualifier)
            if not name:
                continue
            if qualifier in items.ours:
                return {"sku": name}
            is_gtin = qualifier in GTIN_QUALIFIERS and name.isdigit()
            if is_gtin and items.global_namespace is not None:
                return {"alias": gtin(name), "namespace": items.global_namespace}
            return {"alias": name, "namespace": items.namespace}
        given = ", ".join(f"{q} {i}" for q, i in known.items()) or "nothing"
        self.find("ITEM_UNNAMED", f"line {line.line or '?'} names its item by {given}")
        return None

    def place(self, parties: Sequence[Party], roles: Sequence[str] | None = None) -> str | None:
        """The location that one of the parties is; `roles` in order of preference."""
        locations = self.profile.locations
        for role in roles or locations.roles:
            for party in parties:
                if party.role != role or not party.id:
                    continue
                if locations.qualifiers and party.qualifier not in locations.qualifiers:
                    continue
                code = locations.table.get(party.id)
                if code is not None:
                    return code
        if roles is None and locations.default is not None:
            return locations.default
        return None

    def needed_place(
        self, parties: Sequence[Party], roles: Sequence[str] | None = None
    ) -> str | None:
        """The same, and a finding when there is none."""
        place = self.place(parties, roles)
        if place is None:
            given = ", ".join(f"{p.role} {p.qualifier} {p.id}" for p in parties) or "nobody"
            wanted = "/".join(roles or self.profile.locations.roles)
            self.find("LOCATION_UNNAMED", f"no {wanted} that we know among: {given}")
        return place

    def unit(self, code: str) -> dict[str, Any] | None:
        """`{"uom": ...}`, empty for the base unit; None: the unit is not agreed."""
        ours = self.profile.units.get(code)
        if ours is None and code in BASE_UNITS:
            return {}
        if ours is None:
            self.find("UNIT_UNMAPPED", f"unit {code!r} is not in the profile's units")
            return None
        return {"uom": ours} if ours else {}

    def whole(self, quantity: Decimal | None, what: str) -> int | None:
        """A quantity as a whole number; None (and a finding) when it is none."""
        if quantity is None:
            self.find("QUANTITY", f"{what} has no quantity")
            return None
        if quantity != quantity.to_integral_value():
            self.find("QUANTITY", f"{what}: {quantity} is no whole number of its unit")
            return None
        return int(quantity)

    def moment(self, day: date | None, time_of_day: str = "") -> datetime:
        """A local day and time in UTC; a day alone is its noon. Never later than the message."""
        if day is None:
            return self.sent_at
        clock = clock_of(time_of_day) or time(12)
        local = datetime.combine(day, clock, self.profile.zone)
        return min(local.astimezone(UTC), self.sent_at)

    def occurred_at(self, document: Document, qualifiers: Sequence[str]) -> datetime:
        """When what a document tells happened: its qualified date, else its own."""
        for one in document.dates:
            if one.qualifier in qualifiers and one.date is not None:
                return self.moment(one.date, one.time)
        return self.moment(document.date, document.time)

    def expected_at(self, dates: Sequence[Moment], qualifiers: Sequence[str]) -> datetime | None:
        """A day to come, in UTC; None when none is given."""
        for one in dates:
            if one.qualifier in qualifiers and one.date is not None:
                clock = clock_of(one.time) or time(12)
                return datetime.combine(one.date, clock, self.profile.zone).astimezone(UTC)
        return None

    def line_of(self, line: Line) -> str | None:
        """Our line number, where the line echoes it."""
        wanted = self.profile.lines_in
        echoed = [r.value for q in wanted for r in line.references if r.qualifier == q and r.value]
        return echoed[0] if echoed else None

    def serials(self, line: Line, quantity: int) -> list[str]:
        """Serial numbers, where there is one for each unit; else they say nothing of the line."""
        found = [r.value for r in line.references if r.qualifier in self.profile.serials_in]
        return found if len(found) == quantity else []


def gtin(digits: str) -> str:
    """A GTIN of any length in its 14 digits."""
    return digits.zfill(GTIN_DIGITS)


def clock_of(text: str) -> time | None:
    """HHMM or HHMMSS[DD] as a time; None when it is none."""
    if not text.isascii() or not text.isdigit() or len(text) < len("1200"):
        return None
    try:
        return time(int(text[:2]), int(text[2:4]), int(text[4:6] or "0"))
    except ValueError:
        return None


def sent_at(day: str, clock: str, profile: Profile) -> datetime:
    """An envelope's moment (YYMMDD or CCYYMMDD, HHMM...) in UTC; ValueError when it is none."""
    full = day if len(day) == _YEAR_DIGITS else f"20{day}"
    found = date(int(full[:4]), int(full[4:6]), int(full[6:8]))
    at = clock_of(clock) or time(12)
    return datetime.combine(found, at, profile.zone).astimezone(UTC)
