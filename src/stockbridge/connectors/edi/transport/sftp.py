"""A partner's SFTP server: the same steps as in a local folder, by the server's own renames.

Plain renames only: on servers that keep to the protocol they refuse to overwrite, so a claim is
one worker's, and nothing that is published replaces another file.
"""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Sequence
from posixpath import join
from typing import Any, Final, NamedTuple

from stockbridge.connectors.edi.transport.local import Places
from stockbridge.connectors.edi.transport.model import CLAIMS, TAIL_BYTES, Found
from stockbridge.kernel.errors import Misconfigured, Retry

CALL_SECONDS: Final = 120.0
_REGULAR: Final = 1


class Login(NamedTuple):
    """Where the server is, whose key it must have, and who we are there."""

    host: str
    port: int
    username: str
    known_hosts: str
    private_key: str = ""
    password: str = ""


class SftpFolder:
    """Implements `Folder`; one connection, opened when it is needed and again when it is lost."""

    def __init__(self, login: Login, root: str, places: Places, system: str) -> None:
        self._login = login
        self._inbound = join(root, places.inbound)
        self._outbound = join(root, places.outbound)
        self._ends = {
            "archive": join(root, places.archive),
            "quarantine": join(root, places.quarantine),
        }
        self._claims = join(self._inbound, CLAIMS, system)
        self._opening = asyncio.Lock()
        self._connection: Any = None
        self._client: Any = None

    async def listing(self) -> Sequence[Found]:
        """See Folder."""
        async with self._session() as sftp:
            return await _files(sftp, self._inbound)

    async def tail(self, name: str) -> bytes:
        """See Folder."""
        async with self._session() as sftp:
            path = join(self._inbound, name)
            size = (await sftp.stat(path)).size or 0
            async with sftp.open(path, "rb") as file:
                return bytes(await file.read(TAIL_BYTES, max(0, size - TAIL_BYTES)))

    async def claim(self, name: str, claim: str) -> bool:
        """See Folder."""
        async with self._session() as sftp:
            await sftp.makedirs(self._claims, exist_ok=True)
            return await _renamed(sftp, join(self._inbound, name), join(self._claims, claim))

    async def claims(self) -> Sequence[Found]:
        """See Folder."""
        async with self._session() as sftp:
            if not await sftp.isdir(self._claims):
                return []
            return await _files(sftp, self._claims)

    async def read(self, claim: str, bytes_max: int) -> bytes | None:
        """See Folder. A file whose size changes while it is read is read again later."""
        async with self._session() as sftp:
            path = join(self._claims, claim)
            if not await sftp.exists(path):
                return None
            before = (await sftp.stat(path)).size or 0
            if before > bytes_max:
                raise ValueError(f"{claim} has more than {bytes_max:,} bytes")
            async with sftp.open(path, "rb") as file:
                data = bytes(await file.read(before + 1))
            if len(data) != before or (await sftp.stat(path)).size != before:
                raise Retry(f"{claim} changed while it was read", 30.0)
            return data

    async def finish(self, claim: str, place: str) -> None:
        """See Folder."""
        kind, _, day = place.partition("/")
        target = join(self._ends[kind], day)
        async with self._session() as sftp:
            await sftp.makedirs(target, exist_ok=True)
            await _renamed(sftp, join(self._claims, claim), join(target, claim))

    async def put(self, name: str, data: bytes) -> None:
        """Written aside, its size compared, and then renamed."""
        async with self._session() as sftp:
            path, aside = join(self._outbound, name), join(self._outbound, f".{name}.tmp")
            if await sftp.exists(path):
                return
            async with sftp.open(aside, "wb") as file:
                await file.write(data)
            size = (await sftp.stat(aside)).size
            if size != len(data):
                raise Retry(f"{name}: {size} of {len(data)} bytes arrived", 30.0)
            if not await _renamed(sftp, aside, path):
                raise Retry(f"{name} was written and could not be renamed", 30.0)

    async def drop(self, name: str) -> None:
        """See Folder."""
        async with self._session() as sftp:
            if await sftp.exists(join(self._inbound, name)):
                await sftp.remove(join(self._inbound, name))

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[Any]:
        """The open session; what goes wrong in it is Retry, and a lost line is opened anew."""
        ssh = _asyncssh()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield await self._opened(ssh)
        except (ssh.HostKeyNotVerifiable, ssh.PermissionDenied, ssh.KeyImportError) as error:
            raise Misconfigured(f"{self._login.host}: {error}") from error
        except (ssh.SFTPConnectionLost, ssh.SFTPNoConnection, ssh.DisconnectError) as error:
            await self.close()
            raise Retry(f"{self._login.host}: {error}", 30.0) from error
        except ssh.SFTPError as error:
            raise Retry(f"{self._login.host}: {error.reason or error}", 30.0) from error
        except (OSError, TimeoutError) as error:
            await self.close()
            raise Retry(f"{self._login.host}: {str(error) or 'no answer in time'}", 30.0) from error

    async def _opened(self, ssh: Any) -> Any:
        async with self._opening:
            if self._client is None:
                login = self._login
                keys = [ssh.import_private_key(login.private_key)] if login.private_key else None
                self._connection = await ssh.connect(
                    login.host,
                    login.port,
                    username=login.username,
                    password=login.password or None,
                    client_keys=keys,
                    known_hosts=ssh.import_known_hosts(login.known_hosts),
                    agent_path=None,
                    config=None,
                    keepalive_interval=30,
                )
                self._client = await self._connection.start_sftp_client()
            return self._client


def _asyncssh() -> Any:
    try:
        return importlib.import_module("asyncssh")
    except ImportError as error:
        raise Misconfigured("transport sftp needs asyncssh: install stockbridge[sftp]") from error


async def _files(sftp: Any, folder: str) -> list[Found]:
    return [
        Found(str(entry.filename), entry.attrs.size or 0, float(entry.attrs.mtime or 0))
        async for entry in sftp.scandir(folder)
        if entry.attrs.type == _REGULAR
    ]


async def _renamed(sftp: Any, before: str, after: str) -> bool:
    """Whether a rename was ours. Where it fails because the file is gone, somebody else's was."""
    ssh = _asyncssh()
    try:
        await sftp.rename(before, after)
    except ssh.SFTPNoSuchFile:
        return False
    except ssh.SFTPFailure:
        if await sftp.exists(before):
            raise
        return False
    return True
