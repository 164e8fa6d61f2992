"""Systems: whether each can be reached, what waits for it, its feeds, its newest test."""

import msgspec

from stockbridge.dashboard.desk import SQL, Desk, fetch, missing
from stockbridge.dashboard.frame import render
from stockbridge.dashboard.web import Ask, Reply
from stockbridge.kernel.errors import Refusal


async def list_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Every system, the most critical first."""
    async with desk.pool.connection() as conn:
        rows = await fetch(conn, SQL.systems_health, code=None)
    systems = [msgspec.json.decode(row[0]) for row in rows]
    return render("systems.html", ask, "systems", systems=systems)


async def detail_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """One system: health, feeds, newest test."""
    code = ask.params["system"]
    async with desk.pool.connection() as conn:
        found = await fetch(conn, SQL.systems_health, code=code)
        feeds = await fetch(conn, SQL.system_feeds, code=code)
        tests = await fetch(conn, SQL.system_checks, code=code)
    if not found:
        return missing("system", code)
    return render(
        "system.html", ask, "systems",
        system=msgspec.json.decode(found[0][0]),
        feeds=[msgspec.json.decode(row[0]) for row in feeds],
        checks=msgspec.json.decode(tests[0][0]) if tests else [],
        tester=tests[0][1] if tests else "",
    )  # fmt: skip
