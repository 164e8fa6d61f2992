"""Change notices: what a committed batch tells the views, as NOTIFY payloads.

Payload: first line `batch_id recorded_at_microseconds`; then a line of integers for each changed
balance: item, location, the eight states in account order, safety stock; `feed location micros`
for each location heard from. Fences and supply have payloads of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from stockbridge.kernel.clock import microseconds

PAYLOAD_BYTES_MAX = 7_900
"""PostgreSQL refuses payloads of 8,000 bytes and more."""


def notices(
    batch_id: int,
    now: datetime,
    balances: Iterable[Sequence[Any]],
    feeds: Mapping[int, datetime],
    supply_items: Iterable[int],
    *,
    fences: bool,
) -> list[str]:
    """The payloads of a batch, in order; a balance is item, eight states, safety, location."""
    lines = [
        f"{q[0]} {q[10]} {q[1]} {q[2]} {q[3]} {q[4]} {q[5]} {q[6]} {q[7]} {q[8]} {q[9]}"
        for q in balances
    ]
    lines += [f"feed {place} {microseconds(at)}" for place, at in feeds.items()]
    payloads = _packed(f"{batch_id} {microseconds(now)}", "\n", lines)
    payloads += _packed("supply", " ", [str(item_id) for item_id in sorted(supply_items)])
    if fences:
        payloads.append("fences")
    return payloads


def _packed(head: str, separator: str, parts: list[str]) -> list[str]:
    """As few payloads as fit, each with the head."""
    payloads: list[str] = []
    room = 0
    for part in parts:
        size = len(part) + len(separator)
        if size > room:
            payloads.append(head)
            room = PAYLOAD_BYTES_MAX - len(head)
        payloads[-1] += separator + part
        room -= size
    return payloads
