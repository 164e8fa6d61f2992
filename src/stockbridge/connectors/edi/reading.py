"""Reads a file of either syntax."""

from collections.abc import Iterable, Iterator
from itertools import chain

from stockbridge.connectors.edi.edifact import reader as edifact
from stockbridge.connectors.edi.edifact import writer as edifact_writer
from stockbridge.connectors.edi.events import Event, InterchangeOpened, Standard
from stockbridge.connectors.edi.segments import Policy
from stockbridge.connectors.edi.x12 import reader as x12
from stockbridge.connectors.edi.x12 import writer as x12_writer

_BLANK = b"\xef\xbb\xbf \t\r\n\x00"


def standard_of(beginning: bytes) -> Standard:
    """The syntax of a file, by its beginning; it is X12 unless it begins as EDIFACT does."""
    is_edifact = beginning.lstrip(_BLANK).startswith((b"UNA", b"UNB", b"UNH"))
    return "edifact" if is_edifact else "x12"


def read(chunks: Iterable[bytes], policy: Policy | None = None) -> Iterator[Event]:
    """The events of a file of either syntax."""
    stream = iter(chunks)
    first: list[bytes] = []
    seen = b""
    for chunk in stream:
        first.append(chunk)
        seen = (seen + chunk).lstrip(_BLANK)
        if len(seen) >= len("UNA"):
            break
    whole = chain(first, stream)
    return (
        edifact.read(whole, policy) if standard_of(seen) == "edifact" else x12.read(whole, policy)
    )


def rewrite(events: Iterable[Event]) -> Iterator[str]:
    """The file again, in its own syntax."""
    stream = iter(events)
    first: list[Event] = []
    is_edifact = False
    for event in stream:
        first.append(event)
        if isinstance(event, InterchangeOpened):
            interchange = event.interchange
            is_edifact = interchange is not None and interchange.standard == "edifact"
            break
    if is_edifact:
        return edifact_writer.rewrite(chain(first, stream))
    return x12_writer.rewrite(chain(first, stream))
