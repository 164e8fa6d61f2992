"""Taking up due deliveries of a system: locked, allowed by its breaker and limits, then started."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.outbox.breakers import begin_trial, permits
from stockbridge.outbox.limits.gate import ask_again, new_lease, take
from stockbridge.outbox.limits.model import NORMAL, Budget
from stockbridge.outbox.limits.rules import budgets
from stockbridge.outbox.states import Ability, Act, act_of
from stockbridge.store.arrays import ints, texts
from stockbridge.store.pipeline import rollback, run
from stockbridge.store.sql import load

SQL = load(__package__)
Conn = AsyncConnection[Any]
GIVEN_UP: Act = "give_up"


class Due(NamedTuple):
    """A due delivery as it is read."""

    delivery_id: int
    operation: str
    object_key: str
    idempotency_key: str
    correlation_id: str
    attempts: int
    payload: str
    reference: str
    is_accepted: bool
    may_be_done: bool
    age_seconds: float


class Job(NamedTuple):
    """A delivery that is started: what to do, and the lease of a limit of concurrency, if any."""

    system: str
    due: Due
    act: Act
    ability: Ability
    lease_key: int | None

    @property
    def attempt(self) -> int:
        """Its number, from 1."""
        return self.due.attempts + 1


@dataclass(slots=True)
class Claim:
    """What was taken up, and when to look again: in `wait_seconds`, by operation in `not_now`.

    Those in `crowded` wait for calls of theirs to end.
    """

    jobs: list[Job] = field(default_factory=list)
    wait_seconds: float | None = None
    not_now: dict[str, float] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)
    is_closed: bool = True


def abilities(manifest: Manifest) -> dict[str, Ability]:
    """What the partner offers for each operation it takes."""
    return {each.name: Ability(each.probe, each.idempotent) for each in manifest.operations}


async def claim(
    conn: Conn,
    system: str,
    manifest: Manifest,
    *,
    holder: str,
    limit: int,
    at_once: int,
    not_now: Sequence[str],
    lease_seconds: float,
) -> Claim:
    """Take up at most `limit` deliveries, in one transaction.

    Of those that could neither be looked up nor be repeated after a crash only `at_once` are
    started: as many as are called at once.
    """
    try:
        await run(conn, [(b"BEGIN", {})])
        permit = await permits(conn, system)
        claimed = Claim(is_closed=permit.calls is None)
        if permit.calls == 0:
            claimed.wait_seconds = permit.wait_seconds
            await run(conn, [(b"COMMIT", {})])
            return claimed
        limit = limit if permit.calls is None else permit.calls
        values = {"system": system, "not_now": texts(list(not_now)), "limit": limit}
        rows, waits = await run(
            conn, [(SQL.due_deliveries, values), (SQL.next_due, {"system": system})]
        )
        claimed.wait_seconds = waits[0][0] if waits else None
        chosen = _Chosen(system, [Due(*row) for row in rows], abilities(manifest), at_once)
        await chosen.allow(conn, manifest, claimed, lease_seconds)
        if claimed.jobs and not claimed.is_closed:
            await begin_trial(conn, system, permit)
        await run(conn, [*chosen.writes(claimed, holder, lease_seconds), (b"COMMIT", {})])
    except BaseException:
        if not conn.closed:
            await rollback(conn)
        raise
    return claimed


class _Chosen:
    """The locked deliveries by what is done with them: the name under which limits are asked.

    Those that are looked up are under the limits of `probe`.
    """

    def __init__(
        self, system: str, due: Sequence[Due], known: dict[str, Ability], at_once: int
    ) -> None:
        self._system = system
        self._postponed: list[tuple[Due, float]] = []
        self._groups: dict[str, list[tuple[Due, Act, Ability]]] = {}
        unsafe = 0
        for each in due:
            ability = known.get(each.operation, Ability(False, False))
            act = act_of(
                may_be_done=each.may_be_done, is_accepted=each.is_accepted, ability=ability
            )
            if ability == (False, False):
                unsafe += 1
                if unsafe > at_once:
                    continue
            name = each.operation if act == "send" else act
            self._groups.setdefault(name, []).append((each, act, ability))

    async def allow(
        self, conn: Conn, manifest: Manifest, claimed: Claim, lease_seconds: float
    ) -> None:
        """Take the limits of each group; what they do not allow is left for later."""
        for name, group in self._groups.items():
            if name == GIVEN_UP:
                claimed.jobs += [Job(self._system, *each, None) for each in group]
                continue
            under = budgets(manifest.limits, name)
            if any(_is_by_object(b) for b in under):
                for each in group:
                    own = budgets(manifest.limits, name, each[0].object_key)
                    wait = await self._take(conn, claimed, own, [each], lease_seconds)
                    if wait is not None:
                        self._postponed.append((each[0], wait))
            else:
                wait = await self._take(conn, claimed, under, group, lease_seconds)
                if wait is not None and any(b.is_leased for b in under):
                    claimed.crowded.add(name)
                if wait is not None:
                    claimed.not_now[name] = wait

    async def _take(
        self,
        conn: Conn,
        claimed: Claim,
        under: Sequence[Budget],
        group: Sequence[tuple[Due, Act, Ability]],
        lease_seconds: float,
    ) -> float | None:
        """Let as many of the group go as the budgets allow; when more may, if not all did."""
        lease = new_lease(lease_seconds)
        grant = await take(conn, self._system, under, len(group), share=NORMAL, lease=lease)
        key = lease.key if any(b.is_leased for b in under) else None
        claimed.jobs += [
            Job(self._system, due, act, ability, key)
            for due, act, ability in group[: grant.granted]
        ]
        return None if grant.granted == len(group) else ask_again(under, grant)

    def writes(
        self, claimed: Claim, holder: str, lease_seconds: float
    ) -> list[tuple[bytes, dict[str, Any]]]:
        """The statements that start, put off and give up."""
        found: list[tuple[bytes, dict[str, Any]]] = []
        if claimed.jobs:
            values = {
                "ids": ints(job.due.delivery_id for job in claimed.jobs),
                "sends": flags(job.act == "send" for job in claimed.jobs),
                "holder": holder,
                "lease_seconds": lease_seconds,
            }
            found.append((SQL.start_deliveries, values))
        if self._postponed:
            ids = ints(due.delivery_id for due, _ in self._postponed)
            seconds = "{" + ",".join(str(wait) for _, wait in self._postponed) + "}"
            found.append((SQL.postpone_deliveries, {"ids": ids, "seconds": seconds}))
        return found


def flags(values: Sequence[bool] | Any) -> str:
    """A boolean array."""
    return "{" + ",".join("t" if value else "f" for value in values) + "}"


def _is_by_object(budget: Budget) -> bool:
    return budget.name.startswith("day:")
