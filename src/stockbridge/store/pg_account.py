"""Chooses the operating system user the embedded server runs as.

PostgreSQL refuses to run as root. An ordinary user runs it as himself; root runs it as an
unprivileged account and never opens a folder to that account that is not ours.
"""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from stockbridge.kernel.errors import Misconfigured

ACCOUNT = "stockbridge"
_SYSTEM_ACCOUNT = "postgres"


class Identity(TypedDict, total=False):
    """The arguments of `subprocess` that start a program as another user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server (`name`, `uid`, `gid`) and who connects to it (`client`)."""

    name: str
    uid: int
    gid: int
    client: str

    @property
    def foreign(self) -> bool:
        """True when the server runs as somebody other than this process."""
        return self.uid != os.geteuid()

    def identity(self) -> Identity:
        """Return what `subprocess` needs to become this account; empty when we are it."""
        if not self.foreign:
            return {}
        groups = os.getgrouplist(self.name, self.gid)
        return {"user": self.uid, "group": self.gid, "extra_groups": groups}


def choose_account(data_dir: Path) -> Account:
    """Return the account for `data_dir`: ourselves, or as root an unprivileged one.

    Root takes the owner of the cluster or of the data directory when that is somebody else,
    else the user `stockbridge`, else `postgres`, else makes a system user `stockbridge`. Raises
    Misconfigured when that cannot be done.
    """
    uid = os.geteuid()
    if uid != 0:
        me = _by_uid(uid)
        return Account(me.pw_name, me.pw_uid, me.pw_gid, client=me.pw_name)
    owners = [path.stat().st_uid for path in (data_dir / "pg", data_dir) if path.exists()]
    owner = next(filter(None, owners), 0)
    chosen = _by_uid(owner) if owner else _existing() or _created()
    return Account(chosen.pw_name, chosen.pw_uid, chosen.pw_gid, client=_by_uid(0).pw_name)


def _by_uid(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise Misconfigured(
            f"user id {uid} has no name in the user database, and the embedded PostgreSQL needs "
            "one: add the user, or set STOCKBRIDGE_DSN to use a server of yours"
        ) from None


def _existing() -> pwd.struct_passwd | None:
    for name in (ACCOUNT, _SYSTEM_ACCOUNT):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry
    return None


def _created() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    fix = (
        "PostgreSQL does not run as root: run Stockbridge as an ordinary user, add a system user "
        f"named {ACCOUNT}, or set STOCKBRIDGE_DSN to use a server of yours"
    )
    if useradd is None:
        raise Misconfigured(f"cannot add a system user, there is no useradd. {fix}")
    command = [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", ACCOUNT]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Misconfigured(f"useradd {ACCOUNT} failed: {result.stderr.strip()}. {fix}")
    return pwd.getpwnam(ACCOUNT)


def first_closed(path: Path, account: Account) -> Path | None:
    """Return the topmost folder on the way to `path` (itself included) closed to `account`."""
    if not account.foreign:
        return None
    folders: Sequence[str] = [str(part) for part in (*reversed(path.parents), path)]
    script = 'for p; do test -x "$p" || { printf %s "$p"; exit 1; }; done'
    command = ["/bin/sh", "-c", script, "sh", *folders]
    # Asked of the kernel as that user, so that access lists count as well as mode bits.
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", **account.identity()
    )
    return Path(result.stdout) if result.returncode else None


def group_name(gid: int) -> str:
    """Return the name of a group, or its number when it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
