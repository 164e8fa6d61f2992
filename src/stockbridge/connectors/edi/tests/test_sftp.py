"""The SFTP line against asyncssh's own server on loopback."""

import asyncio

import pytest

from stockbridge.connectors.edi.tests.partners import PROFILE
from stockbridge.connectors.edi.transport.local import Places
from stockbridge.connectors.edi.transport.pickup import Habits, Pickup
from stockbridge.connectors.edi.transport.sftp import Login, SftpFolder
from stockbridge.connectors.kit.registry import Registry
from stockbridge.contracts.partners.model import Opened
from stockbridge.kernel.errors import Misconfigured, Retry

asyncssh = pytest.importorskip("asyncssh", reason="the extra sftp is not installed")


@pytest.fixture
async def line(tmp_path):
    """A server whose root is a folder, and a login that fits it."""
    root = tmp_path / "server"
    for place in ("inbound", "outbound"):
        (root / place).mkdir(parents=True)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    own_key = asyncssh.generate_private_key("ssh-ed25519")
    allowed = asyncssh.import_authorized_keys(own_key.export_public_key().decode())
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=allowed,
        sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=str(root).encode()),
    )
    port = server.sockets[0].getsockname()[1]
    known = f"[127.0.0.1]:{port} {host_key.export_public_key().decode().strip()}"
    yield root, Login("127.0.0.1", port, "hub", known, own_key.export_private_key().decode())
    server.close()
    await server.wait_closed()


def _folder(login):
    return SftpFolder(login, "/", Places(), "acme")


async def test_files_are_taken_once_and_put_away(line):
    root, login = line
    for number in range(20):
        (root / "inbound" / f"{number}.edi").write_text(str(number))
    folders = [_folder(login) for _ in range(2)]
    workers = [Pickup(folder, Habits("rename", claim_seconds=600.0)) for folder in folders]
    taken = []

    async def work(worker):
        while found := await worker.take():
            for each in found:
                taken.append(each.data.decode())
                await worker.put_away(each.claim, is_sound=len(each.data) == 1)

    await asyncio.gather(*map(work, workers))
    assert sorted(taken, key=int) == [str(n) for n in range(20)]
    kept = {place: [p for p in (root / place).rglob("*") if p.is_file()]
            for place in ("inbound", "archive", "quarantine")}  # fmt: skip
    assert {place: len(found) for place, found in kept.items()} == {
        "inbound": 0, "archive": 10, "quarantine": 10,
    }  # fmt: skip
    for folder in folders:
        await folder.close()


async def test_what_we_put_is_whole_and_never_replaces(line):
    root, login = line
    folder = _folder(login)
    await folder.put("940.edi", b"content")
    await folder.put("940.edi", b"content")
    assert [(p.name, p.read_bytes()) for p in (root / "outbound").iterdir()] == [
        ("940.edi", b"content")
    ]
    await folder.close()
    assert await folder.listing() == []
    (root / "inbound" / "a.edi").write_bytes(b"x" * 600 + b"IEA*1*1~")
    assert (await folder.tail("a.edi")).endswith(b"IEA*1*1~")
    await folder.close()


async def test_a_system_is_tested_over_its_line(line):
    _, login = line
    config = {
        "profile": PROFILE, "transport": "sftp", "host": login.host, "port": login.port,
        "username": login.username, "known_hosts": login.known_hosts,
    }  # fmt: skip
    opened = Opened("acme", config, {"private_key": login.private_key})
    connector = Registry().open("edi", opened)
    assert [check.name for check in await connector.test() if check.is_good] == [
        "profile", "inbound",
    ]  # fmt: skip
    await connector.close()


async def test_another_host_key_or_login_is_refused(line):
    _, login = line
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    strange = _folder(login._replace(known_hosts=f"[127.0.0.1]:{login.port} {other}"))
    with pytest.raises(Misconfigured):
        await strange.listing()
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(Misconfigured):
        await _folder(login._replace(private_key=key)).listing()


async def test_a_server_that_is_away_is_tried_again(line):
    root, login = line
    with pytest.raises(Retry):
        await _folder(login._replace(port=1)).listing()
    (root / "inbound").rmdir()
    folder = _folder(login)
    with pytest.raises(Retry):
        await folder.listing()
    await folder.close()
