"""Words both syntaxes share: a segment, its separators, and what is refused for its size.

A segment is a list of texts, its tag first: `["QTY", "33", "100", "EA"]`. Inside an element, parts
of a composite stand apart by COMPONENT and repetitions by REPEAT, whatever the file used; control
characters cannot occur in data, so nothing is ambiguous and nothing has to be escaped.
"""

import re
from typing import Final

import msgspec

Segment = list[str]

COMPONENT: Final = "\x1f"
REPEAT: Final = "\x1e"
CONTROL: Final = re.compile(r"[\x00-\x1d\x7f]")
"""Characters that no element may hold."""


def at(segment: Segment, element: int, component: int = 0) -> str:
    """An element (1 is the first after the tag), or one component of it; '' when absent.

    >>> at(["QTY", "33", "100", "EA" + COMPONENT + "PC"], 3, 2), at(["QTY"], 9)
    ('PC', '')
    """
    if element >= len(segment):
        return ""
    value = segment[element]
    if not component:
        return value
    parts = value.split(COMPONENT)
    return parts[component - 1] if component <= len(parts) else ""


def trimmed(segment: Segment) -> Segment:
    """The segment without its trailing empty elements and components."""
    if COMPONENT in "".join(segment):
        segment = [value.rstrip(COMPONENT) for value in segment]
    end = len(segment)
    while end > 1 and not segment[end - 1]:
        end -= 1
    return segment[:end]


class Delimiters(msgspec.Struct, frozen=True, kw_only=True):
    """The separators of an interchange; '' where there is none.

    `release` is EDIFACT's escape, `newline` is written after each terminator for people.
    """

    element: str = "*"
    component: str = ">"
    repetition: str = ""
    terminator: str = "~"
    release: str = ""
    decimal: str = "."
    newline: str = ""

    @property
    def all(self) -> str:
        """Every character that data must not hold (or must escape)."""
        return self.element + self.component + self.repetition + self.terminator + self.release


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The most that one interchange may hold; more is a finding, and is not read.

    `sets` counts groups and answers (TA1) too; `findings` are those kept of one set.
    """

    interchange_chars: int = 1_000_000_000
    segment_chars: int = 32_768
    elements: int = 256
    set_segments: int = 5_000_000
    sets: int = 100_000
    findings: int = 1_000


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How a partner's files are read: what is lenient stands in `severities`."""

    encoding: str = "utf-8"
    limits: Limits = Limits()
    severities: dict[str, str] = {}
    is_validated: bool = True
