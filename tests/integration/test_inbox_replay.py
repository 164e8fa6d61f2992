"""Replaying anything, any number of times, changes nothing; dry runs keep nothing."""

import itertools

import pytest

from stockbridge.contracts.catalog import Catalog
from stockbridge.contracts.events import decode
from stockbridge.contracts.masters import PutChannel, PutItem, UnitOfMeasure
from stockbridge.engine.inbox import replay
from stockbridge.engine.inbox.reading import message_document, out_of_sequence
from stockbridge.engine.inbox.replay import Difference, Selection
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import connect
from tests.integration.inbox_desk import COUNTED, ORDERED, SHIPPED, Desk, desk, envelope, fact

EVERYTHING = Selection(status="applied", force=True), Selection(status="duplicate", force=True)


def mixed() -> list:
    """Receipts, shipments, counts and supply, some of them reported twice."""
    order = fact("SO-1", quantity=2) | {"fulfillment": "F-1", "package": "P-1"}
    late = "2026-11-21T10:00:00Z"
    return [
        *(envelope(f"in-{n}", fact(f"PO-{n}", quantity=n + 1)) for n in range(20)),
        envelope("out-1", order, contract=SHIPPED),
        envelope("out-2", order | {"package": "P-2"}, contract=SHIPPED),
        envelope("count", fact("C-1", quantity=100, occurred_at=late), contract=COUNTED),
        envelope("supply-1", fact("PO-90", quantity=40), contract=ORDERED),
        envelope("supply-2", fact("PO-90", quantity=25, occurred_at=late), contract=ORDERED),
        envelope("erp-in", fact("PO-3", quantity=4), system="erp"),
        envelope("erp-out", order, contract=SHIPPED, system="erp"),
    ]


async def again(it: Desk, *selections: Selection) -> int:
    count = 0
    async with await connect(it.dsn) as conn:
        for selection in selections:
            done = await replay.replay(conn, selection, actor="tester")
            assert isinstance(done, int), done
            count += done
    await it.settle(seconds=30)
    return count


async def test_replaying_everything_twice_changes_nothing(dsn):
    async with desk(dsn) as it:
        await it.master(PutChannel("web", sources=["W1"]))
        for message in mixed():
            await it.send(message)
        await it.settle()
        before = await it.dump()
        for _ in range(2):
            assert await again(it, *EVERYTHING) == len(mixed())
            assert await it.dump() == before
        statuses = dict(await it.rows("SELECT status, count(*) FROM message GROUP BY 1"))
        assert set(statuses) <= {"applied", "duplicate", "rejected"}


async def test_an_older_supply_statement_is_not_applied_over_a_newer_one(dsn):
    newer = fact("PO-90", quantity=25, occurred_at="2026-11-21T10:00:00Z")
    async with desk(dsn) as it:
        await it.send(envelope("newer", newer, contract=ORDERED))
        await it.settle()
        await it.send(envelope("older", fact("PO-90", quantity=40), contract=ORDERED))
        await it.settle()
        assert await it.one("SELECT sum(on_order)::bigint FROM balance") == 25


async def test_a_dry_run_shows_the_difference_and_keeps_nothing(dsn):
    async with desk(dsn) as it:
        await it.send(
            envelope("m1", fact("PO-1", sku="NEW", quantity=3)),
            envelope("m2", fact("PO-1", sku="NEW", quantity=3), system="erp"),
            envelope("m3", fact("PO-3", sku="OTHER")),
            envelope("m4", b"{"),
        )
        await it.settle()
        await it.applier.stop()
        await it.master(PutItem("NEW"))
        before = await it.dump()
        async with await connect(dsn) as conn:
            found = await replay.dry_run(conn, decode, Selection(system="wms"))
            both = await replay.dry_run(conn, decode, Selection(status="parked"))
            assert isinstance(found, Difference)
            assert isinstance(both, Difference)
        assert found.outcomes == {"applied": 1, "parked": 1, "rejected": 1}
        assert [(m["sku"], m["to"], m["quantity"]) for m in found.movements] == [
            ("NEW", "available", 3)
        ]
        assert found.is_complete
        assert both.outcomes == {"applied": 1, "duplicate": 1, "parked": 1}
        assert len(both.movements) == 1
        assert await it.dump() == before
        assert dict(await it.rows("SELECT status, count(*) FROM message GROUP BY 1")) == {
            "parked": 3, "rejected": 1,
        }  # fmt: skip


async def test_a_rejected_message_is_applied_once_its_cause_is_mended(dsn):
    boxed = fact("PO-1", uom="BOX")
    async with desk(dsn) as it:
        (bad,) = await it.send(envelope("m1", boxed, correlation_id="case-9"))
        await it.send(envelope("other", b"{"))
        await it.settle()
        await it.master(PutItem("A", uoms=[UnitOfMeasure("BOX", 10)]))
        assert await again(it, Selection(correlation_id="case-9")) == 1
        assert await it.status(bad.message_id) == ("applied", None)
        assert await it.available() == 50
        acts = await it.rows("SELECT actor, act, subject FROM audit WHERE act LIKE 'message%%'")
        assert acts == [("tester", "message.replay", f"message/{bad.message_id}")]


SELECTIONS = {
    "system": (Selection(system="erp"), {"c"}),
    "contract": (Selection(contract=COUNTED), {"b"}),
    "correlation": (Selection(correlation_id="c-a"), {"a"}),
    "status": (Selection(status="rejected"), {"a", "b", "c"}),
    "nothing parked": (Selection(status="parked"), set()),
    "forced": (Selection(system="wms", force=True), {"a", "b", "good"}),
}


@pytest.mark.parametrize("name", SELECTIONS)
async def test_a_selection_means_what_it_says(dsn, name):
    selection, wanted = SELECTIONS[name]
    async with desk(dsn) as it:
        await it.send(
            envelope("a", b"{"), envelope("b", b"{", contract=COUNTED),
            envelope("c", b"{", system="erp"), envelope("good"), envelope("good", b"{}"),
        )  # fmt: skip
        await it.settle()
        tried = "SELECT source_message_id FROM message WHERE attempts = 2"
        assert await again(it, selection) == len(wanted)
        assert {row[0] for row in await it.rows(tried)} == wanted


@pytest.mark.parametrize(
    "selection,code",
    [
        (Selection(), "selection_missing"),
        (Selection(force=True), "selection_missing"),
        (Selection(status="applied"), "force_missing"),
        (Selection(status="received"), "message_in_work"),
    ],
)
async def test_a_selection_that_may_be_a_mistake_is_refused(dsn, selection, code):
    async with await connect(dsn) as conn:
        for refused in (
            await replay.replay(conn, selection, actor="t"),
            await replay.dry_run(conn, decode, selection),
        ):
            assert isinstance(refused, Refusal)
            assert refused.code == code


async def test_a_discarded_message_stays_out_unless_named(dsn):
    async with desk(dsn) as it:
        parked, applied = await it.send(envelope("m1", fact("PO-1", sku="NEW")), envelope("m2"))
        await it.settle()
        async with await connect(dsn) as conn:
            done = await replay.discard(conn, parked.message_id, "not ours", actor="ann")
            assert done is None
            again_ = await replay.discard(conn, applied.message_id, "no", actor="ann")
            assert isinstance(again_, Refusal)
            assert again_.code == "message_not_waiting"
            none = await replay.discard(conn, 1, "no", actor="ann")
            assert isinstance(none, Refusal)
            assert none.code == "unknown_message"
        assert await it.status(parked.message_id) == ("rejected", "discarded")
        assert await it.one("SELECT count(*) FROM parked") == 0
        await it.master(PutItem("NEW"))
        assert await again(it, Selection(status="rejected")) == 0
        assert await again(it, Selection(ids=(parked.message_id,))) == 1
        assert await it.status(parked.message_id) == ("applied", None)
        acts = await it.rows(
            "SELECT act, detail ->> 'reason' FROM audit WHERE act LIKE 'message%%'"
            " ORDER BY audit_id"
        )
        assert acts[0] == ("message.discard", "not ours")


async def test_the_other_content_can_be_chosen_by_its_id(dsn):
    async with desk(dsn) as it:
        await it.send(envelope("m1"))
        (other,) = await it.send(envelope("m1", fact("PO-2", quantity=2)))
        await it.settle()
        assert await again(it, Selection(status="rejected")) == 0
        assert await again(it, Selection(ids=(other.message_id,))) == 1
        assert await it.available() == 7


async def test_a_message_is_shown_from_its_bytes_to_its_movements(dsn):
    async with desk(dsn) as it:
        sent = envelope("m1", fact("PO-1", quantity=3), sequence=4)
        (accepted,) = await it.send(sent)
        await it.send(sent)
        raw, parked = await it.send(
            envelope("raw", b"\xff\0"), envelope("m2", fact("PO-2", sku="N"))
        )
        await it.settle()
        async with await connect(dsn) as conn:
            read = Catalog().decode
            shown = await message_document(conn, accepted.message_id, read)
            broken = await message_document(conn, raw.message_id, read)
            waiting = await message_document(conn, parked.message_id, read)
            unknown = await message_document(conn, 77, read)
        assert isinstance(shown, dict)
        assert shown["text"] == sent.body.decode()
        assert (shown["status"], shown["times_seen"], shown["sequence"]) == ("applied", 2, 4)
        assert shown["decoded"][0]["command"] == "ReportReceipt"
        assert [(m["kind"], m["sku"], m["quantity"]) for m in shown["movements"]] == [
            ("receive", "A", 3)
        ]
        assert isinstance(broken, dict)
        assert broken["base64"] == "/wA="
        assert broken["undecodable"]["code"] == broken["reason_code"]
        assert isinstance(waiting, dict)
        assert waiting["waits_for"] == ["sku:N"]
        assert isinstance(unknown, Refusal)


async def test_gaps_late_and_repeated_numbers_are_told_exactly(dsn):
    async with desk(dsn, applying=False) as it:
        numbers = [5, 1, 2, 2, 9, 4, 12, 11, 9]
        for n, number in zip(itertools.count(), numbers, strict=False):
            await it.send(envelope(f"m{n}", sequence=number))
        await it.send(*(envelope(f"x{n}", sequence=n, flow="other") for n in (3, 1, 2, 3)))
        async with await connect(dsn) as conn:
            stock, other = sorted(await out_of_sequence(conn), key=lambda s: s["flow"] == "other")
        assert (stock["first"], stock["newest"]) == (1, 12)
        assert stock["gaps"] == [[3, 3], [6, 8], [10, 10]]
        assert (stock["missing"], stock["late"], stock["repeated"]) == (5, 4, 2)
        assert (other["gaps"], other["late"], other["repeated"]) == ([], 2, 1)
