"""Signatures on raw bytes: made once, compared in constant time against several secrets."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

PREFIX: Final = "whsec_"
TOLERANCE_SECONDS: Final = 300
_SIGNATURES_MAX: Final = 20
_DIGITS_MAX: Final = 12


def hmac_base64(key: bytes | str, message: bytes, digest: str = "sha256") -> str:
    """The HMAC in base64."""
    return b64encode(_hmac(key, message, digest)).decode()


def hmac_hex(key: bytes | str, message: bytes, digest: str = "sha256") -> str:
    """The HMAC in lower-case hexadecimal."""
    return _hmac(key, message, digest).hex()


def _hmac(key: bytes | str, message: bytes, digest: str) -> bytes:
    return hmac.new(key.encode() if isinstance(key, str) else key, message, digest).digest()


def is_signed(given: str, secrets: Iterable[str], sign: Callable[[str], str]) -> bool:
    """Whether `given` is what `sign` makes of one of the secrets; all are compared."""
    seen = given.encode()
    return bool(given) and bool(sum(hmac.compare_digest(seen, sign(s).encode()) for s in secrets))


def basic(user: str, password: str) -> str:
    """The value of an Authorization header with user and password."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def standard_key(secret: str) -> bytes | None:
    """The key in a Standard Webhooks secret, `whsec_` and base64; None when it is none."""
    encoded = secret.removeprefix(PREFIX).rstrip("=")
    try:
        return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True) or None
    except ValueError:
        return None


def standard_headers(
    secrets: Sequence[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers of a Standard Webhook, signed with each of the secrets."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = [key for secret in secrets if (key := standard_key(secret)) is not None]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{hmac_base64(key, signed)}" for key in keys),
    }


def is_standard(
    headers: Mapping[str, Any], body: bytes, secrets: Sequence[str], now: float
) -> bool:
    """Whether a Standard Webhook is by one of the secrets and not older than the tolerance."""
    stamp = str(headers.get("webhook-timestamp", ""))
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > _DIGITS_MAX:
        return False
    if not headers.get("webhook-id") or abs(now - int(stamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{headers['webhook-id']}.{stamp}.".encode() + body
    given = [
        part[3:]
        for part in str(headers.get("webhook-signature", "")).split(" ")[:_SIGNATURES_MAX]
        if part[:3] == "v1,"
    ]
    keys = [key for secret in secrets if (key := standard_key(secret)) is not None]
    expected = [hmac_base64(key, signed).encode() for key in keys]
    return bool(
        sum(hmac.compare_digest(one, other.encode()) for one in expected for other in given)
    )
