"""The journal of one system, as its connector has it."""

from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from stockbridge.contracts.partners.model import Numbered
from stockbridge.domain.world.model import ExceptionCase
from stockbridge.kernel.errors import Retry
from stockbridge.outbox.cases import close_cases, open_cases, owners
from stockbridge.store.database import Pool
from stockbridge.store.sql import load

SQL = load(__package__)
UNACKNOWLEDGED: Final = "interchange_unacknowledged"
REFUSED: Final = "interchange_refused"
_BAD: Final = ("partial", "rejected")
_DETAIL_CHARACTERS: Final = 1_000


class SystemJournal:
    """Implements `contracts.partners.model.Journal`; raises Retry while the database is away."""

    def __init__(self, pool: Pool, system: str) -> None:
        self._pool, self._system = pool, system

    async def take(
        self,
        counter: str,
        key: str,
        *,
        detail: str = "",
        answer_due: tuple[int, int] | None = None,
    ) -> Numbered:
        """See the protocol."""
        warn, breach = answer_due or (None, None)
        own = {"system": self._system, "counter": counter, "key": key}
        values = own | {"detail": detail, "warn_seconds": warn, "breach_seconds": breach}
        try:
            async with self._pool.connection() as conn, conn.transaction():
                row = await (await conn.execute(SQL.find_number, own)).fetchone()
                if row is None:
                    await conn.execute(SQL.lock_counter, own)
                    row = await (await conn.execute(SQL.find_number, own)).fetchone()
                if row is None:
                    row = (await (await conn.execute(SQL.take_number, values)).fetchall())[0]
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise Retry("no control number: the database is away") from error
        return Numbered(*row)

    async def answer(self, counter: str, number: int, answer: str, detail: str = "") -> bool:
        """See the protocol."""
        values = {
            "system": self._system, "counter": counter, "number": number, "answer": answer,
            "reason": detail[:_DETAIL_CHARACTERS].replace("\0", ""),
        }  # fmt: skip
        subject = subject_of(self._system, counter, number)
        try:
            async with self._pool.connection() as conn, conn.transaction():
                row = await (await conn.execute(SQL.note_answer, values)).fetchone()
                if row is None:
                    return False
                await close_cases(conn, UNACKNOWLEDGED, [subject], f"answered: {answer}")
                if answer in _BAD:
                    owner = (await owners(conn, [self._system]))[self._system]
                    case = ExceptionCase(
                        REFUSED, subject, owner.criticality, owner.team,
                        f"{self._system} answered {answer} to {counter} {number} ({row[0]}): "
                        f"{values['reason'] or 'no reason given'}",
                        "Correct what they name; what it said has not been taken, so send it anew",
                        "",
                    )  # fmt: skip
                    await open_cases(conn, [case])
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise Retry("an answer cannot be noted: the database is away") from error
        return True


def subject_of(system: str, counter: str, number: int) -> str:
    """What an exception about a number is about."""
    return f"{system}/{counter}/{number}"
