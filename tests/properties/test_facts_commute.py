"""Law: the same facts in any order, any number of times, from any mix of systems, split in any
way, with a crash in between, end in one state; and what is missing is known exactly."""

import asyncio
import gc
from itertools import count, permutations

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stockbridge.contracts.events import decode
from stockbridge.contracts.masters import PutItem, PutLocation, PutSystem
from stockbridge.engine import Command, Engine
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.apply import Applier
from stockbridge.engine.inbox.model import Envelope
from stockbridge.engine.inbox.reading import out_of_sequence
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import connect
from tests.properties import facts
from tests.properties.facts_world import Told, body, event, remembered, stored, stories
from tests.properties.memory import START, Memory

EXAMPLES = 400
STORE_EXAMPLES = 15
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
SECONDS_MAX = 60.0


@settings(max_examples=EXAMPLES, deadline=None)
@given(facts.stories())
def test_facts_commute(story):
    ends = []
    for told in story:
        memory = Memory()
        for fact in told:
            assert not isinstance(memory.submit(facts.body(fact, START)), Refusal)
        ends.append(memory.balances())
    assert ends[0] == ends[1]


SHIP = Told("ship", "1", "A", "W1", "picked", quantity=2)
FOUND = {
    "a total of the line, then of a lot of it": (
        SHIP._replace(is_total=True),
        SHIP._replace(is_total=True, lot="L1"),
    ),
    "a late pick of a lot that has left, as far as was known": (
        SHIP._replace(way="shipped", minute=5),
        SHIP._replace(lot="L1"),
    ),
    "a lot that moved before a count": (
        Told("count", "1", "A", "W1", "available", minute=5, quantity=7),
        SHIP._replace(lot="L1", serials=("s1", "s2")),
    ),
    "units named by the report that loses": (
        SHIP._replace(serials=("s1", "s2")),
        SHIP._replace(quantity=1, source="erp", serials=("s3",)),
    ),
    "one parcel at two times, a count between": (
        SHIP._replace(minute=2),
        SHIP._replace(minute=8, source="erp"),
        Told("count", "1", "A", "W1", "picked", minute=5, quantity=2),
    ),
}
"""What Hypothesis once found."""


@pytest.mark.parametrize("name", FOUND)
def test_what_did_not_commute(name):
    first, *others = map(_remembered, permutations(FOUND[name]))
    assert all(other == first for other in others)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
@given(stories())
def test_reports_commute(story):
    told, again = map(_remembered, story)
    assert told == again


def _remembered(reports):
    memory = Memory()
    for report in reports:
        assert not isinstance(memory.submit(body(report, START)), Refusal)
    return remembered(memory.world)


NUMBERS = count()


class Hub:
    """An inbox, its applier and an engine; one life of a process."""

    def __init__(self, dsn: str) -> None:
        self.engine = Engine(dsn)
        self.applier = Applier(dsn, self.engine, decode, lease_seconds=1, tick_seconds=0.05)
        self.inbox = Inbox(dsn, on_accepted=self.applier.offer, grace_seconds=0)

    async def start(self) -> None:
        for part in (self.engine, self.inbox, self.applier):
            await part.start()

    async def stop(self) -> None:
        for part in (self.inbox, self.applier, self.engine):
            await part.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@settings(
    max_examples=STORE_EXAMPLES,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes a second
)
@given(story=stories(), cuts=st.lists(st.integers(1, 5), min_size=1))
def test_reports_commute_through_a_crash(enterprise_of_laws, story, cuts):
    told, again = story
    suffix = f"~{next(NUMBERS)}"
    dsn = enterprise_of_laws
    # One numbering for all: what other systems tell is missing from each one's own.
    numbers = {report: n for n, report in enumerate(dict.fromkeys(told), start=1)}
    envelopes = [_envelope(report, numbers[report], suffix) for report in again]
    crash_at = len(envelopes) // 2
    asyncio.run(_live(dsn, suffix, _batches(envelopes[:crash_at], cuts), crash=True))
    gc.collect()
    asyncio.run(_live(dsn, suffix, _batches(envelopes, cuts), crash=False))
    with psycopg.connect(dsn) as conn:
        assert stored(conn, suffix) == _remembered(told)
    assert asyncio.run(_gaps(dsn, suffix)) == _missing(numbers)


def _envelope(report, number, suffix):
    contract, data = event(report, START, suffix)
    return Envelope(
        report.source, f"{number}{suffix}", suffix, number, f"law{suffix}", None, "law", "law",
        contract, "application/json", data,
    )  # fmt: skip


def _batches(envelopes, cuts):
    """The envelopes in batches of the sizes in `cuts`, over and over."""
    batches: list[list[Envelope]] = []
    at = 0
    while at < len(envelopes):
        size = cuts[len(batches) % len(cuts)]
        batches.append(envelopes[at : at + size])
        at += size
    return batches


async def _live(dsn, suffix, batches, *, crash):
    """Take the batches in; then die at once with all work in flight, or see it through."""
    hub = Hub(dsn)
    await hub.start()
    items = PutItem("A" + suffix), PutItem("B" + suffix)
    for master in (PutSystem("wms", kind="wms"), PutLocation("W1", authority="wms"), *items):
        assert (await hub.engine.submit(Command(master))).status < 300
    for batch in batches:
        await hub.inbox.accept(batch)
    if crash:
        return
    async with asyncio.timeout(SECONDS_MAX), await connect(dsn) as conn:
        statuses = await _settled(conn, suffix)
    await hub.stop()
    assert statuses <= {"applied", "duplicate"}


async def _settled(conn, suffix):
    """The statuses of the example's messages once none is on its way."""
    statement = b"SELECT DISTINCT status FROM message WHERE flow = %s"
    while True:
        cursor = await conn.execute(statement, (suffix,))
        found = {row[0] for row in await cursor.fetchall()}
        if "received" not in found:
            return found
        await asyncio.sleep(0.01)


async def _gaps(dsn, suffix):
    """{system: [missing numbers]} as the inbox tells it."""
    async with await connect(dsn) as conn:
        sources = [s for s in await out_of_sequence(conn) if s["flow"] == suffix]
    return {s["system"]: [n for a, b in s["gaps"] for n in range(a, b + 1)] for s in sources}


def _missing(numbers):
    """{system: [missing numbers]} between the first and the newest of each."""
    heard: dict[str, set[int]] = {}
    for report, number in numbers.items():
        heard.setdefault(report.source, set()).add(number)
    return {s: sorted({*range(min(n), max(n))} - n) for s, n in heard.items()}
