"""Says what a partner's file means, and what we would answer, for people who set a partner up."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from stockbridge.connectors.edi.answers import answer_group
from stockbridge.connectors.edi.documents import model
from stockbridge.connectors.edi.documents.edifact_sheets import MESSAGES
from stockbridge.connectors.edi.documents.reading import documents
from stockbridge.connectors.edi.documents.x12_sheets import SHEETS
from stockbridge.connectors.edi.edifact import contrl
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.events import Event, GroupClosed, InterchangeClosed
from stockbridge.connectors.edi.partner.building import accepted
from stockbridge.connectors.edi.partner.deciding import meaning_of
from stockbridge.connectors.edi.partner.profile import Profile
from stockbridge.connectors.edi.partner.sending import Numbers, Outgoing, compose
from stockbridge.connectors.edi.x12.acknowledge import Dialect, body

_ANSWER_OF = {"850": "855", "860": "865"}


def meanings(events: Iterable[Event], profile: Profile) -> Iterator[bytes]:
    """What each document means, in a line of JSON."""
    for read in documents(events):
        meaning = meaning_of(read, profile)
        value: dict[str, Any] = {"set": read.head.code, "control": read.head.control}
        if meaning is not None:
            value |= {"means": type(meaning).__name__, **msgspec.to_builtins(meaning)}
        refused = [
            f for f in (read.result.findings if read.result else []) if f.severity == "error"
        ]
        if refused:
            value["refused"] = refused
        yield msgspec.json.encode(value)


def reply(
    events: Iterable[Event], profile: Profile, numbers: Numbers, moment: datetime
) -> str | None:
    """The interchange we would send back: acknowledgements, and every sound order accepted."""
    sets: list[Outgoing] = []
    kept = list(events)
    for event in kept:
        if isinstance(event, GroupClosed) and profile.standard == "x12":
            answer = answer_group(event.result)
            dialect: Dialect = "999" if profile.acknowledge.functional == "999" else "997"
            if answer is not None and profile.acknowledge.functional != "none":
                sets.append(Outgoing(code=dialect, body=body(answer, dialect)))
        elif isinstance(event, InterchangeClosed) and profile.standard == "edifact":
            said = contrl.body(event.result)
            if said and profile.acknowledge.functional == "contrl":
                sets.append(Outgoing(code="CONTRL", body=said))
    for read in documents(kept):
        code = _ANSWER_OF.get(read.head.code)
        if code is not None and isinstance(read.document, model.PurchaseOrder) and read.is_usable:
            answer_document = accepted(read.document, moment.astimezone(profile.zone).date())
            sets.append(Outgoing(code=code, document=answer_document))
    return compose(profile, numbers, moment, sets) if sets else None


def written(lines: Iterable[bytes], profile: Profile, numbers: Numbers, moment: datetime) -> str:
    """An interchange of documents in JSON, `{"set": "846", "document": {...}}` a line."""
    sheets = MESSAGES if profile.standard == "edifact" else SHEETS
    sets = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = msgspec.json.decode(line, type=_Line)
            sheet = sheets.get(value.set)
            if sheet is None:
                raise Unwritable(f"line {number}: {value.set!r} is no set of {profile.standard}")
            document = msgspec.json.decode(value.document, type=sheet.shape)
        except msgspec.DecodeError as error:
            raise Unwritable(f"line {number}: {error}") from error
        sets.append(Outgoing(code=value.set, document=document))
    return compose(profile, numbers, moment, sets)


class _Line(msgspec.Struct, frozen=True):
    """A document to write, as `edi convert --to ndjson` gives it."""

    set: str
    document: msgspec.Raw
