"""A worker is killed while partners do what it asked; another goes on and doubles nothing."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from stockbridge.store.database import connect
from tests.scenarios.floor import SECRET_KEY, Floor, Shop, trading, until

COMMAND = [sys.executable, "-c", "from stockbridge.cli import main; main()"]
MUG = "ALL.MUG"
LEASES_END = (
    b"UPDATE listing SET due_at = now() WHERE state = 'sending'",
    b"UPDATE delivery SET leased_until = now() WHERE state = 'sending'",
    b"UPDATE poll_feed SET due_at = now(), leased_until = NULL WHERE leased_until IS NOT NULL",
)
"""What time does to the leases of a worker that is gone."""


@contextlib.contextmanager
def worker(dsn: str) -> Iterator[subprocess.Popen[bytes]]:
    """A working process of an installation."""
    with subprocess.Popen(
        [*COMMAND, "serve", "--role", "worker", "--dsn", dsn],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"STOCKBRIDGE_SECRET_KEY": SECRET_KEY},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


async def hang(floor: Floor, shops: list[Shop]) -> None:
    """Goods come in and an order leaves; partners do what they are told, and do not answer."""
    for shop in shops:
        shop.sim.fault("time_out_after", "publish")
        shop.sim.fault("time_out_after", "confirm_shipment")
    figures = [shop.left(MUG) for shop in shops]
    await floor.receive(MUG, 4)
    for shop, figure in zip(shops, figures, strict=True):
        await until(partial(shows_more, shop, figure), f"{shop.code} hears of the goods")
        (number,) = shop.orders
        await floor.ship(shop, number)
        await until(partial(is_told, shop), f"{shop.code} hears of the parcel")


def shows_more(shop: Shop, figure: int) -> bool:
    return shop.left(MUG) > figure


def is_told(shop: Shop) -> bool:
    return any(operation == "confirm_shipment" for operation, _ in shop.sim.effects)


@pytest.mark.timeout(300)
async def test_a_killed_workers_work_is_gone_on_with_and_not_doubled(dsn, tmp_path):
    names = ("generic", "walmart")
    with worker(dsn) as first:
        async with trading(dsn, tmp_path, names, {MUG: 10}, role="api") as floor:
            shops = list(floor.shops.values())
            for shop in shops:
                assert shop.sell(MUG) is not None
                await floor.poll(shop)
            await floor.told()
            for shop in shops:
                await floor.shows(shop, MUG, 8)
            await hang(floor, shops)
            first.kill()
            first.wait()
            async with await connect(dsn) as conn:
                for statement in LEASES_END:
                    await conn.execute(statement)
            with worker(dsn):
                await floor.settled()
