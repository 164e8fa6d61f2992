"""Documents as JSON values, one for each, with the envelope they came in."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from stockbridge.connectors.edi.documents.reading import Read, documents
from stockbridge.connectors.edi.events import Event
from stockbridge.connectors.edi.segments import COMPONENT


def json_lines(events: Iterable[Event]) -> Iterator[bytes]:
    """Each document of a file in a line of JSON; sets without a sheet by their segments."""
    for read in documents(events):
        yield msgspec.json.encode(_value(read))


def _value(read: Read) -> dict[str, Any]:
    value: dict[str, Any] = {
        "set": read.head.code,
        "control": read.head.control,
        "version": read.head.version,
    }
    if read.interchange is not None:
        value["sender"] = ":".join(filter(None, read.interchange.sender))
        value["receiver"] = ":".join(filter(None, read.interchange.receiver))
        value["interchange"] = read.interchange.control
    if read.group is not None:
        value["group"] = read.group.control
    if read.piece > 1 or read.result is None:
        value["piece"] = read.piece
    found = [*read.findings, *(read.result.findings if read.result else [])]
    if read.document is not None:
        value["kind"] = type(read.document).__name__
        value["document"] = read.document
    else:
        value["segments"] = [
            [text.split(COMPONENT) if COMPONENT in text else text for text in segment]
            for segment in read.segments
        ]
    if found:
        value["findings"] = found
    return value
