"""Exceptions of what leaves: opened and closed by their causes, owned by the partner's team."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from stockbridge import governance
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.store.sql import load

SQL = load(__package__)
GOVERNANCE_SQL = load(governance.__name__)
Conn = AsyncConnection[Any]


class Owner(NamedTuple):
    """Who looks after a system: its team, its criticality (1: highest), where it is in life."""

    team: str = "operations"
    criticality: int = 3
    lifecycle: str = "live"


async def owners(conn: Conn, systems: Sequence[str]) -> dict[str, Owner]:
    """The owners of systems; every system has one."""
    cursor = await conn.execute(SQL.system_owners, {"systems": list(systems)})
    known = {row[0]: Owner(*row[1:]) for row in await cursor.fetchall()}
    return {system: known.get(system, Owner()) for system in systems}


async def open_cases(conn: Conn, cases: Sequence[ExceptionCase]) -> None:
    """Show them to their owners; one that is open already is counted."""
    if not cases:
        return
    unique = {(case.kind, case.subject): case for case in cases}
    columns = zip(*unique.values(), strict=True)
    names = ("kinds", "subjects", "severities", "owner_teams", "causes", "actions",
             "correlation_ids")  # fmt: skip
    values: Mapping[str, Any] = dict(zip(names, map(list, columns), strict=True))
    await conn.execute(GOVERNANCE_SQL.open_exceptions, {**values, "now": datetime.now(UTC)})


async def close_cases(conn: Conn, kind: str, subjects: Sequence[str], resolution: str) -> None:
    """Close what is open of the kind about the subjects."""
    values = {"kind": kind, "subjects": list(subjects), "resolution": resolution}
    await conn.execute(GOVERNANCE_SQL.close_exceptions, values)
