"""The working set of one batch: rows read under lock, and what the rules change in them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from stockbridge.domain.masters.model import Catalog
from stockbridge.domain.world.model import (
    Balance,
    Booked,
    ExceptionCase,
    Fact,
    FulfilmentLine,
    Hold,
    Movement,
    Owed,
    Reports,
    Reservation,
    Serial,
    Supply,
    SupplyKey,
)
from stockbridge.domain.world.order import Order, OrderEvent
from stockbridge.kernel.accounts import BACKORDERED

ID_BITS = 20
"""Rows a batch can number: ids are batch_id * 2**20 + n."""

Place = tuple[int, int]
"""(item id, location id)."""

HoldKey = tuple[int, int, int, int, int]
"""(reservation id, line number, item id, location id, account)."""


class World:
    """Rows by key, as loaded, plus the changes. `now` is the database's clock at the lock.

    Nothing here is thread-safe or shared: one batch, one world.
    """

    def __init__(self, batch_id: int, now: datetime, masters: Catalog) -> None:
        self.batch_id = batch_id
        self.now = now
        self.masters = masters
        self.balances: dict[Place, Balance] = {}
        self.negative: set[Place] = set()
        self.fences: dict[Place, dict[int, int]] = {}
        self.reservations: dict[int, Reservation] = {}
        self.holds: dict[int, dict[HoldKey, Hold]] = {}
        self.references: dict[str, list[int]] = {}
        self.anchors: dict[tuple[int, int, int], datetime] = {}
        self.moved_since: dict[tuple[int, int, int, datetime | None], int] = {}
        self.facts: dict[str, Fact] = {}
        self.lines: dict[str, Reports] = {}
        self.fulfilment: dict[tuple[str, str, int, int], FulfilmentLine] = {}
        self.bound: dict[tuple[int, int], dict[int, int]] = {}
        self.supplies: dict[SupplyKey, Supply] = {}

        self.orders: dict[int, Order] = {}
        self.order_numbers: dict[tuple[int, str], int] = {}
        self.orders_of: dict[int, int] = {}

        self.booked: list[Booked] = []

        self.movements: list[Movement] = []
        self.balances_changed: dict[Place, Balance] = {}
        self.fences_changed: set[tuple[int, int, int]] = set()
        self.reservations_changed: dict[int, Reservation] = {}
        self.holds_changed: dict[HoldKey, Hold | None] = {}
        self.anchors_changed: dict[tuple[int, int, int], datetime] = {}
        self.facts_changed: dict[str, Fact] = {}
        self.lines_changed: dict[str, Reports] = {}
        self.lots_changed: dict[tuple[int, int, str], list[int]] = {}
        self.serials_changed: dict[tuple[int, str], Serial] = {}
        self.sightings: dict[tuple[int, str], set[tuple[Serial, str]]] = {}
        self.facts_withdrawn: set[str] = set()
        self.fulfilment_changed: dict[tuple[str, str, int, int], FulfilmentLine] = {}
        self.supplies_changed: dict[SupplyKey, Supply] = {}
        self.orders_changed: dict[int, Order] = {}
        self.order_events: list[OrderEvent] = []
        self.feeds: dict[int, datetime] = {}
        self.exceptions: list[ExceptionCase] = []
        self.owed: list[Owed] = []
        self.short_items: set[int] = set()
        self.wanted: set[int] = set()
        self.resolved: dict[int, Any] = {}
        self._next_id = batch_id << ID_BITS

    def new_id(self) -> int:
        """An id of this batch, ascending."""
        self._next_id += 1
        return self._next_id

    def balance(self, item_id: int, location_id: int) -> Balance:
        """The balance, made empty where the pair has none yet."""
        place = (item_id, location_id)
        found = self.balances.get(place)
        if found is None:
            found = self.balances[place] = Balance.empty(item_id, location_id)
        return found

    def post(self, movement: Movement) -> None:
        """Append the movement and move its quantity."""
        self.movements.append(movement)
        _, item_id, location_id, from_account, to_account, quantity, *_ = movement
        balance = self.balance(item_id, location_id)
        if from_account <= BACKORDERED:
            balance.q[from_account] -= quantity
        if to_account <= BACKORDERED:
            balance.q[to_account] += quantity
        self.balances_changed[item_id, location_id] = balance
        if movement.lot is not None:
            self._move_lot(movement, movement.lot)

    def _move_lot(self, movement: Movement, lot: str) -> None:
        key = (movement.item_id, movement.location_id, lot)
        change = self.lots_changed.setdefault(key, [0] * (BACKORDERED + 1))
        if movement.from_account <= BACKORDERED:
            change[movement.from_account] -= movement.quantity
        if movement.to_account <= BACKORDERED:
            change[movement.to_account] += movement.quantity

    def see_serial(self, item_id: int, serial: str, place: Serial, fact_key: str) -> None:
        """A report names a unit: the newest by the source's clock stands, then the later account.

        Seen is seen, whether or not the report moved anything: places depend on no order.
        """
        key = (item_id, serial)
        self.sightings.setdefault(key, set()).add((place, fact_key))
        known = self.serials_changed.get(key)
        if known is None or place[::-1] > known[::-1]:
            self.serials_changed[key] = place

    def withdraw_sightings(self, fact_key: str) -> None:
        """The fact did not occur: its units are where they were seen otherwise, if anywhere."""
        self.facts_withdrawn.add(fact_key)
        for key, seen in self.sightings.items():
            left = {sighting for sighting in seen if sighting[1] != fact_key}
            if left == seen:
                continue
            self.sightings[key] = left
            self.serials_changed.pop(key, None)
            if left:
                newest, _ = max(left, key=lambda sighting: sighting[0][::-1])
                self.serials_changed[key] = newest

    def put_hold(self, hold: Hold) -> None:
        """Keep a new or changed hold; an empty one ends."""
        mine = self.holds.setdefault(hold.reservation_id, {})
        key = hold.key
        if hold.quantity > 0:
            mine[key] = hold
            self.holds_changed[key] = hold
        else:
            mine.pop(key, None)
            self.holds_changed[key] = None

    def holds_of(self, reservation_id: int) -> list[Hold]:
        """The open holds of a reservation, in the order they were made or read."""
        return list(self.holds.get(reservation_id, {}).values())

    def put_reservation(self, reservation: Reservation) -> None:
        """Keep a new or changed reservation."""
        known = self.references.setdefault(reservation.reference, [])
        if reservation.reservation_id not in known:
            known.append(reservation.reservation_id)
        self.reservations[reservation.reservation_id] = reservation
        self.reservations_changed[reservation.reservation_id] = reservation

    def bind(self, reservation_id: int, item_id: int, location_id: int, units: int) -> None:
        """Count units that a building has bound for the reservation; below zero: given back."""
        mine = self.bound.setdefault((reservation_id, item_id), {})
        mine[location_id] = mine.get(location_id, 0) + units

    def fence_of(self, place: Place, channel_id: int) -> int:
        """Units still set aside for the channel."""
        return self.fences.get(place, {}).get(channel_id, 0)

    def fenced_by_others(self, place: Place, channel_id: int) -> int:
        """Units set aside for other channels."""
        fences = self.fences.get(place)
        if not fences:
            return 0
        return sum(units for owner, units in fences.items() if owner != channel_id)

    def see_order(self, order: Order) -> None:
        """Know an order by its id, its number and its reservation."""
        self.orders[order.order_id] = order
        self.order_numbers[order.channel_id, order.number] = order.order_id
        if order.reservation_id is not None:
            self.orders_of[order.reservation_id] = order.order_id
            known = self.references.setdefault(order.number, [])
            if order.reservation_id not in known:
                known.append(order.reservation_id)

    def put_order(self, order: Order) -> None:
        """Keep a new or changed order."""
        self.see_order(order)
        self.orders_changed[order.order_id] = order

    def order_of(self, reservation_id: int) -> Order | None:
        """The order whose stock the reservation holds, if it is one's."""
        order_id = self.orders_of.get(reservation_id)
        return None if order_id is None else self.orders[order_id]

    def set_fence(self, place: Place, channel_id: int, units: int) -> None:
        """Set what is set aside for the channel."""
        self.fences.setdefault(place, {})[channel_id] = units
        self.fences_changed.add((*place, channel_id))

    def put_anchor(self, key: tuple[int, int, int], counted_at: datetime) -> None:
        """Keep the time of the newest count of (item, location, account)."""
        self.anchors[key] = counted_at
        self.anchors_changed[key] = counted_at
        self.balances_changed[key[:2]] = self.balance(*key[:2])

    def put_supply(self, key: SupplyKey, supply: Supply) -> None:
        """Keep the open pipeline of a document line."""
        self.supplies[key] = supply
        self.supplies_changed[key] = supply

    def put_fact(self, key: str, fact: Fact) -> None:
        """Remember a business key as booked."""
        self.facts[key] = fact
        self.facts_changed[key] = fact

    def put_line(self, key: str, reports: Reports) -> None:
        """Remember what is reported of a document line."""
        self.lines[key] = reports
        self.lines_changed[key] = reports

    def owe(self, owed: Owed) -> None:
        """Have it delivered to a system once the batch is committed."""
        self.owed.append(owed)

    def open_exceptions(self, cases: Iterable[ExceptionCase]) -> None:
        """Queue exceptions for their owners."""
        self.exceptions.extend(cases)
