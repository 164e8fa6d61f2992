"""Reads EDIFACT from bytes, a chunk at a time, as the events that X12 gives."""

from collections.abc import Iterable, Iterator
from typing import Final

from stockbridge.connectors.edi.driving import Language, drive
from stockbridge.connectors.edi.edifact.heads import (
    group_head,
    interchange_head,
    outline,
    set_head,
)
from stockbridge.connectors.edi.edifact.service import bare, batch, detect, prepare
from stockbridge.connectors.edi.envelope import Syntax
from stockbridge.connectors.edi.events import Event
from stockbridge.connectors.edi.scanning import Grammar
from stockbridge.connectors.edi.segments import Policy

_EDIFACT: Final = Language(
    grammar=Grammar(
        openers=("UNA", "UNB"), end="UNZ", detect=detect, bare=bare, prepare=prepare, batch=batch
    ),
    syntax=Syntax(
        group=("UNG", "UNE"),
        set=("UNH", "UNT"),
        interchange_end="UNZ",
        answers=(),
        is_group_needed=False,
        group_head=group_head,
        set_head=set_head,
        outline=outline,
    ),
    head=interchange_head,
)


def read(chunks: Iterable[bytes], policy: Policy | None = None) -> Iterator[Event]:
    """The events of a file with any number of interchanges; raises for nothing in it."""
    return drive(_EDIFACT, chunks, policy or Policy())
