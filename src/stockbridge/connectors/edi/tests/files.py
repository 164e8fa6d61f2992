"""What the tests read: the shared samples, and interchanges made here."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from stockbridge.connectors.edi.events import (
    Event,
    InterchangeClosed,
    Part,
    SetClosed,
    SetOpened,
    SetResult,
)
from stockbridge.connectors.edi.findings import Finding
from stockbridge.connectors.edi.segments import Policy, Segment
from stockbridge.connectors.edi.x12.reader import read

SAMPLES = Path(__file__).resolve().parents[6] / "shared" / "samples" / "edi"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="../shared/samples/edi is not beside the project"
)


def names(folder: str, *, without: str = "\0") -> list[str]:
    """The samples of a folder."""
    found = sorted(path.name for path in (SAMPLES / folder).glob("*.edi"))
    return [name for name in found if without not in name]


def events(text: str | bytes, policy: Policy | None = None) -> list[Event]:
    data = text.encode() if isinstance(text, str) else text
    return list(read([data], policy))


def codes(found: Iterable[Event]) -> list[str]:
    """The codes of everything that was found, in order."""
    seen: list[str] = []
    for event in found:
        if isinstance(event, Finding):
            seen.append(event.code)
        elif isinstance(event, InterchangeClosed):
            seen += [one.code for one in event.result.everything]
    return seen


def results(found: Iterable[Event]) -> list[SetResult]:
    return [event.result for event in found if isinstance(event, SetClosed)]


def content(found: Iterable[Event]) -> list[tuple[str, list[Segment]]]:
    """(code, segments) of each set: what must survive writing and reading again."""
    sets: list[tuple[str, list[Segment]]] = []
    for event in found:
        if isinstance(event, SetOpened):
            sets.append((event.head.code, []))
        elif isinstance(event, Part):
            sets[-1][1].extend(event.segments)
    return sets


def interchange(
    *bodies: str,
    gs: str = "IB",
    version: str = "004010",
    isa: str = "00401",
    control: str = "000000001",
    iea: str | None = None,
    se: str | None = None,
) -> str:
    """An X12 interchange around bodies like `846~BIA*00*...~`; `~` ends each segment."""
    head = (
        f"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       "
        f"*260131*1200*U*{isa}*{control}*0*P*>~"
    )
    sets = []
    for number, body in enumerate(bodies, start=1):
        code, _, rest = body.partition("~")
        count = se or str(rest.count("~") + 2)
        sets.append(f"ST*{code}*{number:04}~{rest}SE*{count}*{number:04}~")
    group = (
        f"GS*{gs}*SENDER*RECEIVER*20260131*1200*7*X*{version}~{''.join(sets)}GE*{len(bodies)}*7~"
    )
    return f"{head}{group}{iea or f'IEA*1*{control}~'}"
