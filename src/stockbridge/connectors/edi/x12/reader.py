"""Reads X12 from bytes, a chunk at a time, as events; what is wrong is in their results."""

from collections.abc import Iterable, Iterator

from stockbridge.connectors.edi.envelope import Session, Syntax
from stockbridge.connectors.edi.events import Event
from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.segments import Policy
from stockbridge.connectors.edi.text import Decoded
from stockbridge.connectors.edi.x12.delimiters import Heading
from stockbridge.connectors.edi.x12.heads import group_head, interchange_head, set_head
from stockbridge.connectors.edi.x12.outline import outline
from stockbridge.connectors.edi.x12.scanner import Batch, Cut, Scanner

SYNTAX = Syntax(
    group=("GS", "GE"),
    set=("ST", "SE"),
    interchange_end="IEA",
    answers=("TA1",),
    is_group_needed=True,
    group_head=group_head,
    set_head=set_head,
    outline=outline,
)


def read(chunks: Iterable[bytes], policy: Policy | None = None) -> Iterator[Event]:
    """The events of a file with any number of interchanges; raises for nothing in it."""
    policy = policy or Policy()
    decoded = Decoded(chunks, policy.encoding)
    session: Session | None = None
    said_anything = False
    for token in Scanner(decoded, policy.limits).tokens():
        said_anything = True
        if isinstance(token, Finding):
            yield token
        elif isinstance(token, Heading):
            if session is not None:
                yield from session.end([])
            session = Session(SYNTAX, policy)
            yield from _opened(session, token)
        elif session is not None:
            yield from _followed(session, token, decoded)
    if session is not None:
        yield from session.end([])
    if not said_anything:
        yield finding("NOT_EDI", "there is nothing in it")


def _opened(session: Session, heading: Heading) -> Iterator[Event]:
    if not heading.isa:
        yield from session.open(None, heading.findings)
        return
    interchange, found = interchange_head(heading.isa, heading.delimiters)
    yield from session.open(interchange, [*heading.findings, *found])


def _followed(session: Session, token: Batch | Cut, decoded: Decoded) -> Iterator[Event]:
    if decoded.undecodable:
        message = f"{decoded.undecodable} bytes are not in its encoding; read as Latin-1"
        session.result.findings.append(finding("ENCODING", message))
        decoded.undecodable = 0
    if isinstance(token, Batch):
        yield from session.take(token.segments, token.texts)
        return
    without_isa = session.result.interchange is None
    if token.rest:
        is_over = token.rest[0] == "IEA"
        if is_over:
            session.result.findings += token.findings
        yield from session.take([token.rest], [""])
        if is_over:
            return
    yield from session.end([] if without_isa else token.findings)
