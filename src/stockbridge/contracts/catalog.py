"""Everything a process can read now: built-in contracts, published ones, partners' mappings."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from datetime import time as clock_time
from email.utils import format_datetime
from typing import Any, Final, NamedTuple

import msgspec

from stockbridge.contracts import epcis, rows
from stockbridge.contracts import mapping as mapped
from stockbridge.contracts.base import Shape
from stockbridge.contracts.events.decoding import (
    Undecodable,
    attempt,
    command_of,
    decode_with,
    read_builtin,
    unknown,
)
from stockbridge.contracts.events.registry import BY_NAME, split
from stockbridge.contracts.events.upcasting import UPCASTS, Upcasts
from stockbridge.contracts.partners import reading as partners
from stockbridge.contracts.schemas import Check, check_of

Headers = tuple[tuple[bytes, bytes], ...]
UNMATCHED: Final = "unmatched"
"""The name, in place of a mapping's, of what no mapping of its system takes yet."""
READABLE: Final = ("active", "deprecated")
_NO_PARTNERS: Final = partners.PartnerReader(None, {})


def unmatched(system: str) -> str:
    """The contract of a system's messages that no mapping takes yet."""
    return f"{mapped.PREFIX}{system}:{UNMATCHED}.v1"


class Published(NamedTuple):
    """A contract as the registry keeps it; `schema` is only needed for those not built in."""

    name: str
    version: int
    status: str
    schema: Mapping[str, Any]
    deprecated_at: datetime | None = None
    sunset_on: date | None = None

    @property
    def contract(self) -> str:
        """Name and version in one."""
        return f"{self.name}.v{self.version}"

    @property
    def built_in(self) -> bool:
        """Whether code of ours reads it."""
        return self.name in BY_NAME


class Catalog:
    """Decodes messages by contract and finds the mapping for those that name none. Immutable."""

    def __init__(
        self,
        published: Iterable[Published] = (),
        mappings: Iterable[mapped.Mapping] = (),
        upcasts: Upcasts = UPCASTS,
        reader: partners.PartnerReader = _NO_PARTNERS,
    ) -> None:
        self._reader = reader
        self._published = {each.contract: each for each in published}
        self._mappings = {mapping.name: mapping for mapping in mappings}
        self._by_contract = {
            mapping.manifest.match.contract: mapping
            for mapping in self._mappings.values()
            if mapping.manifest.match.contract is not None
        }
        self._checks: dict[str, Check] = {}
        self._upcasts = upcasts

    def decode(self, contract: str, content_type: str, body: bytes) -> list[Shape] | Undecodable:
        """The command bodies that a message asks for, in its order. Never raises."""
        if contract.startswith(mapped.PREFIX):
            return self._read_mapped(contract, content_type, body)
        if contract.startswith(partners.PREFIX):
            return self._reader.read(contract, body)
        if contract == epcis.CONTRACT:
            return epcis.decode(body)
        if rows.takes(contract, content_type):
            data = rows.data_of(content_type, body)
            return data if isinstance(data, Undecodable) else self._read(contract, data)
        return decode_with(self._read, contract, content_type, body)

    def match(self, system: str, content_type: str, body: bytes) -> str | None:
        """The contract of the system's mapping that takes this message, by name; None if none."""
        own = [
            mapping
            for _, mapping in sorted(self._mappings.items())
            if mapping.manifest.system == system and mapping.manifest.match.contract is None
        ]
        value = mapped.parse(content_type, body) if own else None
        if isinstance(value, Undecodable):
            # Bytes that cannot be parsed are kept under the mapping they were surely meant for.
            return own[0].contract if len(own) == 1 else None
        return next((m.contract for m in own if mapped.matches(m, content_type, value)), None)

    def _read_unmatched(
        self, system: str, content_type: str, body: bytes
    ) -> list[Shape] | Undecodable:
        """By a mapping that takes it by now; else it waits for the system's next one."""
        contract = self.match(system, content_type, body)
        if contract is not None:
            return self._read_mapped(contract, content_type, body)
        own = [m.manifest for m in self._mappings.values() if m.manifest.system == system]
        # Every mapping that becomes active makes this sum larger.
        known = sum(manifest.version for manifest in own)
        detail = f"no mapping of {system} takes this message; publish one that does"
        return Undecodable("unmatched", detail, (f"mapping:{system}:{known}",))

    def headers(self, contract: str) -> Headers:
        """What a door answers to messages of a deprecated contract (RFC 9745, RFC 8594)."""
        known = self._published.get(contract)
        if known is None or known.status != "deprecated" or known.deprecated_at is None:
            return ()
        link = f'</v1/contracts/{known.name}/{known.version}>; rel="deprecation"'
        found = [
            (b"deprecation", f"@{int(known.deprecated_at.timestamp())}".encode()),
            (b"link", link.encode()),
        ]
        if known.sunset_on is not None:
            moment = datetime.combine(known.sunset_on, clock_time(23, 59, 59), UTC)
            found.append((b"sunset", format_datetime(moment, usegmt=True).encode()))
        return tuple(found)

    def _read(self, contract: str, data: bytes) -> list[Shape] | Undecodable:
        known = self._published.get(contract)
        if known is not None and known.status not in READABLE:
            if known.status == "retired":
                return Undecodable("contract_retired", f"{contract} is retired")
            return unknown(contract, "it is a draft")
        if known is None or known.built_in:
            return read_builtin(contract, data, self._upcasts)
        return self._read_published(known, data)

    def _read_published(self, known: Published, data: bytes) -> list[Shape] | Undecodable:
        value = attempt(msgspec.json.decode, data)
        if isinstance(value, Undecodable):
            return value
        check = self._checks.get(known.contract)
        if check is None:
            check = self._checks[known.contract] = check_of(known.schema)
        wrong = check(value)
        if wrong:
            return Undecodable("invalid_event", "; ".join(wrong))
        mapping = self._by_contract.get(known.contract)
        if mapping is None:
            detail = f"{known.contract} fits its schema, but no mapping says what it means"
            return Undecodable("no_mapping", detail)
        return _commands(mapped.apply_value(mapping, value))

    def _read_mapped(
        self, contract: str, content_type: str, body: bytes
    ) -> list[Shape] | Undecodable:
        """Versions up to the active one are read by the active one: it has corrected them."""
        named = split(contract)
        system, _, name = (named[0] if named else "").removeprefix(mapped.PREFIX).rpartition(":")
        if name == UNMATCHED and named is not None and named[0] not in self._mappings:
            return self._read_unmatched(system, content_type, body)
        mapping = self._mappings.get(named[0]) if named else None
        if named is None or mapping is None or named[1] > mapping.manifest.version:
            return unknown(contract, "no such mapping is active")
        return _commands(mapped.apply_mapping(mapping, content_type, body))


def _commands(events: list[mapped.Event] | Undecodable) -> list[Shape] | Undecodable:
    if isinstance(events, Undecodable):
        return events
    found: list[Shape] = []
    for index, event in enumerate(events):
        made = command_of(str(event["type"]), event["data"])
        if isinstance(made, Undecodable):
            # What a mapping made is wrong in itself: no contract that may come would change that.
            return Undecodable("mapping_failed", f"event {index}: {made.detail}")
        found += made
    return found
