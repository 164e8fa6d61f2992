"""What a connector that takes figures must keep."""

from collections.abc import Sequence
from typing import Final

import msgspec

from stockbridge.connectors.kit.conformance.bench import (
    IMPATIENT_SECONDS,
    Bench,
    Case,
    Nonconforming,
    expect,
    kinds,
    takes_stock,
)
from stockbridge.connectors.kit.simulator import FaultKind
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Connector, Outcome, StockUpdate
from stockbridge.kernel.errors import Retry

_DONE: Final = ("confirmed", "accepted")
_BEFORE: Final = 5
_HEALED_SECONDS: Final = 60.0


def _compares(manifest: Manifest) -> str | None:
    if manifest.stock is None or manifest.stock.mode != "compare_and_set":
        return "it compares nothing"
    return None


def _many(manifest: Manifest) -> str | None:
    if manifest.stock is None or manifest.stock.rows_max == 1:
        return "it takes one row at once"
    return None


def _rows(bench: Bench, *quantities: int) -> list[StockUpdate]:
    """Rows for fresh items that show five each."""
    return [bench.row(n, quantity, shown=_BEFORE) for n, quantity in enumerate(quantities, 1)]


async def _publish(
    bench: Bench, connector: Connector, rows: Sequence[StockUpdate]
) -> list[Outcome]:
    """Publish in as many calls as the manifest's rows_max asks, then let it take effect."""
    most = bench.manifest.stock.rows_max if bench.manifest.stock else 1
    found: list[Outcome] = []
    for begin in range(0, len(rows), most):
        found += await connector.publish(rows[begin : begin + most])
    bench.simulator.settle()
    return found


async def _observed(
    bench: Bench, connector: Connector, rows: Sequence[StockUpdate]
) -> list[int | None]:
    most = bench.manifest.stock.observe_rows_max if bench.manifest.stock else 1
    found: list[int | None] = []
    for begin in range(0, len(rows), most):
        found += [o.quantity for o in await connector.observe(rows[begin : begin + most])]
    return found


async def publishes(bench: Bench) -> None:
    """Figures that are published are shown, zero too, and read back as they are shown."""
    connector, rows = bench.open(), _rows(bench, 7, 0, 12)
    outcomes = await _publish(bench, connector, rows)
    expect(set(kinds(outcomes)) <= set(_DONE), f"publishing gave {outcomes}")
    expect(bench.shown(rows) == [7, 0, 12], f"the partner shows {bench.shown(rows)}")
    observed = await _observed(bench, connector, rows)
    expect(observed == [7, 0, 12], f"read back {observed}, the partner shows 7, 0, 12")
    if bench.manifest.stock is not None and bench.manifest.stock.is_async:
        expect("confirmed" not in kinds(outcomes), "is_async, but it says confirmed: say accepted")


async def judges_rows_alone(bench: Bench) -> None:
    """A row that is refused is told at its place; the others are shown."""
    connector, rows = bench.open(), _rows(bench, 7, 8, 9)
    bench.simulator.rejected[rows[1].item] = "not_sellable"
    outcomes = await _publish(bench, connector, rows)
    is_async = bench.manifest.stock is not None and bench.manifest.stock.is_async
    told = kinds(outcomes)
    expect(
        told[1] == "rejected" or (is_async and told[1] == "accepted"), f"outcomes are {outcomes}"
    )
    expect(told[0] in _DONE and told[2] in _DONE, f"a bad row spoiled the others: {outcomes}")
    expect(
        told[1] != "rejected" or outcomes[1].code,
        "a refused row has no code: say why it is refused",
    )
    expect(bench.shown(rows) == [7, 5, 9], f"the partner shows {bench.shown(rows)}")


async def keeps_the_order_of_rows(bench: Bench) -> None:
    """Outcomes and figures read come in the order of the rows, whatever the partner answers."""
    connector, rows = bench.open(), list(reversed(_rows(bench, 1, 2, 3)))
    bench.simulator.rejected[rows[0].item] = "not_sellable"
    outcomes = await connector.publish(rows[: bench.manifest.stock.rows_max])  # type: ignore[union-attr]
    bench.simulator.settle()
    if outcomes[0].kind != "accepted":
        expect(outcomes[0].kind == "rejected", f"the first row is bad, outcomes are {outcomes}")
    observed = await _observed(bench, connector, rows)
    expect(observed == bench.shown(rows), f"read back {observed}, not {bench.shown(rows)}")


async def waits_when_throttled(bench: Bench) -> None:
    """Too fast: nothing is done, and the outcome says later and when."""
    connector, rows = bench.open(), _rows(bench, 7)
    bench.simulator.fault("throttle", "publish")
    outcomes = await _publish(bench, connector, rows)
    expect(kinds(outcomes) == ["later"], f"throttled, outcomes are {outcomes}")
    expect((outcomes[0].after_seconds or 0) > 0, "throttled, but it does not say for how long")
    expect(bench.shown(rows) == [_BEFORE], "throttled, but the figure changed")
    await _heals(bench, connector, rows)


async def survives_failures(bench: Bench) -> None:
    """Errors, lost connections and nonsense are never taken for success, and heal."""
    connector, rows = bench.open(), _rows(bench, 7)
    faults: tuple[FaultKind, ...] = ("fail_before", "drop_before", "garbage")
    for fault in faults:
        bench.simulator.fault(fault, "publish")
        outcomes = await _publish(bench, connector, rows)
        expect(
            outcomes[0].kind in ("later", "unknown"), f"{fault} was taken for {outcomes[0].kind}"
        )
    await _heals(bench, connector, rows)


async def doubts_what_it_cannot_know(bench: Bench) -> None:
    """Done, but no answer: the outcome is unknown, reading back finds it, sending again is safe."""
    connector, rows = bench.open(timeout_seconds=IMPATIENT_SECONDS), _rows(bench, 7)
    await _observed(bench, connector, rows)
    faults: tuple[FaultKind, ...] = ("time_out_after", "drop_after", "fail_after")
    for number, fault in enumerate(faults, 2):
        row = msgspec.structs.replace(
            rows[0], quantity=20 + number, version=number, previous=bench.shown(rows)[0]
        )
        await _done_but_unheard(bench, connector, row, fault)


async def _done_but_unheard(
    bench: Bench, connector: Connector, row: StockUpdate, fault: FaultKind
) -> None:
    before = bench.done("publish")
    bench.simulator.fault(fault, "publish")
    outcomes = await connector.publish([row])
    expect(outcomes[0].kind in ("later", "unknown"), f"{fault} was taken for {outcomes[0].kind}")
    await bench.seen(lambda: bench.done("publish") > before, f"the effect of {fault}")
    bench.simulator.settle()
    patient = bench.open()
    observed = await _observed(bench, patient, [row])
    expect(observed == [row.quantity], f"{fault}: it was done, but read back {observed}")
    again = await _publish(bench, patient, [row])
    is_stale = again[0].kind == "later" and again[0].observed == row.quantity
    expect(again[0].kind in _DONE or is_stale, f"{fault}, sent again: {again}")
    expect(bench.shown([row]) == [row.quantity], "sending the same figure again changed it")
    if bench.manifest.stock is not None and bench.manifest.stock.idempotent:
        is_once = bench.done("publish") == before + 1
        expect(is_once, f"{fault}: the manifest says idempotent, but it was done twice")


async def notices_what_was_not_applied(bench: Bench) -> None:
    """Taken but not applied: reading back shows the old figure."""
    connector, rows = bench.open(), _rows(bench, 7)
    bench.simulator.unapplied_share = 1.0
    outcomes = await _publish(bench, connector, rows)
    expect(outcomes[0].kind in _DONE, f"outcomes are {outcomes}")
    observed = await _observed(bench, connector, rows)
    expect(observed == [_BEFORE], f"read back {observed}, the partner still shows {_BEFORE}")
    # Another version is another payload: under the old key the old answer would come again.
    await _heals(bench, connector, [msgspec.structs.replace(row, version=2) for row in rows])


async def compares_before_it_sets(bench: Bench) -> None:
    """The partner sold in between: nothing is overwritten, the outcome tells what it shows."""
    connector, rows = bench.open(), _rows(bench, 7)
    bench.simulator.order({rows[0].sku: 2})
    outcomes = await _publish(bench, connector, rows)
    expect(
        outcomes[0].kind == "later" and outcomes[0].observed == _BEFORE - 2,
        f"the partner sold 2 of {_BEFORE}, outcomes are {outcomes}: say later with observed",
    )
    expect(bench.shown(rows) == [_BEFORE - 2], "a sale of the partner was overwritten")
    row = msgspec.structs.replace(rows[0], quantity=6, version=2, previous=_BEFORE - 2)
    outcomes = await _publish(bench, connector, [row])
    expect(outcomes[0].kind in _DONE, f"with the right figure before: {outcomes}")
    expect(bench.shown([row]) == [6], f"the partner shows {bench.shown([row])}")


async def knows_what_is_not_listed(bench: Bench) -> None:
    """An item the partner does not list reads as None and is refused, the one beside it not."""
    connector, rows = bench.open(), _rows(bench, 7)
    unlisted = bench.simulator.unlisted()
    stranger = StockUpdate(
        99, "STRANGER", unlisted.item, unlisted.location, 3, 1, attributes=unlisted.attributes
    )
    observed = await _observed(bench, connector, [stranger, rows[0]])
    expect(observed == [None, _BEFORE], f"read back {observed} for a stranger and a listed item")
    outcomes = await _publish(bench, connector, [stranger, rows[0]])
    expect(outcomes[0].kind in ("rejected", "accepted"), f"a stranger gave {outcomes[0]}")
    expect(bench.shown(rows) == [7], f"the listed item shows {bench.shown(rows)}")


async def tells_that_reading_failed(bench: Bench) -> None:
    """A read that fails is no figure: it raises Retry."""
    connector, rows = bench.open(), _rows(bench, 7)
    faults: tuple[FaultKind, ...] = ("throttle", "fail_before", "garbage")
    for fault in faults:
        bench.simulator.fault(fault, "observe")
        try:
            figures = await _observed(bench, connector, rows)
        except Retry:
            continue
        raise Nonconforming(f"{fault} while reading back gave {figures}: raise Retry")


async def _heals(bench: Bench, connector: Connector, rows: Sequence[StockUpdate]) -> None:
    """Once nothing is wrong any more, publishing works."""
    bench.simulator.heal()
    bench.simulator.clock.advance(_HEALED_SECONDS)
    outcomes = await _publish(bench, connector, rows)
    is_stale = outcomes[0].kind == "later" and outcomes[0].observed == rows[0].quantity
    expect(outcomes[0].kind in _DONE or is_stale, f"after it healed: {outcomes}")
    wanted = [row.quantity for row in rows]
    expect(bench.shown(rows) == wanted, f"after it healed it shows {bench.shown(rows)}")


CASES = (
    Case("stock_publishes", takes_stock, publishes),
    Case("stock_judges_rows_alone", takes_stock, judges_rows_alone),
    Case("stock_keeps_the_order_of_rows", _many, keeps_the_order_of_rows),
    Case("stock_waits_when_throttled", takes_stock, waits_when_throttled),
    Case("stock_survives_failures", takes_stock, survives_failures),
    Case("stock_doubts_what_it_cannot_know", takes_stock, doubts_what_it_cannot_know),
    Case("stock_notices_what_was_not_applied", takes_stock, notices_what_was_not_applied),
    Case("stock_compares_before_it_sets", _compares, compares_before_it_sets),
    Case("stock_knows_what_is_not_listed", takes_stock, knows_what_is_not_listed),
    Case("stock_tells_that_reading_failed", takes_stock, tells_that_reading_failed),
)
