"""Law: the same facts in any order, any number of times, split in any way, end in one balance."""

import asyncio
from itertools import count

import psycopg
from hypothesis import HealthCheck, given, settings

from stockbridge.contracts.masters import PutItem
from stockbridge.engine import Command, Engine
from stockbridge.kernel.errors import Refusal
from tests.properties.facts import body, stories
from tests.properties.memory import START, Memory

EXAMPLES = 400
STORE_EXAMPLES = 25


@settings(max_examples=EXAMPLES, deadline=None)
@given(stories())
def test_facts_commute(story):
    ends = []
    for facts in story:
        memory = Memory()
        for fact in facts:
            assert not isinstance(memory.submit(body(fact, START)), Refusal)
        ends.append(memory.balances())
    assert ends[0] == ends[1]


NUMBERS = count()


@settings(
    max_examples=STORE_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(stories())
def test_facts_commute_in_the_store(enterprise_of_laws, story):
    told, again = story
    ends = [asyncio.run(_tell(enterprise_of_laws, facts)) for facts in (told, again)]
    assert ends[0] == ends[1]


async def _tell(dsn, facts):
    """Tell all at once, batched as it comes, on items of their own; the balances at the end."""
    suffix = f"-{next(NUMBERS)}"
    engine = Engine(dsn)
    await engine.start()
    for sku in "AB":
        await engine.submit(Command(PutItem(sku + suffix)))
    commands = [Command(body(fact, START, suffix)) for fact in facts]
    outcomes = await asyncio.gather(*map(engine.submit, commands))
    await engine.stop()
    assert all(outcome.status in (200, 201) for outcome in outcomes), outcomes
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "SELECT left(sku, 1), location_id, available, allocated, picked, quarantined,"
            " in_transit FROM balance JOIN item USING (item_id) WHERE sku LIKE %s ORDER BY 1, 2",
            (f"%{suffix}",),
        ).fetchall()
    return [row for row in rows if any(row[2:])]
