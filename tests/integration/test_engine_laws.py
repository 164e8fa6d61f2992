"""The laws of the books under concurrency, crashes and poison."""

import asyncio
import os
import signal
from pathlib import Path

import psycopg
import pytest

from stockbridge.assurance.invariants import check
from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.contracts.masters import PutItem
from stockbridge.engine import Command, Engine
from stockbridge.engine.registry import HANDLERS
from stockbridge.store.database import connect
from stockbridge.store.embedded import EmbeddedServer
from stockbridge.store.migrate import ensure_partitions, migrate
from tests.simulation.fleet import Fleet, furnish
from tests.simulation.judge import judge

OPERATIONS = 2_000
KILL_AFTER_BYTES = 100_000
RIVALS = 500
LINES = 5_000


@pytest.fixture
async def engine(dsn):
    await furnish(dsn)
    running = Engine(dsn)
    await running.start()
    yield running
    await running.stop()


def receipt(number: str, *units: tuple[str, int]) -> Command:
    lines = [c.ReceiptLine(sku=sku, quantity=quantity) for sku, quantity in units]
    return Command(c.ReportReceipt(document=Document("po", number), location="W1", lines=lines))


async def test_four_processes_keep_every_law(dsn, tmp_path):
    await furnish(dsn)
    fleet = Fleet(dsn, tmp_path, seed=1, operations=OPERATIONS)
    await asyncio.to_thread(fleet.run)
    assert await asyncio.to_thread(judge, dsn, fleet.logs) == []


async def test_killed_processes_lose_and_double_nothing(dsn, tmp_path):
    await furnish(dsn)
    fleet = Fleet(dsn, tmp_path, seed=2, operations=OPERATIONS)
    await asyncio.to_thread(fleet.run, kill_after_bytes=KILL_AFTER_BYTES)
    assert fleet.kills > 0
    assert await asyncio.to_thread(judge, dsn, fleet.logs) == []


async def test_a_killed_database_loses_and_doubles_nothing(data_dir, tmp_path):
    with EmbeddedServer.start(data_dir, settings={"shared_buffers": "64MB"}) as server:
        migrate(server.dsn)
        ensure_partitions(server.dsn)
        await furnish(server.dsn)
        fleet = Fleet(server.dsn, tmp_path, seed=3, operations=OPERATIONS)
        killer = Killer(data_dir, fleet)
        await asyncio.to_thread(fleet.run, meanwhile=killer)
        assert killer.kills > 0
        assert await asyncio.to_thread(judge, server.dsn, fleet.logs) == []


class Killer:
    """Kills the database's main process when the fleet has done so much, and again later."""

    def __init__(self, data_dir: Path, fleet: Fleet) -> None:
        self.pid_file = data_dir / "pg" / "postmaster.pid"
        self.fleet = fleet
        self.kills = 0

    def __call__(self) -> None:
        due = self.fleet.logged > (self.kills + 1) * KILL_AFTER_BYTES
        if self.kills < 2 and due and self.pid_file.exists():
            os.kill(int(self.pid_file.read_text().splitlines()[0]), signal.SIGKILL)
            self.kills += 1


async def test_one_unit_is_promised_once(engine, dsn):
    await engine.submit(receipt("PO1", ("A", 1)))
    rival = Engine(dsn)
    await rival.start()
    commands = [
        Command(c.ReserveStock("web", f"r{n}", [c.ReserveLine("A", 1)])) for n in range(RIVALS)
    ]
    outcomes = await asyncio.gather(
        *((engine, rival)[n % 2].submit(command) for n, command in enumerate(commands))
    )
    await rival.stop()
    statuses = [outcome.status for outcome in outcomes]
    assert (statuses.count(201), statuses.count(409)) == (1, RIVALS - 1)
    async with await connect(dsn) as conn:
        assert await check(conn) == []


async def test_an_order_of_five_thousand_lines_is_one_decision(engine, dsn):
    skus = [f"L{n}" for n in range(100)]
    for sku in skus:
        await engine.submit(Command(PutItem(sku)))
    await engine.submit(receipt("PO1", *((sku, LINES // 100) for sku in skus)))
    lines = [c.ReserveLine(skus[n % 100], 1) for n in range(LINES)]
    order = c.ReserveStock("web", "big", lines)
    short = c.ReserveStock("web", "short", [*lines[:-1], c.ReserveLine("L0", 2)])
    refused = await engine.submit(Command(short))
    assert refused.status == 409
    assert [error["sku"] for error in refused.document["errors"]] == ["L0"]
    assert (await engine.submit(Command(order))).status == 201
    assert (await engine.submit(Command(c.ReserveStock("web", "r", lines[:1])))).status == 409
    async with await connect(dsn) as conn:
        assert await check(conn) == []


async def test_a_poison_command_harms_only_itself(engine, dsn, monkeypatch):
    await engine.submit(receipt("PO1", ("A", 50), ("B", 50)))
    sound = HANDLERS[c.ReserveStock]

    def decide(command, world):
        if command.body.reference == "poison":
            raise ZeroDivisionError
        return sound.decide(command, world)

    monkeypatch.setitem(HANDLERS, c.ReserveStock, sound._replace(decide=decide))
    references = [f"r{n}" for n in range(20)] + ["poison"] + [f"s{n}" for n in range(20)]
    outcomes = await asyncio.gather(
        *(engine.submit(Command(c.ReserveStock("web", reference, [c.ReserveLine("A", 1)])))
          for reference in references)
    )  # fmt: skip
    failed = [r for r, outcome in zip(references, outcomes, strict=True) if outcome.status != 201]
    assert failed == ["poison"]
    assert outcomes[20].status == 500
    with psycopg.connect(dsn) as conn:
        cases = conn.execute("SELECT kind, owner_team, cause FROM exception").fetchall()
    assert [case[:2] for case in cases] == [("poison_command", "engineering")]
    assert "poison" in cases[0][2]


async def test_a_key_is_decided_once_by_processes_that_race(engine, dsn):
    await engine.submit(receipt("PO1", ("A", 50)))
    rival = Engine(dsn)
    await rival.start()
    for n in range(20):
        command = Command(
            c.ReserveStock("web", f"r{n}", [c.ReserveLine("A", 1)]), key=f"k{n}", principal="p"
        )
        first, second = await asyncio.gather(engine.submit(command), rival.submit(command))
        assert first.body == second.body
        assert {first.replayed, second.replayed} == {True, False}
    await rival.stop()
    async with await connect(dsn) as conn:
        assert await check(conn) == []
        row = await (await conn.execute(b"SELECT reserved FROM balance")).fetchone()
    assert row == (20,)


async def test_another_process_changes_a_kit_it_never_saw(engine, dsn):
    await engine.submit(receipt("PO1", ("A", 5), ("B", 5)))
    made = await engine.submit(Command(c.ReserveStock("web", "r1", [c.ReserveLine("KIT", 2)])))
    other = Engine(dsn)
    await other.start()
    body = c.ChangeReservation(made.document["id"], [c.ChangeLine(1, 1)])
    changed = await other.submit(Command(body))
    await other.stop()
    assert (changed.status, changed.document["lines"][0]["reserved"]) == (200, 1)
