"""Drives a scanner's tokens through sessions, one for each interchange of a file."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from stockbridge.connectors.edi.envelope import Session, Syntax
from stockbridge.connectors.edi.events import Event, Interchange
from stockbridge.connectors.edi.findings import Finding, finding
from stockbridge.connectors.edi.scanning import Batch, Cut, Grammar, Heading, Scanner
from stockbridge.connectors.edi.segments import Delimiters, Policy, Segment
from stockbridge.connectors.edi.text import Decoded

InterchangeHead = Callable[[Segment, Delimiters], tuple[Interchange, list[Finding]]]


@dataclass(frozen=True, slots=True)
class Language:
    """A syntax as a whole: how it is split, how its envelopes nest, how its opener reads."""

    grammar: Grammar
    syntax: Syntax
    head: InterchangeHead


def drive(language: Language, chunks: Iterable[bytes], policy: Policy) -> Iterator[Event]:
    """The events of a file with any number of interchanges; raises for nothing in it."""
    decoded = Decoded(chunks, policy.encoding)
    session: Session | None = None
    said_anything = False
    for token in Scanner(decoded, policy.limits, language.grammar).tokens():
        said_anything = True
        if isinstance(token, Finding):
            yield token
        elif isinstance(token, Heading):
            if session is not None:
                yield from session.end([])
            session = Session(language.syntax, policy)
            yield from _opened(session, token, language.head)
        elif session is not None:
            yield from _followed(session, token, decoded)
    if session is not None:
        yield from session.end([])
    if not said_anything:
        yield finding("NOT_EDI", "there is nothing in it")


def _opened(session: Session, heading: Heading, head: InterchangeHead) -> Iterator[Event]:
    if not heading.segment:
        yield from session.open(None, heading.findings)
        return
    interchange, found = head(heading.segment, heading.delimiters)
    yield from session.open(interchange, [*heading.findings, *found])


def _followed(session: Session, token: Batch | Cut, decoded: Decoded) -> Iterator[Event]:
    interchange = session.result.interchange
    if decoded.undecodable and not (interchange and interchange.is_latin):
        message = f"{decoded.undecodable} bytes are not in its encoding; read as Latin-1"
        session.result.findings.append(finding("ENCODING", message))
    decoded.undecodable = 0
    if isinstance(token, Batch):
        yield from session.take(token.segments, token.texts)
        return
    if token.rest:
        is_over = any(found.code == "TERMINATOR_MISSING" for found in token.findings)
        if is_over:
            session.result.findings += token.findings
        yield from session.take([token.rest], [""])
        if is_over:
            return
    yield from session.end([] if interchange is None else token.findings)
