"""Laws of the inbox: gap lists are exact, bytes are never lost, nothing that comes breaks it."""

import asyncio
from collections.abc import Sequence
from itertools import count, pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockbridge.contracts.catalog import Catalog
from stockbridge.contracts.events import EVENT_TYPES
from stockbridge.engine import Engine
from stockbridge.engine.inbox.accept import SQL, Inbox, keep
from stockbridge.engine.inbox.apply import Applier
from stockbridge.engine.inbox.model import Envelope
from stockbridge.engine.inbox.reading import out_of_sequence
from stockbridge.engine.inbox.rules import SEQUENCE_MAX, refusal_of
from stockbridge.store.database import connect

QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
SOURCES = count()


def numbered(source: str, message_id: str, sequence: int, body: bytes = b"") -> Envelope:
    return Envelope(
        source,
        message_id,
        "flow",
        sequence,
        "law",
        None,
        "law",
        "law",
        "law.v1",
        "text/plain",
        body,
    )


# Sequences ------------------------------------------------------------------------------------
def split(numbers: list[int], cuts: list[int]) -> list[list[int]]:
    places = [0, *sorted(min(cut, len(numbers)) for cut in cuts), len(numbers)]
    return [numbers[a:b] for a, b in pairwise(places) if b > a]


def model(numbers: Sequence[int]) -> tuple[list[list[int]], int, int]:
    """Gaps, late and repeated numbers of an arrival, one by one."""
    seen: set[int] = set()
    late = repeated = 0
    for number in numbers:
        if number in seen:
            repeated += 1
        elif seen and number < max(seen):
            late += 1
        seen.add(number)
    gaps: list[list[int]] = []
    known = sorted(seen)
    for low, high in pairwise(known):
        if high > low + 1:
            gaps.append([low + 1, high - 1])
    return gaps, late, repeated


NUMBERS = st.one_of(st.integers(0, 30), st.integers(0, SEQUENCE_MAX - 1))
ARRIVALS = st.lists(NUMBERS, min_size=1, max_size=60).flatmap(
    lambda numbers: st.permutations(numbers + numbers[: len(numbers) // 4])
)


@settings(max_examples=80, deadline=None, suppress_health_check=QUIET)
@given(numbers=ARRIVALS, cuts=st.lists(st.integers(0, 75), max_size=6))
def test_the_gap_list_is_exact_in_any_order_and_split(enterprise_of_laws, numbers, cuts):
    source = f"seq-{next(SOURCES)}"
    told = asyncio.run(_sequence(enterprise_of_laws, source, split(numbers, cuts)))
    assert (told["gaps"], told["late"], told["repeated"]) == model(numbers)
    assert (told["first"], told["newest"]) == (min(numbers), max(numbers))


async def _sequence(dsn: str, source: str, batches: list[list[int]]) -> dict:
    async with await connect(dsn) as conn:
        rows = await (await conn.execute(SQL.next_inbox_batch, {"count": len(batches)})).fetchall()
        for (first_id,), batch in zip(rows, batches, strict=True):
            sent = [numbered(source, f"{first_id}-{n}", each) for n, each in enumerate(batch)]
            await keep(conn, sent, first_id, 60)
        (told,) = await out_of_sequence(conn, source)
        return told


# Identity -------------------------------------------------------------------------------------
ARRIVING = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y"])), max_size=25)


@settings(max_examples=80, deadline=None, suppress_health_check=QUIET)
@given(arriving=ARRIVING, cuts=st.lists(st.integers(0, 25), max_size=5))
def test_the_first_content_stands_however_it_is_split(enterprise_of_laws, arriving, cuts):
    """Of each id the first content is new, equal ones are counted, each other is kept once."""
    source = f"id-{next(SOURCES)}"
    places = split(list(range(len(arriving))), cuts)
    batches = [[arriving[at] for at in part] for part in places]
    statuses, kept = asyncio.run(_identities(enterprise_of_laws, source, batches))
    first: dict[str, str] = {}
    wanted = []
    for name, body in arriving:
        new = name not in first
        first.setdefault(name, body)
        same = first[name] == body
        wanted.append("received" if new else "duplicate" if same else "conflict")
    assert statuses == wanted
    times = {(n, b): sum(each == (n, b) for each in arriving) for n, b in set(arriving)}
    assert kept == {
        (name, body, "received" if first[name] == body else "rejected"): seen
        for (name, body), seen in times.items()
    }


async def _identities(dsn: str, source: str, batches: list[list[tuple[str, str]]]) -> tuple:
    statuses: list[str] = []
    async with await connect(dsn) as conn:
        rows = await (await conn.execute(SQL.next_inbox_batch, {"count": len(batches)})).fetchall()
        for (first_id,), batch in zip(rows, batches, strict=True):
            sent = [numbered(source, name, 1, body.encode()) for name, body in batch]
            accepted, _ = await keep(conn, sent, first_id, 60)
            statuses += [each.status for each in accepted]
        found = await conn.execute(
            b"SELECT source_message_id, convert_from(body, 'UTF8'), status, times_seen"
            b" FROM message JOIN message_identity USING (message_id) WHERE system = %s",
            (source,),
        )
        return statuses, {row[:3]: row[3] for row in await found.fetchall()}


# Anything at all ------------------------------------------------------------------------------
TEXTS = st.text(max_size=40)
CONTRACTS = st.one_of(TEXTS, st.sampled_from([each.contract for each in EVENT_TYPES]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
).map(lambda value: repr(value).replace("'", '"').encode("utf-8", "surrogatepass"))
FACTS = st.builds(
    lambda sku, place, quantity, moment, number: (
        f'{{"sku": "{sku}", "location": "{place}", "quantity": {quantity},'
        f' "occurred_at": "{moment}", "document": {{"type": "po", "number": "{number}"}}}}'
    ).encode("utf-8", "replace"),
    st.sampled_from(["A", "B", "nowhere", ""]) | TEXTS,
    st.sampled_from(["W1", "NOWHERE"]),
    st.sampled_from([1, 0, -5, 10**15, 10**30]),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    TEXTS,
)
ENVELOPES = st.builds(
    Envelope,
    system=TEXTS,
    source_message_id=TEXTS,
    flow=TEXTS,
    sequence=st.none() | st.integers(-5, 2**64),
    correlation_id=TEXTS,
    causation_id=st.none() | TEXTS,
    principal=TEXTS,
    door=TEXTS,
    contract=CONTRACTS,
    content_type=st.sampled_from(["application/json", "application/cloudevents+json"]) | TEXTS,
    body=st.one_of(st.binary(max_size=300), JSON, FACTS),
)


@settings(max_examples=25, deadline=None, suppress_health_check=QUIET)
@given(envelopes=st.lists(ENVELOPES, min_size=1, max_size=30))
def test_whatever_comes_is_kept_and_settled(enterprise_of_laws, envelopes):
    run = f"fuzz-{next(SOURCES)}-"
    fit = [
        each._replace(source_message_id=run + each.source_message_id)
        for each in envelopes
        if refusal_of(each) is None
    ]
    asyncio.run(_take(enterprise_of_laws, run, fit))


async def _take(dsn: str, run: str, envelopes: list[Envelope]) -> None:
    engine = Engine(dsn)
    applier = Applier(dsn, engine, Catalog().decode, tick_seconds=0.05)
    inbox = Inbox(dsn, on_accepted=applier.offer)
    await engine.start()
    await applier.start()
    await inbox.start()
    try:
        accepted = await inbox.accept(envelopes)
        while applier.depth:  # noqa: ASYNC110 - only its depth tells
            await asyncio.sleep(0.01)
        async with await connect(dsn) as conn:
            query = (
                b"SELECT message_id, system, source_message_id, body, status FROM message"
                b" WHERE starts_with(source_message_id, %s)"
            )
            kept = {row[0]: row[1:] for row in await (await conn.execute(query, (run,))).fetchall()}
        for envelope, answer in zip(envelopes, accepted, strict=True):
            system, source_id, body, status = kept[answer.message_id]
            assert (system, source_id) == (envelope.system, envelope.source_message_id)
            assert bytes(body) == envelope.body
            assert status in {"applied", "duplicate", "parked", "rejected"}
    finally:
        await inbox.stop()
        await applier.stop()
        await engine.stop()
