"""The inbox of exceptions: the gravest first, with owner and cause; assign, resolve."""

from typing import Final

from stockbridge.dashboard.desk import (
    SQL,
    Desk,
    fetch,
    filters,
    listed,
    missing,
    number,
    pair,
    reason,
)
from stockbridge.dashboard.frame import address, render
from stockbridge.dashboard.web import Ask, Reply, see
from stockbridge.governance import exceptions
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

GOVERNANCE_SQL = load("stockbridge.governance")
SEVERITIES: Final = {1: "critical", 2: "high", 3: "normal", 4: "low"}
_PLACE: Final = "/exceptions/{}"


async def list_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Open exceptions, the gravest first; or resolved ones, the newest first."""
    chosen = filters(ask, "kind", "team", "resolved")
    found_by = {"kind": chosen["kind"], "owner_team": chosen["team"]}
    async with desk.pool.connection() as conn:
        if chosen["resolved"]:
            after = number(ask.query.get("after"))
            found = await listed(
                conn, GOVERNANCE_SQL.exceptions_page, **found_by, after=after, id=None, open=False
            )
        else:
            severity, after = pair(ask.query.get("after"))
            found = await listed(
                conn, SQL.gravest_exceptions, **found_by, severity=severity, after=after
            )
        kinds = await fetch(conn, SQL.exception_kinds)
    return render(
        "exceptions.html", ask, "exceptions",
        found=found, filters=chosen, kinds=kinds, severities=SEVERITIES,
    )  # fmt: skip


async def detail_page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """One exception: what happened, what to do, who did what about it."""
    exception_id = number(ask.params["exception"])
    nothing = dict.fromkeys(("after", "open", "kind", "owner_team"))
    async with desk.pool.connection() as conn:
        found = await listed(conn, GOVERNANCE_SQL.exceptions_page, id=exception_id, **nothing)
        acts = await listed(
            conn, GOVERNANCE_SQL.audit_page,
            subject=f"exception/{exception_id}", actor=None, after=None,
        )  # fmt: skip
    if exception_id is None or not found.rows:
        return missing("exception", ask.params["exception"])
    return render(
        "exception.html", ask, "exceptions",
        case=found.rows[0], acts=acts.rows, severities=SEVERITIES,
    )  # fmt: skip


async def assign(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Give an exception to a team."""
    exception_id, team = number(ask.params["exception"]), ask.form.get("team", "")[:64]
    if exception_id is None:
        return missing("exception", ask.params["exception"])
    if not team:
        return Refusal("team_missing", "name the team that shall look at it", 422)
    async with desk.pool.connection() as conn:
        refusal = await exceptions.assign(
            conn, exception_id, team, actor=ask.actor, correlation_id=ask.correlation_id
        )
    return refusal or see(address(_PLACE, exception_id))


async def resolve(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Close an exception, saying how."""
    exception_id, how = number(ask.params["exception"]), reason(ask, "resolution")
    if exception_id is None:
        return missing("exception", ask.params["exception"])
    if isinstance(how, Refusal):
        return how
    async with desk.pool.connection() as conn:
        refusal = await exceptions.resolve(
            conn, exception_id, how, actor=ask.actor, correlation_id=ask.correlation_id
        )
    return refusal or see(address(_PLACE, exception_id))
