"""What a partner's interchanges mean to the hub, by its profile. Pure.

Topic `interchange`: the bytes of one interchange as they came. Its sound sets become events; what
of it is refused stands between them and is told to an owner. Topic `digest` stands for one too
large to be kept as a message: what was found in it, as JSON.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.accepting import Judged, judge, stranger
from stockbridge.connectors.edi.documents.reading import Read
from stockbridge.connectors.edi.findings import Finding, Severity
from stockbridge.connectors.edi.ordering import order_events, short_events
from stockbridge.connectors.edi.partner.booking import Booking
from stockbridge.connectors.edi.partner.deciding import meaning_of
from stockbridge.connectors.edi.partner.ordering import Orders
from stockbridge.connectors.edi.partner.profile import Profile, load
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import Decoded, EventData
from stockbridge.kernel.errors import Misconfigured

ANSWERS: Final = frozenset({"997", "999", "CONTRL"})
_BY_PROFILE: Final = frozenset(
    {"ITEM_UNNAMED", "CODE_UNMAPPED", "UNIT_UNMAPPED", "LOCATION_UNNAMED"}
)
"""Findings that a word more in the profile would mend."""
_TOLD_MAX: Final = 5


class Digest(msgspec.Struct, frozen=True):
    """What stands for an interchange too large to be kept; `refused` says why, if it was."""

    control: str
    sha256: str
    bytes: int
    refused: list[str] = []


@lru_cache(maxsize=256)
def profile_of(text: str) -> Profile:
    """The profile in a system's configuration; raises Misconfigured."""
    return load(text)


def faults(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the profile."""
    try:
        profile_of(str(config["profile"]))
    except Misconfigured as error:
        return [f"profile: {error}"]
    if config.get("transport") == "sftp":
        needed = {
            "host": "the partner's SFTP server",
            "username": "who we are there",
            "known_hosts": "the server's host key, so that nobody else can be it",
        }
        return [
            f"{name}: is missing; {what}" for name, what in needed.items() if not config.get(name)
        ]
    if config.get("transport") == "folder" and not config.get("folder"):
        return ["folder: is missing; the partner's folder below the setting exchange_dir"]
    return []


def decode(topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
    """The events of a kept interchange, and what of it is refused."""
    if topic == "digest":
        return _digested(body)
    profile = profile_of(str(config["profile"]))
    judged = judge(reading.read([body], profile.policy()))
    refused = refusal_of(judged, profile)
    if refused is not None:
        return refused
    return list(_told(judged, profile, config))


def refusal_of(judged: Judged, profile: Profile) -> Undecodable | None:
    """Why nothing of an interchange may be booked; None: its sets are looked at one by one."""
    if judged.is_refused or judged.interchange is None:
        errors = [f for f in judged.faults if f.severity is Severity.ERROR] or judged.faults
        return Undecodable("interchange_refused", _said(errors) or "it holds no interchange")
    foreign = stranger(judged.interchange, profile)
    if foreign:
        return Undecodable("not_agreed", foreign, ("config",))
    return None


def _digested(body: bytes) -> Decoded:
    said = msgspec.json.decode(body, type=Digest)
    if said.refused:
        return Undecodable("interchange_refused", "; ".join(said.refused))
    return []


def _told(
    judged: Judged, profile: Profile, config: Mapping[str, Any]
) -> Iterator[EventData | Undecodable]:
    refused: set[tuple[str, str]] = set()
    for read in judged.reads:
        if read.head.code in ANSWERS:
            continue
        errors = judged.errors_of(read)
        name = (read.group.control if read.group else "", read.head.control)
        if errors:
            if name not in refused:
                refused.add(name)
                yield _refused(read, errors)
            continue
        yield from _meant(read, profile, config)


def _meant(
    read: Read, profile: Profile, config: Mapping[str, Any]
) -> Iterator[EventData | Undecodable]:
    meaning = meaning_of(read, profile)
    if meaning is None:
        return
    errors = [found for found in meaning.findings if found.severity is Severity.ERROR]
    if errors:
        yield _refused(read, errors)
    elif isinstance(meaning, Orders):
        yield from order_events(meaning, config)
    elif isinstance(meaning, Booking):
        for fact in meaning.facts:
            yield EventData(fact.contract, _plain(fact.data))
        if meaning.ships_all:
            detail = f"945 says that order {meaning.ships_all} left as ordered, without its lines"
            yield Undecodable("lines_not_told", detail)
        yield from short_events(meaning, config)


def _plain(data: Any) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(data)
    return {name: value for name, value in said.items() if value is not None}


def _refused(read: Read, errors: list[Finding]) -> Undecodable:
    detail = f"{read.head.code} {read.head.control}: {_said(errors)}"
    can_be_mended = all(found.code in _BY_PROFILE for found in errors)
    return Undecodable("set_refused", detail, ("config",) if can_be_mended else ())


def _said(errors: list[Finding]) -> str:
    told = [f"{e.code} {e.message}" for e in errors[:_TOLD_MAX]]
    more = len(errors) - len(told)
    return "; ".join([*told, f"and {more} more"] if more > 0 else told)
