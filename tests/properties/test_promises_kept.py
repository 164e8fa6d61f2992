"""Law: whatever buildings report of a reservation, in any order, what is left of it is the same.

And it is what was promised less what all its fulfilments have bound, never below zero.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple

import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutItem
from stockbridge.domain.reservations.keeping import still_open
from stockbridge.domain.world.model import Promised
from stockbridge.engine import Command, Engine
from stockbridge.kernel.accounts import BACKORDERED, RESERVED
from stockbridge.kernel.errors import Refusal
from tests.properties.memory import START, Memory

EXAMPLES = 400
STORE_EXAMPLES = 25
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
STAGES = ("allocated", "deallocated", "picked", "packed", "shipped")
PLACES = st.sampled_from(("W1", "W2"))
SKUS = st.sampled_from(("A", "A", "B"))


class Told(NamedTuple):
    """A building's report, or that it was wrong; `named` says whose promise it keeps."""

    shipment: str
    place: str
    sku: str
    stage: str
    quantity: int
    source: str
    package: str | None
    is_wrong: bool
    named: bool


REPORTS = st.builds(
    Told,
    shipment=st.sampled_from(("S1", "S2", "S3")),
    place=PLACES,
    sku=SKUS,
    stage=st.sampled_from(STAGES),
    quantity=st.integers(1, 5),
    source=st.sampled_from(("wms", "erp")),
    package=st.sampled_from((None, "p")),
    is_wrong=st.sampled_from((False, False, False, True)),
    named=st.sampled_from((True, True, False)),
)


class Story(NamedTuple):
    """Stock, a reservation, and reports of it in two orders."""

    stock: list[tuple[str, str, int]]
    fence: int
    lines: list[tuple[str, int]]
    mode: Any
    told: list[Told]
    again: list[Told]


@st.composite
def stories(draw: st.DrawFn, skus: tuple[str, ...] = ("A", "A", "B", "KIT")) -> Story:
    """Little stock, so that much is backordered, promised elsewhere or bound twice."""
    known = draw(st.lists(REPORTS, min_size=1, max_size=5))
    told = known + [draw(_reported(fact)) for fact in draw(_some(known))]
    repeated = draw(_some(told))
    wanted = st.tuples(st.sampled_from(skus), st.integers(1, 4))
    return Story(
        draw(st.lists(st.tuples(SKUS, PLACES, st.integers(1, 9)), min_size=2, max_size=4)),
        draw(st.integers(0, 2)),
        draw(st.lists(wanted, min_size=1, max_size=3)),
        draw(st.sampled_from(("partial", "backorder", "backorder"))),
        told,
        list(draw(st.permutations(told + repeated))),
    )


def _some(told: list[Told]) -> st.SearchStrategy[list[Told]]:
    return st.lists(st.sampled_from(told), max_size=4)


@st.composite
def _reported(draw: st.DrawFn, fact: Told) -> Told:
    """The same fact as another tells it."""
    other = draw(REPORTS)
    return fact._replace(
        quantity=other.quantity, source=other.source, is_wrong=other.is_wrong, named=other.named
    )


def receipt(number: int, stock: tuple[str, str, int], suffix: str = "") -> c.ReportReceipt:
    """Goods that came in before all."""
    sku, place, units = stock
    lines = [c.ReceiptLine(sku=sku + suffix, quantity=units)]
    order = Document("po", f"PO{number}{suffix}")
    return c.ReportReceipt(document=order, location=place, lines=lines, occurred_at=START)


def body(told: Told, reservation: str, suffix: str = "") -> Any:
    """The report as a command."""
    line = c.QuantityLine(
        sku=told.sku + suffix, quantity=told.quantity, package=told.package, line="1"
    )
    fact = c.ReportShipment(
        shipment=told.shipment + suffix,
        location=told.place,
        stage=told.stage,  # type: ignore[arg-type]
        lines=[line],
        reservation=reservation if told.named else None,
        occurred_at=START + timedelta(hours=1),
        source=told.source,
    )
    return c.ReverseFact(fact=fact, reason="wrong") if told.is_wrong else fact


def _remembered(story: Story, told: list[Told]) -> Any:
    memory = Memory()
    for number, stock in enumerate(story.stock):
        memory.submit(receipt(number, stock))
    memory.submit(c.SetFences("shop", [c.FenceLine("A", "W1", story.fence)]))
    lines = [c.ReserveLine(sku, units) for sku, units in story.lines]
    made = memory.submit(c.ReserveStock("shop", "R", lines, story.mode))
    if isinstance(made, Refusal):
        return None
    world = memory.world
    (number,) = world.reservations
    before = Counter[int]()
    for hold in world.holds_of(number):
        before[hold.item_id] += hold.quantity
    for report in told:
        assert not isinstance(memory.submit(body(report, made[1]["id"])), Refusal)
    open_units = Counter(dict.fromkeys(before, 0))
    for hold in world.holds_of(number):
        assert 0 <= hold.fenced <= hold.quantity
        open_units[hold.item_id] += hold.quantity
    bound = Counter[int]()
    for line in world.fulfilment.values():
        bound[line.item_id] += line.bound if line.reservation_id == number else 0
    assert open_units == {item: max(0, units - bound[item]) for item, units in before.items()}
    holds = sorted((*h.key[1:], h.quantity, h.fenced) for h in world.holds_of(number))
    return memory.balances(), holds, world.reservations[number].state


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
@given(stories())
def test_promises_are_kept_alike_in_any_order(story):
    assert _remembered(story, story.told) == _remembered(story, story.again)


PROMISED = st.builds(
    Promised,
    line_no=st.integers(1, 2), item_id=st.just(1), location_id=st.integers(1, 3),
    account=st.sampled_from((RESERVED, BACKORDERED)), quantity=st.integers(1, 5),
    fenced=st.just(0),
)  # fmt: skip


@given(
    st.lists(PROMISED, max_size=5, unique_by=lambda each: each[:4]),
    st.dictionaries(st.integers(1, 4), st.integers(0, 6)),
    st.randoms(use_true_random=False),
)
def test_bound_units_use_up_promises(promised, bound, chance):
    left = dict(zip(promised, still_open(promised, bound), strict=True))
    total = sum(each.quantity for each in promised)
    assert sum(left.values()) == max(0, total - sum(bound.values()))
    assert all(0 <= units <= each.quantity for each, units in left.items())
    backorders_used = any(
        units < each.quantity for each, units in left.items() if each.account == BACKORDERED
    )
    reserved_left = any(units for each, units in left.items() if each.account == RESERVED)
    assert not (backorders_used and reserved_left)
    chance.shuffle(promised)
    assert dict(zip(promised, still_open(promised, bound), strict=True)) == left


NUMBERS = count()


@settings(
    max_examples=STORE_EXAMPLES,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes a moment
)
@given(
    story=stories(skus=("A", "A", "B")),
    cuts=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_promises_are_kept_alike_through_the_engine(enterprise_of_laws, story, cuts):
    suffixes = [f"-{next(NUMBERS)}" for _ in range(2)]
    ends = []
    for suffix, told, sizes in zip(suffixes, (story.told, story.again), ([1], cuts), strict=True):
        ends.append(asyncio.run(_play(enterprise_of_laws, story, told, sizes, suffix)))
    assert ends[0] == ends[1]


BALANCES = b"""SELECT left(sku, 1), code, available, allocated, picked, reserved, backordered
FROM balance JOIN item USING (item_id) JOIN location USING (location_id)
WHERE sku = ANY (%s) ORDER BY 1, 2"""
HOLDS = b"""SELECT h.line_no, left(i.sku, 1), h.location_id, h.account, h.quantity, r.state
FROM reservation r LEFT JOIN hold h USING (reservation_id) LEFT JOIN item i USING (item_id)
WHERE r.reference = %s ORDER BY 1, 2, 3, 4"""


async def _play(dsn: str, story: Story, told: list[Told], cuts: list[int], suffix: str) -> Any:
    """What is in the store after the reports, submitted in groups of the sizes in `cuts`."""
    skus = ["A" + suffix, "B" + suffix]
    engine = Engine(dsn, workers=1)
    await engine.start()
    try:
        for master in map(PutItem, skus):
            assert (await engine.submit(Command(master))).status < 300
        for number, stock in enumerate(story.stock):
            await engine.submit(Command(receipt(number, stock, suffix)))
        lines = [c.ReserveLine(sku + suffix, units) for sku, units in story.lines]
        order = c.ReserveStock("web", "R" + suffix, lines, story.mode)
        made = await engine.submit(Command(order))
        if made.status != 201:
            return None
        at = 0
        while at < len(told):
            group = told[at : at + cuts[at % len(cuts)]]
            bodies = [body(report, made.document["id"], suffix) for report in group]
            outcomes = await asyncio.gather(
                *(engine.submit(Command(each, "tester")) for each in bodies)
            )
            assert all(outcome.status < 300 for outcome in outcomes), outcomes
            at += len(group)
    finally:
        await engine.stop()
    with psycopg.connect(dsn) as conn:
        holds = conn.execute(HOLDS, ("R" + suffix,)).fetchall()
        balances = conn.execute(BALANCES, (skus,)).fetchall()
    return holds, [row for row in balances if any(row[2:])]
