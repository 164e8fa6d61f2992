"""Law: statements and receipts of supply, corrected and taken back, end alike in any order."""

import asyncio
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple

import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutItem, PutLocation, PutSystem
from stockbridge.domain.ledger.pipeline import STAGES, supplied
from stockbridge.domain.world.model import Report, Stated
from stockbridge.engine import Command, Engine
from stockbridge.kernel.accounts import ACCOUNT_NAMES, IN_TRANSIT, ON_ORDER
from stockbridge.kernel.errors import Refusal
from tests.properties.memory import START, Memory

EXAMPLES = 500
STORE_EXAMPLES = 25
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
SOURCES = st.sampled_from(("erp", "wms", "tms"))


class Told(NamedTuple):
    """One report on one line of a purchase order."""

    kind: str
    minute: int
    quantity: int
    source: str
    sequence: int | None = None
    way: str = "available"
    package: str | None = None
    lot: str | None = None
    is_total: bool = False
    flow: str = ""


FLOWS = st.sampled_from(("", "inbound"))
SEQUENCES = st.none() | st.integers(1, 5)
PLAIN = {
    "way": st.just("available"),
    "package": st.none(),
    "lot": st.none(),
    "is_total": st.just(False),
}
STATEMENTS = st.builds(
    Told,
    kind=st.sampled_from(("on_order", "in_transit")),
    minute=st.integers(0, 9),
    quantity=st.integers(0, 9),
    source=SOURCES,
    sequence=SEQUENCES,
    flow=FLOWS,
    **PLAIN,
)
RECEIPTS = st.builds(
    Told,
    kind=st.sampled_from(("receive", "receive", "receive", "undo")),
    minute=st.integers(0, 9),
    quantity=st.integers(1, 6),
    source=SOURCES,
    sequence=SEQUENCES,
    way=st.sampled_from(("available", "available", "quarantined")),
    package=st.sampled_from((None, "p", "q")),
    lot=st.sampled_from((None, None, "L1")),
    is_total=st.sampled_from((False, False, False, True)),
    flow=FLOWS,
)
COUNTS = st.builds(
    Told,
    kind=st.just("count"),
    minute=st.integers(0, 9),
    quantity=st.integers(0, 9),
    source=st.just("wms"),
    sequence=st.none(),
    **PLAIN,
)
REPORTS = st.one_of(STATEMENTS, STATEMENTS, RECEIPTS, RECEIPTS, RECEIPTS, COUNTS)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Told], list[Told]]:
    """Reports, and the same in another order with some heard again."""
    told = draw(st.lists(REPORTS, min_size=1, max_size=9))
    repeated = draw(st.lists(st.sampled_from(told), max_size=4))
    return told, list(draw(st.permutations(told + repeated)))


def body(told: Told, suffix: str = "") -> Any:
    """The report as a command."""
    stamp: dict[str, Any] = {
        "location": "W1",
        "occurred_at": START + timedelta(minutes=told.minute),
        "source": told.source,
        "sequence": told.sequence,
    }
    line: dict[str, Any] = {"sku": "A" + suffix, "quantity": told.quantity}
    order = Document("po", "PO1" + suffix)
    if told.kind == "count":
        number = f"C{told.minute}{suffix}"
        return c.ReportCount(count=number, lines=[c.CountLine(**line)], **stamp)
    if told.kind in ("on_order", "in_transit"):
        # Goods of different statements are expected at different times.
        expected_at = START + timedelta(days=told.quantity)
        return c.RecordSupply(
            document=order, state=told.kind, lines=[c.SupplyLine(**line)],  # type: ignore[arg-type]
            expected_at=expected_at, **stamp,
        )  # fmt: skip
    is_total = told.is_total and told.kind == "receive"
    line |= {"state": told.way, "package": told.package, "lot": told.lot, "line": "A" + suffix}
    line["quantity_mode"] = "cumulative" if is_total else "increment"
    fact = c.ReportReceipt(document=order, lines=[c.ReceiptLine(**line)], **stamp)
    return c.ReverseFact(fact=fact, reason="wrong") if told.kind == "undo" else fact


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
@given(stories())
def test_supply_commutes(story):
    told, again = map(_remembered, story)
    assert told == again


def _remembered(reports):
    memory = Memory()
    for report in reports:
        assert not isinstance(memory.submit(body(report), flow=report.flow), Refusal)
    world = memory.world
    supplies = {key[-1]: supply for key, supply in world.supplies.items() if supply.quantity}
    lots = {key[-1]: tuple(q[1:5]) for key, q in world.lots_changed.items() if any(q[1:5])}
    (balance,) = memory.balances().values() or [[0] * 8]
    assert supplies.keys() <= {IN_TRANSIT, ON_ORDER}
    assert [supplies[a].quantity if a in supplies else 0 for a in (IN_TRANSIT, ON_ORDER)] == list(
        balance[4:6]
    )
    return tuple(balance), supplies, lots


SAID = st.builds(
    Report,
    track=st.sampled_from((IN_TRANSIT, ON_ORDER)),
    at=st.integers(0, 20),
    units=st.integers(0, 9),
    is_total=st.just(False),
    lot=st.none(),
    stated=st.builds(
        Stated, SOURCES, st.none() | st.integers(1, 4), st.none() | st.integers(0, 3), FLOWS
    ),
)
ARRIVED = st.builds(
    Report,
    track=st.sampled_from(STAGES[:2]),
    at=st.integers(0, 20),
    units=st.integers(0, 5),
    is_total=st.booleans(),
    lot=st.sampled_from((None, "L1", "L2")),
    stated=st.none(),
)


@given(st.lists(SAID | ARRIVED, max_size=8), st.randoms(use_true_random=False))
def test_what_is_open_depends_on_no_order(reports, chance):
    keyed = [(str(number), report) for number, report in enumerate(reports)]
    level = supplied(dict(keyed))
    chance.shuffle(keyed)
    assert supplied(dict(keyed)) == level
    assert min(level) >= 0
    assert supplied(dict(keyed), until=20) == level


NUMBERS = count()


@settings(
    max_examples=STORE_EXAMPLES,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes a moment
)
@given(story=stories(), cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_supply_commutes_through_the_engine(enterprise_of_laws, story, cuts):
    told, again = story
    suffix = f"+{next(NUMBERS)}"
    asyncio.run(_play(enterprise_of_laws, again, cuts, suffix))
    columns = ", ".join(ACCOUNT_NAMES[account] for account in range(1, 9))
    with psycopg.connect(enterprise_of_laws) as conn:
        of_item = "JOIN item USING (item_id) WHERE sku = %s"
        sku = ("A" + suffix,)
        rows = conn.execute(f"SELECT {columns} FROM balance {of_item}".encode(), sku).fetchall()
        supplies = conn.execute(
            f"SELECT account, quantity, expected_at FROM supply {of_item}".encode(), sku
        ).fetchall()
        lots = conn.execute(
            "SELECT lot, available, allocated, picked, quarantined"
            f" FROM lot_balance {of_item}".encode(),
            sku,
        ).fetchall()
    stored = (
        rows[0] if rows else (0,) * 8,
        {row[0]: row[1:] for row in supplies if row[1]},
        {row[0]: row[1:] for row in lots if any(row[1:])},
    )
    assert stored == _remembered(told)


async def _play(dsn: str, reports: list[Told], cuts: list[int], suffix: str) -> None:
    """Submit the reports in groups of the sizes in `cuts`, over and over; a group is a batch."""
    engine = Engine(dsn, workers=1)
    await engine.start()
    try:
        system, place = PutSystem("wms", kind="wms"), PutLocation("W1", authority="wms")
        for master in (system, place, PutItem("A" + suffix)):
            assert (await engine.submit(Command(master))).status < 300
        at = 0
        while at < len(reports):
            group = reports[at : at + cuts[at % len(cuts)]]
            commands = [
                Command(body(report, suffix), "tester", flow=report.flow) for report in group
            ]
            outcomes = await asyncio.gather(*map(engine.submit, commands))
            assert all(outcome.status < 300 for outcome in outcomes), outcomes
            at += len(group)
    finally:
        await engine.stop()
