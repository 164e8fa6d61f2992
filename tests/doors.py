"""Words that tests of the doors share."""

import asyncio
from time import monotonic
from typing import Any

from stockbridge.store.database import connect

_SECONDS_MAX = 40.0


def fact(number: str, sku: str = "A", quantity: int = 5, **more: Any) -> dict[str, Any]:
    """The data of a receipt at MAIN."""
    base = {
        "sku": sku,
        "location": "MAIN",
        "quantity": quantity,
        "occurred_at": "2026-11-20T10:00:00Z",
        "document": {"type": "po", "number": number},
    }
    return base | more


async def systems(api: Any, *codes: str) -> None:
    """Make systems."""
    for code in codes:
        answer = await api.put(f"/v1/systems/{code}", {"kind": "wms"})
        assert answer.status_code == 201, answer.text


async def settled(dsn: str) -> dict[str, int]:
    """How many messages have each status, once none is on its way."""
    ends = monotonic() + _SECONDS_MAX
    async with await connect(dsn) as conn:
        while True:
            cursor = await conn.execute(b"SELECT status, count(*) FROM message GROUP BY status")
            found: dict[str, int] = dict(await cursor.fetchall())
            if "received" not in found:
                return found
            assert monotonic() < ends, found
            await asyncio.sleep(0.02)


async def available(dsn: str, sku: str, location: str = "MAIN") -> int:
    """Units available."""
    return (await balance(dsn, sku, location)).get("available", 0)


async def balance(dsn: str, sku: str, location: str = "MAIN") -> dict[str, int]:
    """The states that are not zero."""
    names = ["available", "allocated", "picked", "quarantined", "in_transit", "on_order"]
    async with await connect(dsn) as conn:
        cursor = await conn.execute(
            f"SELECT {', '.join(names)} FROM balance JOIN item USING (item_id)"
            " JOIN location USING (location_id) WHERE sku = %s AND code = %s".encode(),
            (sku, location),
        )
        row = await cursor.fetchone() or (0,) * len(names)
    return {name: units for name, units in zip(names, row, strict=True) if units}
