"""What the data does not say: items, places, opening stock and replenishment. Pure.

The rules are stated in README.md; each looks only at the past of the day it acts on, save the
opening stock, which stands for what the shop had bought before the data begins.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

from stockbridge.contracts.masters import PutChannel, PutItem, PutLocation, PutPolicy
from stockbridge.demo.retail import Document, Kind, Row, classify, is_service

MAIN: Final = "UK-MAIN"
OVERFLOW: Final = "UK-3PL"
COST_SHARE: Final = Decimal("0.55")
"""Standard cost as a share of the median selling price."""
OPENING_DAYS: Final = 14
OPENING_PERCENT: Final = 97
COVER_WEEKS: Final = 3
HISTORY_WEEKS: Final = 4
LEAD_DAYS: Final = 2
OVERFLOW_FROM: Final = 20
"""From this many units on, a fifth is kept at the overflow building."""
PO_LINES: Final = 500

LOCATIONS: Final = (
    PutLocation(MAIN, name="Main warehouse", kind="warehouse", time_zone="Europe/London"),
    PutLocation(OVERFLOW, name="Overflow at a 3PL", kind="3pl", time_zone="Europe/London"),
)
CHANNELS: Final = (
    PutChannel("uk-wholesale", name="UK wholesale", sources=[MAIN, OVERFLOW]),
    PutChannel("uk-dotcom", name="UK dotcom shop", sources=[MAIN, OVERFLOW]),
    PutChannel("export", name="Export", sources=[MAIN, OVERFLOW], sourcing="fewest_splits"),
)
POLICIES: Final = (
    PutPolicy("uk-wholesale"),
    PutPolicy("uk-dotcom", cap=500),
    PutPolicy("export", buffer_percent=5),
)


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """Replenishment of one building, ordered and received in full; (sku, units) by line."""

    number: str
    location: str
    ordered_at: datetime
    received_at: datetime
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a replay needs, in time order; `opening` is {location: [(sku, units)]}."""

    items: list[PutItem]
    opening: dict[str, list[tuple[str, int]]]
    orders: list[PurchaseOrder]
    documents: list[Document]
    begins_at: datetime
    last_day: datetime
    rows: int


def make_plan(rows: Sequence[Row], documents: list[Document]) -> Plan:
    """Derive masters, opening stock and purchase orders from the rows and their documents.

    Raises ValueError when there is no document at all.
    """
    if not documents:
        raise ValueError("no order lines: nothing to replay")
    begins_at = _midnight(documents[0].at)
    last_day = _midnight(documents[-1].at)
    flows = outflows(documents)
    opening = {sku: opening_units(flow) for sku, flow in flows.items()}
    items = derive_items(rows)
    orders = [
        order
        for monday, wanted in replenishment(flows, opening, begins_at, last_day)
        for order in _purchase_orders(monday, wanted)
    ]
    stocked = [(item.sku, opening.get(item.sku, 0)) for item in items]
    return Plan(
        items=items,
        opening=_placed(stocked),
        orders=orders,
        documents=documents,
        begins_at=begins_at,
        last_day=last_day,
        rows=len(rows),
    )


@dataclass(slots=True)
class Day:
    """What happens on one day, in this order."""

    begins_at: datetime
    ordered: list[PurchaseOrder] = field(default_factory=list)
    received: list[PurchaseOrder] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)


def days(plan: Plan) -> list[Day]:
    """The plan cut into days, oldest first; what would arrive after the data ends stays away."""
    found: dict[datetime, Day] = {}

    def day(moment: datetime) -> Day:
        midnight = _midnight(moment)
        return found.setdefault(midnight, Day(midnight))

    for document in plan.documents:
        day(document.at).documents.append(document)
    for order in plan.orders:
        day(order.ordered_at).ordered.append(order)
        if order.received_at <= plan.last_day:
            day(order.received_at).received.append(order)
    return [found[midnight] for midnight in sorted(found)]


def derive_items(rows: Iterable[Row]) -> list[PutItem]:
    """Every stocked code, with its commonest description and a cost from its median price."""
    said: dict[str, Counter[str]] = defaultdict(Counter)
    prices: dict[str, list[Decimal]] = defaultdict(list)
    for row in rows:
        if is_service(row.sku):
            continue
        names = said[row.sku]
        # A note ("damages") stands where a description should; what is sold is named properly.
        if row.description and classify(row, 0) in {Kind.SALE, Kind.RETURN} and row.price > 0:
            names[row.description] += 1
        if row.price > 0:
            prices[row.sku].append(row.price)
    return [
        PutItem(sku=sku, description=_commonest(names), standard_cost=_cost(prices[sku]))
        for sku, names in sorted(said.items())
    ]


def _commonest(names: Counter[str]) -> str:
    return min(names, key=lambda name: (-names[name], name), default="")


def _cost(prices: list[Decimal]) -> str | None:
    return f"{median(prices) * COST_SHARE:.4f}" if prices else None


Flow = list[tuple[datetime, int, Kind]]
"""What left stock (negative: came in), in time order."""


def outflows(documents: Iterable[Document]) -> dict[str, Flow]:
    """Each item's flow over all documents that move stock."""
    flows: dict[str, Flow] = defaultdict(list)
    for document in documents:
        if document.kind in {Kind.SALE, Kind.RETURN, Kind.ADJUSTMENT}:
            sign = 1 if document.kind is Kind.SALE else -1
            for line in document.lines:
                flows[line.sku].append((document.at, sign * line.quantity, document.kind))
    return flows


def opening_units(flow: Flow) -> int:
    """97 % of the highest running net outflow in the first days after the item's first move."""
    until = flow[0][0] + timedelta(days=OPENING_DAYS)
    peak = running = 0
    for at, units, _ in flow:
        if at >= until:
            break
        running += units
        peak = max(peak, running)
    return (peak * OPENING_PERCENT + 50) // 100


def replenishment(
    flows: dict[str, Flow], opening: dict[str, int], begins_at: datetime, last_day: datetime
) -> Iterator[tuple[datetime, list[tuple[str, int]]]]:
    """(Monday, [(sku, units to order)]): up to three weeks of the past weeks' net demand."""
    monday = begins_at + timedelta(days=7 - begins_at.weekday())
    stocks = {sku: _Stock(flow, opening[sku]) for sku, flow in flows.items()}
    while monday <= last_day:
        weeks = min(HISTORY_WEEKS, max(1, (monday - begins_at).days // 7))
        wanted = [
            (sku, units)
            for sku in sorted(stocks)
            if (units := stocks[sku].review(monday, weeks)) > 0
        ]
        if wanted:
            yield monday, wanted
        monday += timedelta(days=7)


class _Stock:
    """The planner's shadow of one item: it knows what was asked for until now, and its orders."""

    def __init__(self, flow: Flow, units: int) -> None:
        self._flow = flow
        self._next = 0
        self._units = units
        self._arriving: list[tuple[datetime, int]] = []

    def review(self, now: datetime, weeks: int) -> int:
        """Units to order now, so that stock and orders cover the coming weeks."""
        self._advance(now)
        since = now - timedelta(weeks=weeks)
        demand = sum(units for at, units, _ in self._flow[: self._next] if at >= since)
        position = self._units + sum(units for _, units in self._arriving)
        wanted = -(-max(demand, 0) * COVER_WEEKS // weeks) - position
        if wanted > 0:
            self._arriving.append((now + timedelta(days=LEAD_DAYS), wanted))
        return wanted

    def _advance(self, now: datetime) -> None:
        while self._next < len(self._flow) and self._flow[self._next][0] < now:
            at, units, kind = self._flow[self._next]
            self._arrive(at)
            # A promise is only made of what is there; facts are booked whatever is there.
            self._units -= min(units, max(self._units, 0)) if kind is Kind.SALE else units
            self._next += 1
        self._arrive(now)

    def _arrive(self, now: datetime) -> None:
        while self._arriving and self._arriving[0][0] <= now:
            self._units += self._arriving.pop(0)[1]


def _purchase_orders(monday: datetime, wanted: list[tuple[str, int]]) -> Iterator[PurchaseOrder]:
    for location, lines in _placed(wanted).items():
        for part, start in enumerate(range(0, len(lines), PO_LINES), start=1):
            yield PurchaseOrder(
                number=f"PO-{monday:%Y%m%d}-{location}-{part}",
                location=location,
                ordered_at=monday,
                received_at=monday + timedelta(days=LEAD_DAYS),
                lines=tuple(lines[start : start + PO_LINES]),
            )


def _placed(units_by_sku: Iterable[tuple[str, int]]) -> dict[str, list[tuple[str, int]]]:
    """Where units are put: a fifth of larger quantities at the overflow, the rest at the main."""
    placed: dict[str, list[tuple[str, int]]] = {MAIN: [], OVERFLOW: []}
    for sku, units in units_by_sku:
        overflow = units // 5 if units >= OVERFLOW_FROM else 0
        placed[MAIN].append((sku, units - overflow))
        if overflow:
            placed[OVERFLOW].append((sku, overflow))
    return placed


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
