"""Answers of ERPs reach their orders once, whatever breaks between settled and heard."""

import msgspec
import pytest

from stockbridge.engine.inbox.accept import Inbox
from stockbridge.ingress.booked import tell_orders
from stockbridge.outbox.answers import unheard
from stockbridge.store.database import connect

ADD = b"""
INSERT INTO delivery (system, operation, object_key, idempotency_key, payload, state, attempts,
                      reference, code, detail, settled_at)
VALUES ('erp', %s, 'order:web/' || %s, gen_random_uuid(), json_build_object('channel', 'web',
        'number', %s::text), %s, 1, '7', %s, 'said so', now())
"""


class Stopped(Exception):
    """The process ends."""


class Fragile(Inbox):
    """Keeps the messages, then the process ends before anybody hears of it."""

    async def accept(self, envelopes):
        await super().accept(envelopes)
        raise Stopped


@pytest.fixture
async def conn(dsn):
    async with await connect(dsn) as opened:
        await opened.execute(b"INSERT INTO system (code, kind) VALUES ('erp', 'erp')")
        yield opened


async def settle(conn, number, state, code="", operation="book_order"):
    await conn.execute(ADD, (operation, number, number, state, code))


async def messages(conn):
    rows = await conn.execute(b"SELECT body, source_message_id FROM message ORDER BY message_id")
    return [
        (msgspec.json.decode(body), name.split("/")[:2]) for body, name in await rows.fetchall()
    ]


async def test_an_answer_is_one_message_though_the_process_ends(dsn, pool, conn):
    await settle(conn, "W1", "confirmed")
    fragile = Fragile(dsn)
    await fragile.start()
    with pytest.raises(Stopped):
        await tell_orders(pool, fragile)
    await fragile.stop()
    inbox = Inbox(dsn)
    await inbox.start()
    assert await tell_orders(pool, inbox) == 1
    assert await tell_orders(pool, inbox) == 0
    await inbox.stop()
    ((answer, name),) = await messages(conn)
    assert name[0] == "delivery"
    assert answer.pop("occurred_at")
    assert answer == {"channel": "web", "number": "W1", "answer": "accepted", "reference": "7"}


ANSWERS = [
    # state, code, operation, what the order hears
    ("confirmed", "", "book_order", ["accepted"]),
    ("rejected", "user_error", "book_order", ["rejected"]),
    ("rejected", "unknown_product", "book_order", []),
    ("rejected", "operation_not_offered", "book_order", []),
    ("rejected", "user_error", "post_movements", []),
    ("dead", "", "book_order", []),
    ("waiting", "", "book_order", []),
]


@pytest.mark.parametrize("state, code, operation, heard", ANSWERS)
async def test_only_the_erps_own_word_is_told(dsn, pool, conn, state, code, operation, heard):
    await settle(conn, "W1", state, code, operation)
    inbox = Inbox(dsn)
    await inbox.start()
    await tell_orders(pool, inbox)
    await inbox.stop()
    assert [answer["answer"] for answer, _ in await messages(conn)] == heard
    async with conn.transaction():
        assert await unheard(conn, 10) == []


async def test_settled_again_it_is_told_again(dsn, pool, conn):
    await settle(conn, "W1", "rejected", "user_error")
    inbox = Inbox(dsn)
    await inbox.start()
    await tell_orders(pool, inbox)
    await conn.execute(b"UPDATE delivery SET state = 'confirmed', code = '', settled_at = now()")
    await tell_orders(pool, inbox)
    await inbox.stop()
    said = [(answer["answer"], answer.get("reason")) for answer, _ in await messages(conn)]
    assert said == [("rejected", "user_error: said so"), ("accepted", None)]
