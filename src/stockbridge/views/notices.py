"""Reads change notices: the text PostgreSQL delivers after every commit that moved stock.

    <batch id> <recorded at, us>
    <item> <location> <available> <allocated> <picked> <quarantined> <in transit> <on order>
        <reserved> <backordered> <safety stock>          (one line for each changed balance)
    feed <location> <seen at, us>
    fences | supply <item> ... | reload

Figures are absolute, and commits are delivered in their order: applying again does no harm.
"""

from dataclasses import dataclass, field

_BALANCE_FIELDS = 11


@dataclass(slots=True)
class Notice:
    """One notice: `balances` are (item, location, available, reserved, safety, backordered)."""

    batch_id: int | None = None
    recorded_at: int | None = None
    balances: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    feeds: list[tuple[int, int]] = field(default_factory=list)
    supply: set[int] = field(default_factory=set)
    fences: bool = False
    reload: bool = False


def parse(payload: str) -> Notice:
    """Read one notice; raises ValueError naming a line that is none of the known forms."""
    notice = Notice()
    for line in payload.splitlines():
        words = line.split(" ")
        if len(words) == _BALANCE_FIELDS and words[0] != "supply":
            item, location, available, *_, reserved, backordered, safety = map(int, words)
            notice.balances.append((item, location, available, reserved, safety, backordered))
        else:
            _parse_other(notice, words)
    return notice


def _parse_other(notice: Notice, words: list[str]) -> None:
    match words:
        case ["reload"]:
            notice.reload = True
        case ["fences"]:
            notice.fences = True
        case ["supply", *items]:
            notice.supply.update(map(int, items))
        case ["feed", location, seen_at]:
            notice.feeds.append((int(location), int(seen_at)))
        case [batch_id, recorded_at]:
            notice.batch_id, notice.recorded_at = int(batch_id), int(recorded_at)
        case _:
            raise ValueError(f"stock notice with an unknown line {' '.join(words)[:80]!r}")
