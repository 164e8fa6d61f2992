"""What a batch must read before its commands can be decided, collected from all of them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Needs:
    """Names first (`skus`, `reservations`, `orders` ...), then ids once names are known.

    `order_numbers` are (channel code, number). `locations` None means every location of the items.
    `counts` asks for the sum of what moved on (item, location, account) after a moment (None: now),
    `booked` for the movements of (item, document number). `facts` turns on anchors and supplies.
    `resolved` keeps lines resolved while needs were collected, by the identity of their request
    body, for the decision.
    """

    skus: set[str] = field(default_factory=set)
    aliases: set[tuple[str, str]] = field(default_factory=set)
    reservations: set[int] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    orders: set[int] = field(default_factory=set)
    order_numbers: set[tuple[str, str]] = field(default_factory=set)
    item_ids: set[int] = field(default_factory=set)
    locations: set[int] = field(default_factory=set)
    all_locations: bool = False
    fact_keys: set[str] = field(default_factory=set)
    line_keys: set[str] = field(default_factory=set)
    fulfilments: set[str] = field(default_factory=set)
    documents: set[str] = field(default_factory=set)
    counts: set[tuple[int, int, int, datetime | None]] = field(default_factory=set)
    facts: bool = False
    booked: set[tuple[int, str]] = field(default_factory=set)
    fences: bool = False
    resolved: dict[int, Any] = field(default_factory=dict)
