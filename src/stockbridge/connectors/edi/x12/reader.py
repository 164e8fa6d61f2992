"""Reads X12 from bytes, a chunk at a time, as events; what is wrong is in their results."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from stockbridge.connectors.edi.driving import Language, drive
from stockbridge.connectors.edi.envelope import Syntax
from stockbridge.connectors.edi.events import Event
from stockbridge.connectors.edi.scanning import Batch, Grammar
from stockbridge.connectors.edi.segments import COMPONENT, REPEAT, Delimiters, Policy
from stockbridge.connectors.edi.x12.delimiters import detect
from stockbridge.connectors.edi.x12.heads import group_head, interchange_head, set_head
from stockbridge.connectors.edi.x12.outline import outline

_BARE_SET: Final = re.compile(
    r"ST(?P<element>[^\w\s])\d{3}(?P=element)\w{1,9}(?:(?P=element)[\w.]+)?(?P<terminator>[^\w ])"
)


def read(chunks: Iterable[bytes], policy: Policy | None = None) -> Iterator[Event]:
    """The events of a file with any number of interchanges; raises for nothing in it."""
    return drive(_X12, chunks, policy or Policy())


def _bare(text: str) -> Delimiters | None:
    """Separators guessed from an ST that begins the text."""
    match = _BARE_SET.match(text)
    if match is None:
        return None
    return Delimiters(element=match["element"], component="", terminator=match["terminator"])


def _prepare(text: str, _delimiters: Delimiters) -> str:
    """X12 has no escape."""
    return text


def _batch(texts: list[str], delimiters: Delimiters) -> Batch:
    element, component = delimiters.element, delimiters.component
    repetition = delimiters.repetition
    if component or repetition:
        joined = "".join(texts)
        if component and component in joined:
            texts = [text.replace(component, COMPONENT) for text in texts]
        if repetition and repetition in joined:
            texts = [text.replace(repetition, REPEAT) for text in texts]
    texts = [text.lstrip() for text in texts]
    return Batch([text.split(element) for text in texts], texts)


_X12: Final = Language(
    grammar=Grammar(
        openers=("ISA",), end="IEA", detect=detect, bare=_bare, prepare=_prepare, batch=_batch
    ),
    syntax=Syntax(
        group=("GS", "GE"),
        set=("ST", "SE"),
        interchange_end="IEA",
        answers=("TA1",),
        is_group_needed=True,
        group_head=group_head,
        set_head=set_head,
        outline=outline,
    ),
    head=interchange_head,
)
