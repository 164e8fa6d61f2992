"""Stored messages become commands, their outcomes statuses; bad ones harm only themselves."""

import asyncio
import json
import multiprocessing
import os
import signal

import pytest

from stockbridge.contracts.commands import AdjustLine, AdjustStock
from stockbridge.contracts.events import decode
from stockbridge.engine import Command
from tests.integration.inbox_desk import COUNTED, ORDERED, SHIPPED, desk, envelope, fact


async def test_a_fact_is_applied_and_its_movement_names_the_message(dsn):
    async with desk(dsn) as it:
        (accepted,) = await it.send(envelope("m1", correlation_id="why"))
        await it.settle()
        assert await it.status(accepted.message_id) == ("applied", None)
        moved = await it.rows("SELECT message_id, correlation_id, quantity FROM movement")
        assert moved == [(str(accepted.message_id), "why", 5)]
        row = await it.rows("SELECT attempts, settled_at IS NOT NULL FROM message")
        assert row == [(1, True)]


async def test_two_systems_reporting_one_fact_move_it_once(dsn):
    async with desk(dsn) as it:
        same = fact("PO-1")
        await it.send(envelope("a", same))
        await it.settle()
        (second,) = await it.send(envelope("b", same, system="erp"))
        assert await it.settle() == {"applied": 1, "duplicate": 1}
        assert await it.status(second.message_id) == ("duplicate", None)
        assert await it.available() == 5


async def test_a_message_of_many_facts_is_applied_when_all_are(dsn):
    async with desk(dsn) as it:
        rows = [fact(f"PO-{n}", quantity=1) for n in range(40)]
        (whole,) = await it.send(envelope("m1", rows))
        (some,) = await it.send(envelope("m2", [fact("PO-50"), fact("PO-51", sku="LATER")]))
        await it.settle()
        assert await it.status(whole.message_id) == ("applied", None)
        assert await it.status(some.message_id) == ("parked", "unknown_sku")
        assert await it.available() == 45


BAD = {
    "no JSON": (b"{", "malformed_json"),
    "nothing": (b"", "malformed_json"),
    "bytes": (b"\xff\xfe\0", "malformed_json"),
    "a wrong type": (fact("PO-1", quantity="many"), "invalid_event"),
    "an unknown field": (fact("PO-1", colour="red"), "invalid_event"),
    "no fact": ([], "no_events"),
    "a NUL": (fact("PO\0-1"), "invalid_event"),
    "a time to come": (fact("PO-1", occurred_at="2150-01-01T00:00:00Z"), "occurred_in_future"),
    "an unknown unit": (fact("PO-1", uom="BOX"), "unknown_uom"),
}


async def test_bad_messages_among_good_ones_are_rejected_with_the_reason(dsn):
    async with desk(dsn) as it:
        mixed = []
        for n, (body, _) in enumerate(BAD.values()):
            mixed += [envelope(f"good-{n}"), envelope(f"bad-{n}", body)]
        accepted = await it.send(*mixed)
        assert await it.settle() == {"applied": len(BAD), "rejected": len(BAD)}
        found = [await it.status(each.message_id) for each in accepted[1::2]]
        assert found == [("rejected", code) for _, code in BAD.values()]
        assert await it.available() == 5 * len(BAD)
        kinds = await it.rows("SELECT DISTINCT kind, owner_team FROM exception")
        assert kinds == [("message_rejected", "operations")]


async def test_a_defect_is_tried_again_then_left_to_an_owner(dsn):
    def breaking(contract, content_type, body):
        if b"poison" in body:
            raise ZeroDivisionError("a defect")
        return decode(contract, content_type, body)

    async with desk(dsn, decode_with=breaking) as it:
        bad, good = await it.send(envelope("bad", b"poison"), envelope("good"))
        found = await it.settle()
        assert found == {"dead": 1, "applied": 1}
        assert await it.status(bad.message_id) == ("dead", "internal_error")
        assert await it.status(good.message_id) == ("applied", None)
        assert await it.one("SELECT max(attempts) FROM message") == 3
        cases = await it.rows("SELECT kind, owner_team FROM exception")
        assert cases == [("message_dead", "engineering")]


async def test_a_command_that_breaks_the_engine_ends_dead_and_the_rest_is_applied(dsn):
    nul = AdjustStock(
        adjustment="A\0", location="W1", reason="FOUND", lines=[AdjustLine(sku="A", quantity=1)]
    )

    def breaking(contract, content_type, body):
        return [nul] if body == b"{}" else decode(contract, content_type, body)

    async with desk(dsn, decode_with=breaking) as it:
        accepted = await it.send(envelope("bad", b"{}"), *(envelope(f"m{n}") for n in range(20)))
        await it.settle()
        assert (await it.status(accepted[0].message_id))[0] == "dead"
        assert await it.available() == 100


async def test_a_number_counts_in_the_flow_of_its_message(dsn):
    newer = {"quantity": 10, "occurred_at": "2026-11-20T10:00:00Z", "sequence": 5}
    older = {"quantity": 6, "occurred_at": "2026-11-20T09:00:00Z", "sequence": 6}
    async with desk(dsn) as it:
        for number, flow, on_order in (("PO1", "changes", 10), ("PO2", "orders", 6)):
            await it.send(
                envelope(f"{number}-1", fact(number) | newer, contract=ORDERED, flow="orders"),
                envelope(f"{number}-2", fact(number) | older, contract=ORDERED, flow=flow),
            )
            assert await it.settle() == {"applied": 2 if number == "PO1" else 4}
            open_now = (
                f"SELECT sum(quantity)::bigint FROM supply WHERE document_number = '{number}'"
            )
            assert await it.one(open_now) == on_order


async def test_what_applying_stopped_before_is_found_in_the_store(dsn):
    async with desk(dsn, applying=False, grace_seconds=1) as it:
        await it.send(*(envelope(f"m{n}") for n in range(300)))
        assert await it.available() == 0
        await it.applier.start()
        assert await it.settle() == {"applied": 300}
        assert await it.available() == 1_500


def _accept_and_die(dsn: str, wait: float) -> None:
    async def work() -> None:
        async with desk(dsn, applying=wait > 0, grace_seconds=1) as it:
            await it.send(*(envelope(f"m{n}") for n in range(2_000)))
            await asyncio.sleep(wait)
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(work())


@pytest.mark.parametrize("wait", [0.0, 0.05, 0.3], ids=["before applying", "early", "later"])
async def test_a_killed_process_loses_nothing_and_books_nothing_twice(dsn, wait):
    process = multiprocessing.get_context("spawn").Process(target=_accept_and_die, args=(dsn, wait))
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == -signal.SIGKILL
    async with desk(dsn, grace_seconds=1) as it:
        assert await it.settle(seconds=40) == {"applied": 2_000}
        assert await it.available() == 10_000
        assert await it.one("SELECT count(*) FROM movement") == 2_000


async def test_two_nodes_share_what_is_due_and_book_it_once(dsn):
    async with desk(dsn, applying=False, grace_seconds=0) as one:
        await one.send(*(envelope(f"m{n}") for n in range(3_000)))
        async with desk(dsn, applying=False) as other:
            await asyncio.gather(one.applier.start(), other.applier.start())
            assert await one.settle(seconds=40) == {"applied": 3_000}
        assert await one.available() == 15_000
        assert await one.one("SELECT count(*) FROM movement") == 3_000


async def test_a_restarted_database_connection_is_survived(dsn):
    async with desk(dsn) as it:
        await it.send(envelope("m1"))
        await it.settle()
        cut = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'stockbridge %%'"
        )
        assert await it.one(cut) >= 5
        await it.send(*(envelope(f"n{n}") for n in range(50)))
        assert await it.settle() == {"applied": 51}
        await it.send(envelope("last", fact("C-1", quantity=7), contract=COUNTED))
        await it.settle()
        assert it.applier.is_running


async def test_a_conflicting_report_is_applied_with_its_exception(dsn):
    async with desk(dsn) as it:
        await it.send(envelope("a", fact("PO-1", quantity=5)))
        await it.settle()
        (second,) = await it.send(envelope("b", fact("PO-1", quantity=6), system="erp"))
        await it.settle()
        assert (await it.status(second.message_id))[0] == "applied"
        assert await it.one("SELECT count(*) FROM exception") == 1


async def test_the_same_command_by_another_way_makes_the_message_a_duplicate(dsn):
    async with desk(dsn) as it:
        bodies = decode(SHIPPED, "application/json", json.dumps(fact("S-1")).encode())
        assert isinstance(bodies, list)
        await it.send(envelope("in", fact("PO-1", quantity=9)))
        await it.settle()
        assert (await it.engine.submit(Command(bodies[0]))).status == 201
        (accepted,) = await it.send(envelope("m1", fact("S-1"), contract=SHIPPED))
        await it.settle()
        assert (await it.status(accepted.message_id))[0] == "duplicate"
