"""What a page is given and gives back, and the checks that stand before it."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from stockbridge.governance.users import User
from stockbridge.kernel.errors import Refusal

HTML: Final = b"text/html; charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
FORM_BYTES_MAX: Final = 64 * 1024
Headers = tuple[tuple[bytes, bytes], ...]
_FIELDS_MAX: Final = 40
_COOKIES: Final = ("__Host-stockbridge", "stockbridge")
_PROXIED: Final = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto")
_SAFE: Final = frozenset({"GET", "HEAD"})
_OURS: Final = frozenset({b"same-origin", b"none"})
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")

SECURITY: Final[Headers] = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On every page: nothing but our own files, no inline script or style, in nobody's frame."""


class Reply(NamedTuple):
    """An answer to a browser."""

    status: int
    body: bytes
    content_type: bytes = HTML
    headers: Headers = ()


@dataclass(frozen=True)
class Ask:
    """One request of a browser: `path` as it came, `params` from it, who asks (None: nobody).

    `nobody_can`: no account exists, so nobody can sign in.
    """

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    correlation_id: str
    user: User | None = None
    nobody_can: bool = False

    @property
    def actor(self) -> str:
        """The name in audits; only acts ask for it, and acts have a person."""
        return "anonymous" if self.user is None else self.user.actor

    def may(self, role: str) -> bool:
        """Whether the person has a role."""
        return self.user is not None and self.user.has(role)

    @property
    def is_encrypted(self) -> bool:
        """Whether a proxy before us ends TLS."""
        return self.headers.get(b"x-forwarded-proto") == b"https"


def fields(text: str) -> dict[str, str] | Refusal:
    """The fields of a query or a form, blank ones left out; of one name the last counts."""
    try:
        pairs = parse_qsl(text, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        return Refusal("invalid_request", f"at most {_FIELDS_MAX} fields, in UTF-8", 400)
    found = {name: value.strip() for name, value in pairs if value.strip()}
    if any("\0" in name + value for name, value in found.items()):
        return Refusal("invalid_request", "no field may hold a null character", 400)
    return found


def cross_site(method: str, headers: Mapping[bytes, bytes]) -> Refusal | None:
    """Refuse an act that another site's page makes a browser send.

    Browsers say so in Sec-Fetch-Site; older ones give the page's Origin, which must be our host.
    """
    if method in _SAFE:
        return None
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        ours = site in _OURS
    else:
        origin, host = headers.get(b"origin", b""), headers.get(b"host", b"")
        ours = bool(host) and origin.partition(b"://")[2] == host
    return None if ours else Refusal("cross_site", "this did not come from a page of ours", 403)


def is_local(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is of this machine: no proxy brought it, and no other name leads here.

    A name of somebody's own that points to 127.0.0.1 would let their page read ours.
    """
    if any(name in headers for name in _PROXIED):
        return False
    name = headers.get(b"host", b"").rpartition(b":")[0] or headers.get(b"host", b"")
    text = name.decode("latin-1").strip("[]")
    try:
        return text == "localhost" or ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def session_token(headers: Mapping[bytes, bytes]) -> str:
    """The session in the cookies; empty without one."""
    pairs = [
        pair.partition("=") for pair in headers.get(b"cookie", b"").decode("latin-1").split(";")
    ]
    cookies = {name.strip(): value.strip() for name, _, value in pairs}
    return next((cookies[name] for name in _COOKIES if cookies.get(name)), "")


def session_cookie(token: str, seconds: int, *, encrypted: bool) -> tuple[bytes, bytes]:
    """Set-Cookie of a session; no script reads it and no other site's request carries it."""
    name, secure = (_COOKIES[0], "; Secure") if encrypted else (_COOKIES[1], "")
    value = f"{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"
    return b"set-cookie", value.encode()


def see(path: str, *headers: tuple[bytes, bytes]) -> Reply:
    """Send the browser to a page of ours."""
    place = path if _LOCAL_PATH.fullmatch(path) else "/"
    return Reply(303, b"", HTML, ((b"location", place.encode()), *headers))
