"""Shipments and cancellations sent to Shopify, each once whatever gets lost on the way."""

from collections.abc import Mapping
from typing import Any, Final

from stockbridge.connectors.kit.canonical import at
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.shopify import documents, outgoing
from stockbridge.connectors.shopify.mapping import gid, refused, tail
from stockbridge.connectors.shopify.wire import Wire
from stockbridge.contracts.partners.model import Delivery, Outcome
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment

_HOLD_SECONDS: Final = 1_800.0


class Deliveries:
    """What is owed to one shop."""

    def __init__(self, wire: Wire, config: Mapping[str, Any]) -> None:
        self._wire = wire
        self._locations: Mapping[str, Any] = config["locations"]
        self._notifies = bool(config.get("notifies_customers", False))

    async def send(self, delivery: Delivery) -> Outcome:
        """Do what of it is not done yet."""
        match delivery.payload:
            case ConfirmShipment() as shipment:
                return await self._ship(delivery, shipment)
            case CancelOrder() as cancellation:
                return await self._cancel(delivery, cancellation)
            case other:
                return Outcome("rejected", "not_supported", f"{type(other).__name__} is not taken")

    async def probe(self, delivery: Delivery) -> Outcome:
        """Whether it was done; `later`: not, or not all of it."""
        match delivery.payload:
            case ConfirmShipment() as shipment:
                order = await self._parcel(shipment)
                before = outgoing.remembered(order)
                if before is None or await self._left(order, shipment, before):
                    return Outcome("later", "not_done", "Shopify does not have the parcel")
                return Outcome("confirmed")
            case CancelOrder() as cancellation:
                return await self._probe_cancellation(delivery, cancellation)
            case other:
                return Outcome("rejected", "not_supported", f"{type(other).__name__} is not taken")

    # Shipments ---------------------------------------------------------------------------------

    async def _ship(self, delivery: Delivery, shipment: ConfirmShipment) -> Outcome:
        """Before anything is sent the order remembers its fulfillments: newer ones are ours."""
        order = await self._parcel(shipment)
        if order is None:
            return Outcome("rejected", "no_order", "Shopify has no such order")
        before = outgoing.remembered(order)
        left = outgoing.units_of(shipment.lines)
        if before is not None:
            left = await self._left(order, shipment, before)
        if not left:
            return Outcome("confirmed")
        rows = await self._fulfillment_orders(shipment.order)
        place = str(self._locations.get(shipment.location, ""))
        batches, missing = outgoing.batches(left, rows, place)
        if missing:
            return _not_open(missing, is_held=outgoing.waits(rows))
        if before is None:
            await self._remember(shipment, outgoing.living(order))
        return await self._fulfill(delivery, shipment, batches)

    async def _parcel(self, shipment: ConfirmShipment) -> Any:
        variables = {
            "order": gid("Order", shipment.order), "key": outgoing.parcel_key(shipment.package)
        }  # fmt: skip
        data = await self._wire.read("confirm_shipment", documents.PARCEL, variables)
        return at(data, "order")

    async def _left(
        self, order: Any, shipment: ConfirmShipment, before: frozenset[str]
    ) -> dict[str, int]:
        rows: list[Any] = []
        for each in outgoing.candidates(order, before, shipment.tracking):
            rows += await self._wire.all(
                "confirm_shipment", documents.FULFILLMENT, {"id": each},
                ("fulfillment", "fulfillmentLineItems"),
            )  # fmt: skip
        return outgoing.less(outgoing.units_of(shipment.lines), rows)

    async def _fulfillment_orders(self, order: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for each in await self._wire.all(
            "confirm_shipment", documents.FULFILLMENT_ORDERS, {"order": gid("Order", order)},
            ("order", "fulfillmentOrders"),
        ):  # fmt: skip
            lines, page = list(each["lineItems"]["nodes"]), each["lineItems"]["pageInfo"]
            if page["hasNextPage"]:
                lines += await self._wire.all(
                    "confirm_shipment", documents.FULFILLMENT_ORDER_LINES, {"id": each["id"]},
                    ("fulfillmentOrder", "lineItems"), page["endCursor"],
                )  # fmt: skip
            found.append({**each, "lineItems": lines})
        return found

    async def _remember(self, shipment: ConfirmShipment, before: Mapping[str, object]) -> None:
        """Not answered is not known, but setting it again is harmless: nothing was shipped yet."""
        memory = outgoing.memory_of(shipment.order, shipment.package, before)
        data = await self._wire.read(
            "confirm_shipment", documents.REMEMBER, {"metafields": [memory]}
        )
        _raise_refused(at(data, "metafieldsSet", "userErrors"))

    async def _fulfill(
        self, delivery: Delivery, shipment: ConfirmShipment, batches: list[outgoing.Batch]
    ) -> Outcome:
        """One call for each location: fulfillment orders of two cannot go together."""
        made: list[str] = []
        for batch in batches:
            fulfillment = outgoing.fulfillment_of(batch, shipment, notifies=self._notifies)
            data = await self._wire.change(
                "confirm_shipment", documents.SHIP, {"fulfillment": fulfillment},
                delivery.correlation_id, is_idempotent=False,
            )  # fmt: skip
            denied = refused(at(data, "fulfillmentCreate", "userErrors"))
            if denied is not None:
                return denied
            made.append(tail(at(data, "fulfillmentCreate", "fulfillment", "id")))
        return Outcome("confirmed", reference=",".join(made))

    # Cancellations -----------------------------------------------------------------------------

    async def _cancel(self, delivery: Delivery, cancellation: CancelOrder) -> Outcome:
        order = await self._cancelled(cancellation.order)
        if order is None:
            return Outcome("rejected", "no_order", "Shopify has no such order")
        if outgoing.is_cancelled(order, cancellation.cancellation):
            return Outcome("confirmed")
        lines = await self._wire.all(
            "cancel_order", documents.LINES, {"order": gid("Order", cancellation.order)},
            ("order", "lineItems"),
        )  # fmt: skip
        if outgoing.is_whole(order, lines, outgoing.units_of(cancellation.lines)):
            return await self._cancel_whole(delivery, cancellation)
        variables = {
            "input": outgoing.refund_of(cancellation, notifies=self._notifies),
            "key": delivery.idempotency_key,
        }
        data = await self._wire.change(
            "cancel_order", documents.REFUND_UNITS, variables, delivery.correlation_id
        )
        denied = refused(at(data, "refundCreate", "userErrors"))
        number = tail(at(data, "refundCreate", "refund", "id"))
        return Outcome("confirmed", reference=number) if denied is None else denied

    async def _cancel_whole(self, delivery: Delivery, cancellation: CancelOrder) -> Outcome:
        """Shopify cancels in a job of its own: done is what the order says afterwards."""
        variables = {
            "order": gid("Order", cancellation.order), "notify": self._notifies,
            "reason": outgoing.reason_of(cancellation), "note": outgoing.note_of(cancellation),
        }  # fmt: skip
        data = await self._wire.change(
            "cancel_order", documents.CANCEL, variables, delivery.correlation_id,
            is_idempotent=False,
        )  # fmt: skip
        denied = refused(at(data, "orderCancel", "orderCancelUserErrors"))
        if denied is not None:
            order = await self._cancelled(cancellation.order)
            is_done = outgoing.is_cancelled(order, cancellation.cancellation)
            return Outcome("confirmed") if is_done else denied
        return Outcome("accepted", reference=str(at(data, "orderCancel", "job", "id") or ""))

    async def _cancelled(self, order: str) -> Any:
        variables = {"order": gid("Order", order)}
        return at(await self._wire.read("cancel_order", documents.CANCELLED, variables), "order")

    async def _probe_cancellation(self, delivery: Delivery, cancellation: CancelOrder) -> Outcome:
        """By the job first, so that a job that ends in between is not taken for one that failed."""
        is_over = None
        if delivery.reference.startswith("gid://shopify/Job/"):
            variables = {"id": delivery.reference}
            data = await self._wire.read("cancel_order", documents.JOB, variables)
            is_over = bool(at(data, "job", "done"))
        order = await self._cancelled(cancellation.order)
        if outgoing.is_cancelled(order, cancellation.cancellation):
            return Outcome("confirmed")
        if is_over is None:
            return Outcome("later", "not_done", "Shopify has not cancelled it")
        if is_over:
            return Outcome("rejected", "cancel_failed", "Shopify's job ended, the order stands")
        return Outcome("accepted", reference=delivery.reference)


def _not_open(missing: Mapping[str, int], *, is_held: bool) -> Outcome:
    said = ", ".join(f"{quantity} of line {line}" for line, quantity in missing.items())
    if is_held:
        detail = f"on hold or not due in Shopify: {said}; release it there"
        return Outcome("later", "on_hold", detail, after_seconds=_HOLD_SECONDS)
    return Outcome("rejected", "not_open", f"not open in Shopify any more: {said}")


def _raise_refused(errors: Any) -> None:
    found = refused(errors)
    if found is not None:
        raise Failed(found)
