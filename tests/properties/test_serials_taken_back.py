"""Law: a serial number is where the newest fact that stands has left it, in whatever order."""

import asyncio
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple

import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutItem
from stockbridge.engine import Command, Engine
from stockbridge.kernel.accounts import AVAILABLE, CUSTOMER, PICKED
from stockbridge.kernel.errors import Refusal
from tests.properties.memory import START, Memory

EXAMPLES = 300
STORE_EXAMPLES = 20
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
LEFT_IN = {"received": AVAILABLE, "picked": PICKED, "shipped": CUSTOMER}


class Told(NamedTuple):
    """One unit that was received, picked or shipped, or that this was wrong."""

    way: str
    number: str
    place: str
    minute: int
    serial: str
    source: str
    is_wrong: bool

    @property
    def fact(self) -> tuple[str, str, str]:
        """What makes it the fact it is."""
        return self[:3]


REPORTS = st.builds(
    Told,
    way=st.sampled_from(tuple(LEFT_IN)),
    number=st.sampled_from("12"),
    place=st.sampled_from(("W1", "W2")),
    minute=st.integers(0, 5),
    serial=st.sampled_from(("s1", "s2")),
    source=st.sampled_from(("wms", "erp")),
    is_wrong=st.sampled_from((False, False, True)),
)


def body(told: Told, suffix: str = "") -> Any:
    """The report as a command."""
    stamp: dict[str, Any] = {
        "location": told.place,
        "occurred_at": START + timedelta(minutes=told.minute),
        "source": told.source,
    }
    line: dict[str, Any] = {"sku": "A" + suffix, "quantity": 1, "line": "1"}
    line["serials"] = [told.serial]
    number = told.number + suffix
    fact: Any
    if told.way == "received":
        order = Document("po", number)
        fact = c.ReportReceipt(document=order, lines=[c.ReceiptLine(**line)], **stamp)
    else:
        stage: Any = told.way
        lines = [c.QuantityLine(**line)]
        fact = c.ReportShipment(shipment=number, stage=stage, lines=lines, **stamp)
    return c.ReverseFact(fact=fact, reason="wrong") if told.is_wrong else fact


def expected(reports: list[Told]) -> dict[str, tuple[int, str]]:
    """{serial: (account, place)} of the newest report of a fact nobody took back."""
    wrong = {told.fact for told in reports if told.is_wrong}
    seen = sorted(
        (told.minute, LEFT_IN[told.way], told.place, told.serial)
        for told in reports
        if told.fact not in wrong
    )
    return {serial: (account, place) for _, account, place, serial in seen}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
@given(st.lists(REPORTS, max_size=8))
def test_serials_are_where_what_stands_left_them(reports):
    memory = Memory()
    for report in reports:
        assert not isinstance(memory.submit(body(report)), Refusal)
    places = {1: "W1", 2: "W2"}
    found = {
        serial: (place.account, places[place.location_id])
        for (_, serial), place in memory.world.serials_changed.items()
    }
    assert found == expected(reports)


NUMBERS = count()


@settings(
    max_examples=STORE_EXAMPLES,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes a moment
)
@given(
    reports=st.lists(REPORTS, min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_the_store_has_them_there_too(enterprise_of_laws, reports, cuts):
    suffix = f"={next(NUMBERS)}"
    asyncio.run(_play(enterprise_of_laws, reports, cuts, suffix))
    with psycopg.connect(enterprise_of_laws) as conn:
        rows = conn.execute(
            "SELECT serial, account, code FROM serial_unit JOIN item USING (item_id)"
            " JOIN location USING (location_id) WHERE sku = %s",
            ("A" + suffix,),
        ).fetchall()
    assert {serial: (account, place) for serial, account, place in rows} == expected(reports)


async def _play(dsn: str, reports: list[Told], cuts: list[int], suffix: str) -> None:
    """Submit the reports in groups of the sizes in `cuts`, over and over."""
    engine = Engine(dsn, workers=1)
    await engine.start()
    try:
        assert (await engine.submit(Command(PutItem("A" + suffix)))).status < 300
        at = 0
        while at < len(reports):
            group = reports[at : at + cuts[at % len(cuts)]]
            commands = [Command(body(report, suffix), "tester") for report in group]
            outcomes = await asyncio.gather(*map(engine.submit, commands))
            assert all(outcome.status < 300 for outcome in outcomes), outcomes
            at += len(group)
    finally:
        await engine.stop()
