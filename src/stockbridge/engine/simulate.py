"""What commands would do now, decided on locked rows and rolled back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace
from psycopg import AsyncConnection

from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import Movement
from stockbridge.engine.batch import ATTEMPTS_MAX, decide_all, find_more, needs_of
from stockbridge.engine.load import load_world
from stockbridge.engine.request import Outcome, Request
from stockbridge.store.pipeline import rollback


class Simulation(NamedTuple):
    """Outcomes in the order of the commands, and every movement they would book."""

    outcomes: list[Outcome]
    movements: list[Movement]
    masters: Masters


async def simulate(conn: AsyncConnection[Any], commands: Sequence[Command]) -> Simulation:
    """Decide the commands together, each as if its idempotency key were new; keep nothing.

    Holds the locks of their items meanwhile, so the caller bounds how many there are.
    """
    masters = Masters()
    requests = [Request(replace(each, key=None)) for each in commands]
    await masters.reload(conn)
    due: set[int] = set()
    for _ in range(ATTEMPTS_MAX):
        needs = await needs_of(conn, masters, requests, due)
        try:
            world, epoch, _known = await load_world(conn, needs, [], masters)
            if epoch == masters.epoch:
                outcomes, _fresh = decide_all(world, requests, {})
                more = await find_more(conn, world, due)
                if not more:
                    return Simulation(outcomes, world.movements, masters)
                due |= more
                continue
        finally:
            await rollback(conn)
        await masters.reload(conn)
    msg = f"masters changed {ATTEMPTS_MAX} times while a simulation was being prepared"
    raise RuntimeError(msg)
