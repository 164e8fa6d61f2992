"""Where the connector is tried: its simulator, and a real Tryton."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stockbridge.connectors.tryton.simulator import Simulator
from tests.erp.rpc import Rpc
from tests.erp.server import PASSWORD, USER, Unavailable, tryton

SIMULATED_USER = "stockbridge"


class Target(NamedTuple):
    """One database: its address, who may enter, and a session to look into its books."""

    url: str
    user: str
    password: str
    rpc: Rpc
    sim: Simulator | None = None


@contextlib.contextmanager
def target(kind: str, folder: Path) -> Iterator[Target]:
    """A `simulated` or a `real` one; skips where no Tryton can be had."""
    if kind == "simulated":
        with Simulator() as sim:
            sim.product("MUG", "4.00", "12.50")
            sim.product("CUP", "5.00", "13.50")
            url, password = f"{sim.url}/erp", sim.secrets()["password"]
            rpc = Rpc(url, SIMULATED_USER, password)
            yield Target(url, SIMULATED_USER, password, rpc, sim)
        return
    try:
        with tryton(folder) as erp:
            yield Target(erp.url, USER, PASSWORD, erp.rpc)
    except Unavailable as error:
        pytest.skip(f"no Tryton: {error}")


def config_of(at: Target, config: dict[str, Any]) -> dict[str, Any]:
    """A system's configuration for it."""
    return {**config, "url": at.url, "user": at.user}
