"""A file cut into interchanges: what of each is kept, compared, answered and acknowledged. Pure."""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import msgspec

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.accepting import Judged, judge
from stockbridge.connectors.edi.answers import answer_group, answer_interchange
from stockbridge.connectors.edi.edifact import contrl
from stockbridge.connectors.edi.events import Interchange
from stockbridge.connectors.edi.findings import Severity, finding
from stockbridge.connectors.edi.mapping import ANSWERS, Digest, refusal_of
from stockbridge.connectors.edi.partner.deciding import Meaning
from stockbridge.connectors.edi.partner.profile import Profile
from stockbridge.connectors.edi.partner.reporting import Snapshot
from stockbridge.connectors.edi.partner.sending import Outgoing
from stockbridge.connectors.edi.segments import Segment
from stockbridge.connectors.edi.x12.acknowledge import Dialect, body, read_body, read_ta1, ta1
from stockbridge.contracts.partners.model import Incoming, ReportedStock

MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""The most that the hub keeps as one message; of a larger interchange only reports are taken."""
CONTENT_TYPES: Final = {"x12": "application/edi-x12", "edifact": "application/edifact"}
_BEGINS: Final = re.compile(rb"(?:^|(?<=[^A-Za-z0-9 ]))(?=ISA[^A-Za-z0-9]|UNA|UNB[^A-Za-z0-9])")


class Acknowledged(msgspec.Struct, frozen=True):
    """What the partner says of a number of ours."""

    number: int
    answer: str
    detail: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What is answered to one interchange: sets, and segments between ISA and the groups."""

    sets: list[Outgoing] = []
    notes: list[Segment] = []


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One interchange of a file. `digest` tells two contents of one number apart.

    `conflict` is answered in place of `reply` when its number came before with other content.
    """

    message: Incoming
    digest: str
    is_sound: bool
    reports: list[ReportedStock] = []
    reply: Reply = Reply()
    conflict: Reply = Reply()
    acknowledged: list[Acknowledged] = []


def pieces(data: bytes, profile: Profile) -> Iterator[Piece]:
    """The interchanges of a file; a file without one is one piece that is refused."""
    for part in _cut(data):
        judged = judge(reading.read([part], profile.policy()))
        yield _piece(part, judged, profile)


def _cut(data: bytes) -> list[bytes]:
    """The bytes of each interchange; a UNA belongs to the UNB after it."""
    starts = [found.start() for found in _BEGINS.finditer(data)]
    kept: list[int] = []
    for at in starts:
        follows_una = (
            kept and data[kept[-1] : kept[-1] + 3] == b"UNA" and data[at : at + 3] == b"UNB"
        )
        if not (follows_una and not data[kept[-1] + 9 : at].strip()):
            kept.append(at)
    if len(kept) < 2:  # noqa: PLR2004 - nothing to cut
        return [data]
    kept[0] = 0
    return [data[at:end] for at, end in zip(kept, [*kept[1:], len(data)], strict=True)]


def _piece(part: bytes, judged: Judged, profile: Profile) -> Piece:
    interchange = judged.interchange
    digest = sha256(part).hexdigest()
    refused = refusal_of(judged, profile)
    reports: list[ReportedStock] = []
    reply = conflict = Reply()
    if interchange is not None and not (refused and refused.code == "not_agreed"):
        reply = _reply(judged, profile, ())
        number = "DUPLICATE_CONTROL_DIFFERENT_CONTENT"
        conflict = _reply(judged, profile, (number,))
    if refused is None:
        reports = list(_reports(judged, profile))
    return Piece(
        message=_message(part, digest, judged, profile),
        digest=digest,
        is_sound=refused is None,
        reports=reports,
        reply=reply,
        conflict=conflict,
        acknowledged=list(_acknowledged(judged)) if refused is None else [],
    )


def _message(part: bytes, digest: str, judged: Judged, profile: Profile) -> Incoming:
    interchange = judged.interchange
    name, sequence, standard = f"file/{digest}", None, profile.standard
    if interchange is not None:
        standard = interchange.standard
        if interchange.control:
            name = _name(interchange, profile)
        sequence = _number(interchange.control)
    flow = (
        "interchanges.test" if interchange is not None and interchange.is_test else "interchanges"
    )
    if len(part) <= MESSAGE_BYTES_MAX:
        return Incoming(
            name, "interchange", part, CONTENT_TYPES[standard], sequence, flow, is_exact=True
        )
    digested = Digest(
        interchange.control if interchange else "", digest, len(part),
        list(_unkept(judged, profile)),
    )  # fmt: skip
    encoded = msgspec.json.encode(digested)
    return Incoming(name, "digest", encoded, "application/json", sequence, flow, is_exact=True)


def _name(interchange: Interchange, profile: Profile) -> str:
    """The identity of an interchange. Where a counter may start again, its day belongs to it."""
    sides = [":".join(side) for side in (interchange.sender, interchange.receiver)]
    day = [interchange.date] if profile.sequence.may_reset else []
    kind = ["T"] if interchange.is_test else []
    return "/".join(["interchange", *sides, interchange.control, *day, *kind])


def _number(control: str) -> int | None:
    is_number = control.isascii() and control.isdigit() and len(control) < len(str(2**62))
    return int(control) if is_number else None


def _unkept(judged: Judged, profile: Profile) -> Iterator[str]:
    """What of an interchange too large to be kept nobody would hear of."""
    refused = refusal_of(judged, profile)
    if refused is not None:
        yield refused.detail
        return
    told: set[str] = set()
    for read in judged.reads:
        errors = judged.errors_of(read)
        if not errors and _is_report(judged.meaning(read, profile)):
            continue
        why = errors[0].message if errors else "only stock reports may be in so large a one"
        line = f"{read.head.code} {read.head.control}: {why}"
        if line not in told:
            told.add(line)
            yield line


def _is_report(meaning: Meaning | None) -> bool:
    return meaning is None or (
        isinstance(meaning, Snapshot)
        and not any(found.severity is Severity.ERROR for found in meaning.findings)
    )


def _reports(judged: Judged, profile: Profile) -> Iterator[ReportedStock]:
    """The stock reports of sound sets, their pieces joined."""
    joined: dict[int, tuple[Snapshot, list[bytes]]] = {}
    broken: set[int] = set()
    number = -1
    for read in judged.reads:
        number += read.piece == 1
        if judged.errors_of(read):
            broken.add(number)
        meaning = judged.meaning(read, profile)
        if isinstance(meaning, Snapshot):
            rows = [msgspec.json.encode(row) + b"\n" for row in meaning.rows]
            _, known = joined.setdefault(number, (meaning, []))
            known += rows
    for at, (snapshot, rows) in joined.items():
        if at not in broken and rows:
            yield _report(snapshot, b"".join(rows), judged, profile)


def _report(snapshot: Snapshot, rows: bytes, judged: Judged, profile: Profile) -> ReportedStock:
    control = judged.interchange.control if judged.interchange else ""
    return ReportedStock(
        number=f"{snapshot.number or control}@{snapshot.cutoff_at:%Y%m%dT%H%M%SZ}",
        cutoff_at=snapshot.cutoff_at,
        rows=rows,
        sequence=snapshot.sequence,
        meaning=profile.stock.meaning,
        is_authoritative=profile.stock.is_authoritative,
    )


def _reply(judged: Judged, profile: Profile, codes: tuple[str, ...]) -> Reply:
    """What the agreement asks us to say; `codes` was found outside the bytes."""
    more = tuple(finding(code, "its number came before with other content") for code in codes)
    agreed, result = profile.acknowledge, judged.result
    if result is None:
        return Reply()
    if profile.standard == "edifact":
        said = contrl.body(result, more) if agreed.functional == "contrl" else []
        return Reply([Outgoing(code="CONTRL", body=said)] if said else [])
    answer = answer_interchange(result, more)
    notes: list[Segment] = []
    is_rejected = answer is not None and answer.status == "rejected"
    only_answers = bool(judged.reads) and all(r.head.code in ANSWERS for r in judged.reads)
    if answer is not None and agreed.ta1 and (is_rejected or not only_answers) and judged.reads:
        notes.append(ta1(answer))
    if is_rejected or agreed.functional not in ("997", "999"):
        return Reply([], notes)
    dialect: Dialect = "999" if agreed.functional == "999" else "997"
    groups = [told for group in result.groups if (told := answer_group(group)) is not None]
    sets = [Outgoing(code=dialect, body=body(told, dialect)) for told in groups]
    return Reply(sets, notes)


def _acknowledged(judged: Judged) -> Iterator[Acknowledged]:
    """What the partner says of what we sent."""
    for segment in judged.result.answers if judged.result else []:
        note = read_ta1(segment)
        if note is not None and note.status == "rejected":
            yield from _said_of(note.control, note.status, f"TA1 {note.code}")
    for read in judged.reads:
        if read.head.code not in ANSWERS or judged.errors_of(read):
            continue
        if read.head.code == "CONTRL":
            whole, _, _ = contrl.read_body(read.segments)
            if whole is not None:
                yield from _said_of(whole.control, whole.status, f"CONTRL {whole.code}")
            continue
        answer, _ = read_body(read.segments)
        if answer is not None:
            bad = [f"{s.code} {s.control} {s.status} {' '.join(s.codes)}".strip()
                   for s in answer.sets if s.status != "accepted"]  # fmt: skip
            yield from _said_of(answer.control, answer.status, "; ".join(bad))


def _said_of(control: str, status: str, detail: str) -> Iterator[Acknowledged]:
    number = _number(control)
    if number is not None:
        yield Acknowledged(number, status, detail)
