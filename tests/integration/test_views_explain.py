"""From a figure back to the movements, after real commands through the engine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from stockbridge.contracts import commands, masters
from stockbridge.contracts.base import Document
from stockbridge.engine import Command, Engine
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import connect
from stockbridge.views.explain import explain, history, movements_page, reservation_read
from stockbridge.views.stock import StockView

DOCUMENT = Document("purchase", "PO-1")


@pytest.fixture
async def engine(dsn):
    running = Engine(dsn, workers=1)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def conn(dsn):
    async with await connect(dsn) as opened:
        yield opened


@pytest.fixture
async def submit(engine):
    async def run(body, expected=(200, 201)):
        outcome = await engine.submit(Command(body, principal="test", correlation_id="corr-1"))
        answer = msgspec.json.decode(outcome.body)
        assert outcome.status in expected, answer
        return answer

    for code in ("A", "B"):
        await run(masters.PutLocation(code))
    for sku in ("BOLT", "NUT"):
        await run(masters.PutItem(sku))
    kit = [masters.KitComponent("BOLT", 2), masters.KitComponent("NUT", 1)]
    await run(masters.PutItem("SET", components=kit))
    await run(masters.PutChannel("WEB", sources=["A", "B"]))
    await receive(run, "A", BOLT=50, NUT=40)
    await receive(run, "B", BOLT=7)
    return run


async def receive(run, location, **lines):
    received = [commands.ReceiptLine(sku=sku, quantity=many) for sku, many in lines.items()]
    document = Document("purchase", f"PO-{location}-{len(lines)}")
    await run(commands.ReportReceipt(document=document, location=location, lines=received))


async def ask(question: Any, *arguments: Any, **options: Any) -> Any:
    """An answer of any type; the asserts say which."""
    return await question(*arguments, **options)


def reserve(sku, quantity, **options):
    return commands.ReserveStock("WEB", "ORDER-1", [commands.ReserveLine(sku, quantity)], **options)


async def test_every_term_and_movement_of_a_figure(submit, conn):
    await submit(masters.PutPolicy("WEB", buffer_units=5, cap=30))
    await submit(reserve("BOLT", 20))
    told = await ask(explain, conn, "WEB", "BOLT")
    assert told["available"] == 30
    assert [(t["name"], t["location"], t["value"], t["total"]) for t in told["terms"]] == [
        ("available", "A", 50, 50),
        ("reserved", "A", -20, 30),
        ("available", "B", 7, 37),
        ("reserved", "B", 0, 37),
        ("buffer_units", None, -5, 32),
        ("cap", None, -2, 30),
    ]
    assert told["terms"][-1]["rule_version"] == f"policy/{told['policy']['version']}"
    here, there = told["stock"]
    assert (here["location"], there["location"]) == ("A", "B")
    assert here["balance"] == here["movements_sum"]
    assert here["agrees"]
    assert there["agrees"]
    assert [(m["kind"], m["quantity"]) for m in here["movements"]] == [
        ("reserve", 20),
        ("receive", 50),
    ]
    assert {m["correlation_id"] for m in here["movements"]} == {"corr-1"}
    assert here["movements"][1]["document"]["number"] == "PO-A-2"


async def test_a_balance_its_movements_do_not_sum_to_is_shown(submit, conn):
    await conn.execute("UPDATE balance SET available = available + 1")
    told = await ask(explain, conn, "WEB", "NUT")
    assert [entry["agrees"] for entry in told["stock"]] == [False]


async def test_a_kit_is_explained_by_its_components(submit, conn, pool, dsn):
    await submit(reserve("SET", 3))
    told = await ask(explain, conn, "WEB", "SET")
    assert (
        told["available"] == 22 == (await ask(StockView(dsn, pool).answer, "WEB", "SET")).available
    )
    assert told["terms"][0]["inputs"]["components"] == [
        {"sku": "BOLT", "units": 2, "free": 44},
        {"sku": "NUT", "units": 1, "free": 37},
    ]
    assert {entry["sku"] for entry in told["stock"]} == {"BOLT", "NUT"}


async def test_movements_page_by_a_cursor(submit, conn):
    for number in range(5):
        await submit(
            commands.AdjustStock(
                adjustment=f"ADJ-{number}",
                location="A",
                reason="FOUND",
                lines=[commands.AdjustLine(sku="BOLT", quantity=1)],
            )
        )
    seen, before = [], None
    while True:
        told = await ask(explain, conn, "WEB", "BOLT", limit=2, before=before)
        here = told["stock"][0]
        seen += [m["movement_id"] for m in here["movements"]]
        if here["next_cursor"] is None:
            break
        before = int(here["next_cursor"])
    assert len(seen) == len(set(seen)) == 6
    assert seen == sorted(seen, key=int, reverse=True)
    listed = await movements_page(conn, limit=100, sku="BOLT", location="A")
    assert [key for key, _ in listed] == seen
    rest = await movements_page(conn, limit=100, sku="BOLT", location="A", before=int(seen[2]))
    assert [key for key, _ in rest] == seen[3:]
    one = await movements_page(conn, limit=9, document="ADJ-3", correlation_id="corr-1")
    assert msgspec.json.decode(one[0][1])["reason"] == "FOUND"
    assert len(one) == 1
    assert await movements_page(conn, limit=9, sku="NONE") == []
    assert await movements_page(conn, limit=9, document="a\0b") == []


async def test_the_past_is_recomputed_from_movements(submit, conn):
    before = datetime.now(UTC)
    await submit(masters.PutPolicy("WEB", buffer_units=5))
    await submit(reserve("BOLT", 20))
    then = await ask(history, conn, "WEB", "BOLT", before)
    now = await ask(history, conn, "WEB", "BOLT", datetime.now(UTC))
    assert (then["available"], now["available"]) == (57, 32)
    assert (then["policy"]["buffer_units"], now["policy"]["buffer_units"]) == (0, 5)
    assert [(b["location"], b["reserved"], b["free"]) for b in now["balances"]] == [
        ("A", 20, 30),
        ("B", 0, 7),
    ]
    never = await ask(history, conn, "WEB", "BOLT", before - timedelta(days=1))
    assert (never["available"], never["balances"]) == (0, [])
    assert (await ask(history, conn, "WEB", "SET", before))["available"] == 25


async def test_a_reservation_reads_as_it_was_answered(submit, conn):
    answered = await submit(reserve("BOLT", 55, mode="partial"))
    read = msgspec.json.decode(
        msgspec.json.encode(await ask(reservation_read, conn, answered["id"]))
    )
    assert read == answered
    kits = await submit(reserve("SET", 2, mode="backorder"))
    assert (
        msgspec.json.decode(msgspec.json.encode(await ask(reservation_read, conn, kits["id"])))
        == kits
    )
    await conn.execute("UPDATE reservation SET expires_at = now() - interval '1 second'")
    assert (await ask(reservation_read, conn, answered["id"]))["state"] == "expired"


@pytest.mark.parametrize("public_id", ["rsv_", "rsv_ffffffffffffffffff", "rsv_12", "12", "rsv_ 1"])
async def test_no_such_reservation(conn, public_id):
    refused = await ask(reservation_read, conn, public_id)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.status) == ("unknown_reservation", 404)


async def test_unknown_names_are_refused(submit, conn):
    now = datetime.now(UTC)
    for asked in [("NONE", "BOLT"), ("WEB", "NONE"), ("WEB", "a\0b")]:
        code = "unknown_channel" if asked[0] == "NONE" else "unknown_sku"
        assert (await ask(explain, conn, *asked)).code == code
        assert (await ask(history, conn, *asked, now)).code == code


async def test_the_view_follows_the_engine(submit, dsn, pool):
    view: Any = StockView(dsn, pool, beat_seconds=0.05)
    await view.start(wait_seconds=10)
    try:
        stream = await view.subscribe("WEB")
        assert (await anext(stream)).sku is None
        await submit(reserve("BOLT", 20))
        heard = [await anext(stream), await anext(stream)]
        assert [(change.sku, change.available) for change in heard] == [("BOLT", 37), ("SET", 15)]
        answer = await view.answer("WEB", "BOLT")
        assert (answer.available, answer.source) == (37, "view")
        assert answer.feed_age_seconds is not None
        stream.close()
    finally:
        await view.stop()
