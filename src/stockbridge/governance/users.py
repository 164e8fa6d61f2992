"""People of the control tower: accounts with roles, and the sessions they sign in to.

A password is kept as its argon2id hash, a session as the SHA-256 of its cookie's 256 random bits.
"""

import asyncio
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.governance import audit
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]

ROLES: Final = ("viewer", "operator", "approver", "finance", "integrator", "admin")
SESSION_SECONDS: Final = 12 * 3600
PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 1_000
FAILURES_MAX: Final = 5
WAIT_SECONDS: Final = 60
# OWASP's smaller profile: 19 MiB a check, so that signing in never takes a small machine's memory.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# What an unknown name is compared with, so that it takes as long as a known one.
_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(16))
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


class User(NamedTuple):
    """Who is signed in; `admin` includes every role."""

    name: str
    roles: frozenset[str]

    def has(self, role: str) -> bool:
        """Whether the person may do what `role` may; everybody who is signed in may read."""
        return role == "viewer" or role in self.roles or "admin" in self.roles

    @property
    def actor(self) -> str:
        """The name in audits and ledgers."""
        return f"user:{self.name}"


class Account(NamedTuple):
    """A row of the list of accounts; `sessions` is how often it is signed in now."""

    name: str
    roles: list[str]
    created_at: datetime
    revoked_at: datetime | None
    sessions: int


async def any_exists(conn: Connection) -> bool:
    """Whether anybody can sign in."""
    row = await (await conn.execute(SQL.any_user)).fetchone()
    return bool(row and row[0])


async def put(
    conn: Connection, name: str, password: str, roles: Iterable[str], *, actor: str
) -> None:
    """Add an account, or give one a new password and roles; its sessions end.

    Raises Misconfigured for a name, password or role that is not taken, saying what is.
    """
    wanted = sorted(set(roles))
    _check(name, password, wanted)
    hashed = await asyncio.to_thread(_HASHER.hash, password)
    async with conn.transaction():
        await conn.execute(SQL.put_user, {"name": name, "password_hash": hashed, "roles": wanted})
        await conn.execute(SQL.end_sessions, {"name": name})
        await audit.record(conn, actor, "user.put", f"user/{name}", {"roles": wanted})


def _check(name: str, password: str, roles: list[str]) -> None:
    if not _NAME.fullmatch(name):
        raise Misconfigured(f"user name {name[:80]!r}: use a-z 0-9 . _ @ -, at most 64")
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        what = f"unknown role {', '.join(unknown)}" if unknown else "an account needs a role"
        raise Misconfigured(f"{what}; roles are: {', '.join(ROLES)}")
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise Misconfigured(
            f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters"
        )


async def listed(conn: Connection) -> list[Account]:
    """Every account, revoked ones included."""
    return [Account(*row) for row in await (await conn.execute(SQL.users_list)).fetchall()]


async def revoke(conn: Connection, name: str, *, actor: str) -> Refusal | None:
    """End an account and its sessions; ending it twice is no error."""
    async with conn.transaction():
        row = await (await conn.execute(SQL.revoke_user, {"name": name})).fetchone()
        if row is None:
            return Refusal("unknown_user", f"no user {name}; see `stockbridge users list`", 404)
        await conn.execute(SQL.end_sessions, {"name": name})
        await audit.record(conn, actor, "user.revoke", f"user/{name}", {})
    return None


async def sign_in(
    conn: Connection, name: str, password: str, *, correlation_id: str = ""
) -> str | Refusal:
    """The token of a new session; refused alike for a wrong name and a wrong password.

    After five wrong passwords in a row an account waits a minute before each further try.
    """
    known = {"name": name, "failures_max": FAILURES_MAX, "wait_seconds": WAIT_SECONDS}
    row = await (await conn.execute(SQL.password_of, known)).fetchone()
    hashed, wait_seconds = row or (_NOBODY, 0)
    if wait_seconds > 0:
        detail = f"too many wrong passwords: try again in {wait_seconds:.0f} s"
        return Refusal("sign_in_waits", detail, 429)
    right = await asyncio.to_thread(_matches, hashed, password[: PASSWORD_LENGTH_MAX + 1])
    if row is None or not right:
        return await _failed(conn, name, row is not None, correlation_id)
    token = secrets.token_urlsafe(32)
    values = {"name": name, "token_hash": _digest(token), "seconds": SESSION_SECONDS}
    async with conn.transaction():
        if await (await conn.execute(SQL.forget_failures, values)).fetchone() is None:
            return _wrong()
        await conn.execute(SQL.delete_expired_sessions)
        await conn.execute(SQL.insert_session, values)
        actor = f"user:{name}"
        await audit.record(conn, actor, "user.sign_in", f"user/{name}", {}, correlation_id)
    return token


async def _failed(conn: Connection, name: str, known: bool, correlation_id: str) -> Refusal:
    if known:
        async with conn.transaction():
            await conn.execute(SQL.count_failure, {"name": name})
            subject = f"user/{name}"
            await audit.record(conn, "anonymous", "user.refused", subject, {}, correlation_id)
    return _wrong()


def _wrong() -> Refusal:
    return Refusal("sign_in_wrong", "name or password is wrong", 401)


async def find(conn: Connection, token: str) -> User | None:
    """Who is signed in with this token."""
    values = {"token_hash": _digest(token)}
    row = await (await conn.execute(SQL.find_session, values)).fetchone()
    return None if row is None else User(row[0], frozenset(row[1]))


async def sign_out(conn: Connection, token: str, *, correlation_id: str = "") -> None:
    """End one session; one that is over already is no error."""
    async with conn.transaction():
        values = {"token_hash": _digest(token)}
        row = await (await conn.execute(SQL.delete_session, values)).fetchone()
        if row is not None:
            name = row[0]
            actor = f"user:{name}"
            await audit.record(conn, actor, "user.sign_out", f"user/{name}", {}, correlation_id)


def _matches(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except VerificationError:
        return False


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
