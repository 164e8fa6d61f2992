"""Bytes are kept before anything else; repeats are counted, contradictions kept aside."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from stockbridge.engine.inbox import forgetting, rules
from stockbridge.engine.inbox.accept import Inbox
from stockbridge.engine.inbox.model import Accepted
from stockbridge.kernel.errors import Retry
from stockbridge.store.database import connect
from tests.integration.inbox_desk import desk, envelope, fact


async def test_bytes_and_envelope_are_kept_as_they_came(dsn):
    bodies = [b"", b"\0\xff\\x", b'{"a": "\\u0000"}', bytes(range(256)) * 40, b"x" * 900_000]
    async with desk(dsn, applying=False) as it:
        sent = [envelope(f'id "{n}" \\ {{x}}', body) for n, body in enumerate(bodies)]
        accepted = await it.send(*sent)
        assert [each.status for each in accepted] == ["received"] * len(bodies)
        for each, (kept_id, kept_hash, body) in zip(
            sent,
            await it.rows(
                "SELECT source_message_id, content_hash, body FROM message ORDER BY message_id"
            ),
            strict=True,
        ):
            assert (kept_id, bytes(body)) == (each.source_message_id, each.body)
            assert bytes(kept_hash) == sha256(each.body).digest()


async def test_a_repeat_is_counted_and_applied_once(dsn):
    async with desk(dsn) as it:
        first = await it.send(envelope("m1"))
        again = [(await it.send(envelope("m1")))[0] for _ in range(3)]
        both = await it.send(envelope("m1"), envelope("m2"), envelope("m2"))
        assert first[0].status == "received"
        assert {each.status for each in again} == {"duplicate"}
        assert {each.message_id for each in again} == {first[0].message_id}
        assert [each.status for each in both] == ["duplicate", "received", "duplicate"]
        assert both[1].message_id == both[2].message_id
        assert await it.settle() == {"applied": 2}
        seen = "SELECT times_seen FROM message_identity WHERE message_id = %s"
        assert await it.one(seen, first[0].message_id) == 5
        assert await it.one(seen, both[1].message_id) == 2
        assert await it.available() == 10


@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one batch"])
async def test_another_content_under_one_id_is_kept_aside(dsn, together):
    good, other = envelope("m1"), envelope("m1", fact("PO-X", quantity=7))
    async with desk(dsn) as it:
        if together:
            first, second = await it.send(good, other)
        else:
            first, second = (await it.send(good))[0], (await it.send(other))[0]
        assert (first.status, second.status) == ("received", "conflict")
        third = (await it.send(other))[0]
        assert third == second
        await it.settle()
        assert await it.status(second.message_id) == ("rejected", "content_conflict")
        assert await it.available() == 5
        cases = await it.rows("SELECT kind, subject, cause FROM exception")
        assert [case[:2] for case in cases] == [("message_conflict", "wms/m1")]
        assert str(first.message_id) in cases[0][2]
        assert str(second.message_id) in cases[0][2]
        seen = "SELECT times_seen FROM message_identity WHERE message_id = %s"
        assert await it.one(seen, first.message_id) == 1
        assert await it.one(seen, second.message_id) == 2


async def test_repeats_in_a_batch_of_contradictions_are_counted_exactly(dsn):
    stored, other = envelope("m1"), envelope("m1", b"{}")
    async with desk(dsn, applying=False) as it:
        first = (await it.send(stored))[0]
        found = await it.send(other, stored, stored)
        assert [each.status for each in found] == ["conflict", "duplicate", "duplicate"]
        seen = "SELECT times_seen FROM message_identity WHERE message_id = %s"
        assert await it.one(seen, first.message_id) == 3


async def test_the_same_id_of_two_systems_is_two_messages(dsn):
    async with desk(dsn, applying=False) as it:
        found = await it.send(envelope("m1"), envelope("m1", b"{}", system="erp"))
        assert [each.status for each in found] == ["received", "received"]


async def test_many_callers_share_transactions(dsn):
    async with desk(dsn, applying=False) as it:
        messages = [envelope(f"m{n}") for n in range(5_000)]
        random.Random(7).shuffle(messages)
        parts = [messages[at : at + 50] for at in range(0, 5_000, 50)]
        answers = await asyncio.gather(*(it.inbox.accept(part) for part in parts))
        ids = [each.message_id for part in answers for each in part]
        assert len(set(ids)) == 5_000
        kept = dict(await it.rows("SELECT message_id, source_message_id FROM message"))
        assert [kept[i] for i in ids] == [each.source_message_id for each in messages]
        assert await it.one("SELECT count(DISTINCT received_at) FROM message") < 50


@pytest.mark.parametrize(
    "change,message",
    [
        ({"body": b"x" * (rules.BODY_BYTES_MAX + 1)}, "1,048,577 bytes"),
        ({"system": ""}, "needs its system"),
        ({"source_message_id": "a\0b"}, "source_message_id: contains a NUL"),
        ({"flow": "x" * 513}, "flow: has 513 characters"),
        ({"contract": "\ud800"}, "contract: is not text"),
        ({"sequence": -1}, "sequence: -1"),
        ({"sequence": 2**63}, "sequence: 9223372036854775808"),
    ],
)
async def test_an_envelope_that_cannot_be_kept_is_refused_whole(dsn, change, message):
    bad = envelope("m2")._replace(**change)
    refusal = rules.refusal_of(bad)
    assert refusal is not None
    assert message in refusal.detail
    assert refusal.status == (413 if "body" in change else 422)
    async with desk(dsn, applying=False) as it:
        with pytest.raises(ValueError, match=message):
            await it.send(envelope("m1"), bad)
        assert await it.one("SELECT count(*) FROM message") == 0


async def test_a_full_queue_asks_senders_to_try_again(dsn):
    inbox = Inbox(dsn)
    await inbox.start()
    big = [envelope(f"m{n}", b"x" * 700_000) for n in range(90)]
    first = asyncio.create_task(inbox.accept(big))
    await asyncio.sleep(0)
    with pytest.raises(Retry, match="90 messages wait already"):
        await inbox.accept(big)
    assert {each.status for each in await first} == {"received"}
    await inbox.stop()
    with pytest.raises(Retry, match="stopping"):
        await inbox.accept(big)


async def test_an_identity_is_forgotten_when_it_was_not_seen_for_long(dsn):
    long_ago = "UPDATE message_identity SET seen_at = now() - interval '91 days' RETURNING 1"
    async with desk(dsn) as it:
        first = await it.send(*(envelope(f"m{n}") for n in range(300)))
        await it.settle()
        assert len(await it.rows(long_ago)) == 300
        (again,) = await it.send(envelope("m7"))
        assert again == Accepted(first[7].message_id, "duplicate")
        async with await connect(dsn) as conn:
            before = datetime.now(UTC) - timedelta(days=90)
            assert await forgetting.forget(conn, before - timedelta(days=2)) == 0
            assert await forgetting.forget(conn, before, blocks=1) == 299
        # What is known still is m7, which came again; others are new, and move nothing twice.
        known, fresh = await it.send(envelope("m7"), envelope("m8"))
        assert (known.status, fresh.status) == ("duplicate", "received")
        assert fresh.message_id > first[-1].message_id
        assert await it.settle() == {"applied": 300, "duplicate": 1}
        assert await it.available() == 1_500
