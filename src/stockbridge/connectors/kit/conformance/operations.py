"""What a connector must keep about deliveries: shipments, cancellations, acknowledgements."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from stockbridge.connectors.kit.canonical import key_of
from stockbridge.connectors.kit.conformance.bench import (
    IMPATIENT_SECONDS,
    SYSTEM,
    Bench,
    Case,
    expect,
)
from stockbridge.connectors.kit.simulator import FaultKind, Ordered
from stockbridge.contracts.partners.manifest import Manifest, Operation
from stockbridge.contracts.partners.model import Connector, Delivery, Outcome
from stockbridge.contracts.partners.operations import (
    AcknowledgeOrder,
    BookedLine,
    BookOrder,
    CancelOrder,
    ChangeOrder,
    ConfirmReturn,
    ConfirmShipment,
    PostedMovement,
    PostMovements,
    ToldLine,
)

_DONE: Final = ("confirmed", "accepted")
_BOOKED: Final = ("change_order", "cancel_order", "post_movements")
"""What an ERP takes of orders that it has booked."""


def _takes(manifest: Manifest) -> str | None:
    return None if manifest.operations else "it takes no deliveries"


def _payload(operation: str, ordered: Ordered, at: datetime) -> Any:
    number = ordered.number
    lines = [ToldLine(line.line, line.sku, line.quantity) for line in ordered.lines]
    made: dict[str, Callable[[], Any]] = {
        "acknowledge_order": lambda: AcknowledgeOrder(number, lines, at),
        "confirm_shipment": lambda: ConfirmShipment(
            number, f"{number}-1", lines, at, "LONDON", "UPS", "1Z999AA10123456784"
        ),
        "cancel_order": lambda: CancelOrder(number, f"{number}-c1", lines, at, "out_of_stock"),
        "confirm_return": lambda: ConfirmReturn(
            number, f"{number}-r1", lines, at, is_restocked=True
        ),
        "book_order": lambda: BookOrder(
            number, "shop", f"S-{number}", _booked(ordered), at, "LONDON", currency="USD"
        ),
        "change_order": lambda: ChangeOrder(number, 1, _booked(ordered, less=1), at),
        "post_movements": lambda: _posting(ordered, at),
    }
    return made[operation]()


def _booked(ordered: Ordered, less: int = 0) -> list[BookedLine]:
    return [
        BookedLine(line.line, line.sku, line.quantity - less, "12.50") for line in ordered.lines
    ]


def _posting(ordered: Ordered, at: datetime) -> PostMovements:
    """The order's units leave; each costs 4.00."""
    lines = [
        PostedMovement(
            "ship", line.sku, line.quantity, "LONDON", at, f"{ordered.number}-1", "4.00",
            ordered.number, line.line,
        )
        for line in ordered.lines
    ]  # fmt: skip
    units = sum(line.quantity for line in lines)
    return PostMovements(f"{ordered.number}-p1", lines, units, f"{units * 4}.00")


def _delivery(operation: str, ordered: Ordered, payload: Any) -> Delivery:
    return Delivery(
        delivery_id=1,
        operation=operation,
        object_key=f"order:{ordered.number}",
        idempotency_key=key_of(SYSTEM, operation, ordered.number),
        correlation_id="0af7651916cd43dd8448eb211c80319c",
        attempt=1,
        payload=payload,
    )


async def _owed(bench: Bench, connector: Connector, operation: str) -> Delivery:
    """A delivery about a fresh order of two items, everything before it done."""
    for number in (1, 2):
        bench.simulator.list_item(f"SKU-{number}", 5)
    ordered = bench.simulator.order({"SKU-1": 2, "SKU-2": 1})
    at = datetime.now(UTC) - timedelta(minutes=1)
    claimed = {each.name for each in bench.manifest.operations}
    if operation != "acknowledge_order" and "acknowledge_order" in claimed:
        first = _payload("acknowledge_order", ordered, at)
        await connector.send(_delivery("acknowledge_order", ordered, first))
    if operation == "confirm_return" and "confirm_shipment" in claimed:
        first = _payload("confirm_shipment", ordered, at)
        await connector.send(_delivery("confirm_shipment", ordered, first))
    if operation in _BOOKED and "book_order" in claimed:
        first = _payload("book_order", ordered, at)
        await connector.send(_delivery("book_order", ordered, first))
    bench.simulator.prepare(operation, ordered)
    return _delivery(operation, ordered, _payload(operation, ordered, at))


def _again(delivery: Delivery, outcome: Outcome) -> Delivery:
    reference = outcome.reference or delivery.reference
    return msgspec.structs.replace(delivery, attempt=delivery.attempt + 1, reference=reference)


async def does_each_once(bench: Bench) -> None:
    """Each operation is done; done again under the same key it stays done once."""
    connector = bench.open()
    for operation in bench.manifest.operations:
        delivery = await _owed(bench, connector, operation.name)
        before = bench.done(operation.name)
        outcome = await connector.send(delivery)
        expect(outcome.kind in _DONE, f"{operation.name} gave {outcome}")
        expect(bench.done(operation.name) == before + 1, f"{operation.name} was not done")
        if operation.idempotent:
            outcome = await connector.send(_again(delivery, outcome))
            expect(outcome.kind in _DONE, f"{operation.name}, sent again, gave {outcome}")
            once = bench.done(operation.name) == before + 1
            expect(once, f"{operation.name} was done twice under one key")


async def settles_the_unknown(bench: Bench) -> None:
    """Done, but no answer: a probe finds it or a repetition is harmless, never a second time."""
    connector = bench.open(timeout_seconds=IMPATIENT_SECONDS)
    for number, operation in enumerate(bench.manifest.operations):
        # A time-out takes its time, so one operation speaks for all.
        faults: Sequence[FaultKind] = ("time_out_after", "drop_after", "fail_after")
        for fault in faults if number == 0 else faults[1:]:
            delivery = await _owed(bench, connector, operation.name)
            before = bench.done(operation.name)
            bench.simulator.fault(fault, operation.name)
            outcome = await connector.send(delivery)
            what = f"{operation.name}, {fault}"
            doubted = ("later", "unknown") if operation.idempotent else ("unknown",)
            expect(outcome.kind in doubted, f"{what}: it was done, the outcome is {outcome}")
            await bench.seen(lambda: bench.done(operation.name) > before, what)  # noqa: B023
            end = await _settled(bench.open(), operation, _again(delivery, outcome))
            expect(end.kind in _DONE, f"{what}: it ended as {end}")
            once = bench.done(operation.name) == before + 1
            expect(once, f"{what}: it was done {bench.done(operation.name) - before} times")


async def _settled(connector: Connector, operation: Operation, delivery: Delivery) -> Outcome:
    """What the dispatcher does with an unknown: probe where that is claimed, else repeat."""
    if operation.probe:
        outcome = await connector.probe(delivery)
        if outcome.kind != "later":
            return outcome
    expect(
        operation.idempotent or operation.probe,
        f"{operation.name} is neither idempotent nor probed: an unknown can never be settled",
    )
    return await connector.send(delivery)


async def sends_what_was_not_done(bench: Bench) -> None:
    """Not done: the outcome leads to another attempt, a probe does not find it, then it is done."""
    connector = bench.open()
    faults: Sequence[FaultKind] = ("throttle", "fail_before", "drop_before")
    for operation in bench.manifest.operations:
        for fault in faults:
            delivery = await _owed(bench, connector, operation.name)
            before = bench.done(operation.name)
            bench.simulator.fault(fault, operation.name)
            outcome = await connector.send(delivery)
            what = f"{operation.name}, {fault}"
            expect(outcome.kind in ("later", "unknown"), f"{what}: the outcome is {outcome}")
            if fault == "throttle":
                waits = outcome.kind == "later" and (outcome.after_seconds or 0) > 0
                expect(waits, f"{what}: say later, and for how long, not {outcome}")
            bench.simulator.clock.advance(60)
            again = _again(delivery, outcome)
            if outcome.kind == "unknown" and operation.probe:
                probed = await connector.probe(again)
                expect(probed.kind == "later", f"{what}: it was not done, a probe says {probed}")
            end = await connector.send(again)
            expect(end.kind in _DONE, f"{what}: it ended as {end}")
            expect(bench.done(operation.name) == before + 1, f"{what}: not done once")


CASES = (
    Case("operations_do_each_once", _takes, does_each_once),
    Case("operations_settle_the_unknown", _takes, settles_the_unknown),
    Case("operations_send_what_was_not_done", _takes, sends_what_was_not_done),
)
