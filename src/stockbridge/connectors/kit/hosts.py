"""Where a connector may call: the hosts of its manifest, filled in from the configuration."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.kernel.errors import Misconfigured

_FIELD: Final = re.compile(r"\{(\w+)\}")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}


class Origin(NamedTuple):
    """Scheme, host in lower case, port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def fields(entry: str) -> list[str]:
    """The configuration fields that an entry of `hosts` names."""
    return _FIELD.findall(entry)


def origin_of(url: str) -> Origin:
    """The origin of an absolute URL; raises Misconfigured naming what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Misconfigured(f"{url[:200]} is no address: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Misconfigured(f"{url[:200]} is no address: give one like https://shop.example.com")
    if parts.username is not None or parts.password is not None:
        raise Misconfigured(f"an address on {parts.hostname} has a password in it; use a secret")
    return Origin(parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme])


def origins(manifest: Manifest, config: Mapping[str, Any]) -> frozenset[Origin]:
    """All origins the connector may call; entries whose fields are not configured give none."""
    found = (_origin(entry, config) for entry in manifest.hosts)
    allowed = frozenset(origin for origin in found if origin is not None)
    for origin in allowed:
        if (
            _is_address(origin.host)
            and is_inside(origin.host)
            and not is_loopback_name(origin.host)
        ):
            raise Misconfigured(f"{origin} is no partner's address")
    return allowed


def _origin(entry: str, config: Mapping[str, Any]) -> Origin | None:
    names = fields(entry)
    values = {name: str(config.get(name) or "") for name in names}
    if not all(values.values()):
        return None
    if entry == f"{{{names[0]}}}" if names else False:
        return origin_of(values[names[0]])
    for name, value in values.items():
        if not _NAME.fullmatch(value):
            raise Misconfigured(f"{name}: {value[:100]} is no part of a host's name")
    filled = _FIELD.sub(lambda match: values[match[1]], entry)
    return origin_of(filled if "://" in filled else f"https://{filled}")


def is_inside(address: str) -> bool:
    """Whether an IP address is this machine's own, or link-local (where clouds keep secrets)."""
    ip = ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return bool(
        mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped.is_multicast
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback_name(host: str) -> bool:
    """Whether a configured host plainly says this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ip_address(host).is_loopback
