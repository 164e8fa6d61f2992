"""Partners' secrets, encrypted with a key made of STOCKBRIDGE_SECRET_KEY; never shown again.

AES-256-GCM; the system and the secret's name are authenticated with it, so that a row copied to
another system does not open there.
"""

import os
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stockbridge.governance import audit
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.store.sql import load

SQL = load(__package__)
Connection = AsyncConnection[TupleRow]
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"stockbridge system_secret v1"
NO_KEY: Final = Refusal(
    "secret_key_missing",
    "secrets cannot be kept: set STOCKBRIDGE_SECRET_KEY (openssl rand -hex 32) and start again",
    409,
)


class SecretBox:
    """Encrypts and decrypts; without a secret key it is shut."""

    def __init__(self, secret_key: str | None) -> None:
        self._cipher: AESGCM | None = None
        if secret_key is not None:
            derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
            self._cipher = AESGCM(derived.derive(secret_key.encode()))

    @property
    def is_open(self) -> bool:
        """Whether there is a key."""
        return self._cipher is not None

    def seal(self, secret: str, system: str, name: str) -> bytes:
        """The secret as it is stored; raises Misconfigured without a key."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._key().encrypt(nonce, secret.encode(), _about(system, name))

    def unseal(self, stored: bytes, system: str, name: str) -> str:
        """The secret; raises Misconfigured when the key is missing or another one."""
        nonce, sealed = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
        try:
            return self._key().decrypt(nonce, sealed, _about(system, name)).decode()
        except InvalidTag:
            raise Misconfigured(
                f"the {name} secret of {system} was kept under another STOCKBRIDGE_SECRET_KEY; "
                f"set that one again, or put the secret anew"
            ) from None

    def _key(self) -> AESGCM:
        if self._cipher is None:
            raise Misconfigured(NO_KEY.detail)
        return self._cipher


def _about(system: str, name: str) -> bytes:
    return f"{system}\x1f{name}".encode()


async def active(conn: Connection, box: SecretBox, system: str, name: str) -> list[str]:
    """The secrets that count now, newest first; raises Misconfigured when they cannot be read."""
    key = {"system": system, "name": name}
    rows = await (await conn.execute(SQL.active_secrets, key)).fetchall()
    return [box.unseal(bytes(row[1]), system, name) for row in rows]


class Sealed(NamedTuple):
    """A secret as it is stored."""

    secret_id: int
    name: str
    ciphertext: bytes


async def sealed(conn: Connection, system: str) -> list[Sealed]:
    """All secrets of a system that count now, newest first, still encrypted."""
    rows = await (await conn.execute(SQL.sealed_secrets, {"system": system})).fetchall()
    return [Sealed(row[0], row[1], bytes(row[2])) for row in rows]


async def put(
    conn: Connection,
    box: SecretBox,
    system: str,
    name: str,
    secret: str,
    *,
    keep_seconds: int,
    actor: str,
    correlation_id: str = "",
) -> int | Refusal:
    """Make `secret` the newest; those before it end after `keep_seconds`. How many count now."""
    if not box.is_open:
        return NO_KEY
    key = {"system": system, "name": name}
    async with conn.transaction():
        await conn.execute(SQL.lock_system_secrets, {"system": system})
        known = await (await conn.execute(SQL.known_system, {"system": system})).fetchone()
        if not known or not known[0]:
            detail = f"system {system} does not exist: PUT /v1/systems/{system}"
            return Refusal("unknown_system", detail, 404)
        row = key | {"ciphertext": box.seal(secret, system, name)}
        added = await (await conn.execute(SQL.add_secret, row)).fetchall()
        ending = {"secret_id": added[0][0], "keep_seconds": keep_seconds}
        await conn.execute(SQL.end_secrets, key | ending)
        await conn.execute(SQL.delete_ended_secrets, key)
        rows = await (await conn.execute(SQL.active_secrets, key)).fetchall()
        said = {"name": name, "keep_seconds": keep_seconds}
        await audit.record(conn, actor, "secret.put", f"system/{system}", said, correlation_id)
    return len(rows)
