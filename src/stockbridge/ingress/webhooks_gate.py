"""Who a webhook is from, by the Standard Webhooks scheme: verified on the bytes as they came."""

import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from stockbridge.governance import audit, secrets
from stockbridge.governance.secrets import SecretBox
from stockbridge.kernel.errors import Refusal
from stockbridge.store.database import Pool

NAME: Final = "webhook"
PREFIX: Final = "whsec_"
TOLERANCE_SECONDS: Final = 300
SECRET_BYTES: Final = range(24, 65)
_SIGNATURES_MAX: Final = 20
_CACHE_SECONDS: Final = 2.0
_CACHE_MAX: Final = 1_000
_AUDIT_SECONDS: Final = 60.0
_TIMESTAMP_DIGITS_MAX: Final = 12
Headers = Mapping[bytes, bytes]


def secret_bytes(text: str) -> bytes | None:
    """The key in a secret, `whsec_` and base64; None when it is none of 24 to 64 bytes."""
    encoded = text.removeprefix(PREFIX).rstrip("=")
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return None
    return key if len(key) in SECRET_BYTES else None


def signature(key: bytes, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """The base64 HMAC over id, timestamp and body."""
    signed = hmac.new(key, b"%b.%b." % (message_id, timestamp), sha256)
    signed.update(body)
    return b64encode(signed.digest())


def fault(headers: Headers, body: bytes, keys: list[bytes], now: float) -> Refusal | None:
    """Why a webhook is not believed; None when one of its signatures is by one of the keys."""
    names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    message_id, timestamp, signatures = (headers.get(name, b"") for name in names)
    missing = [n.decode() for n in names if not headers.get(n)]
    if missing:
        return Refusal("signature_missing", f"header {', '.join(missing)} is missing", 401)
    if not timestamp.isdigit() or len(timestamp) > _TIMESTAMP_DIGITS_MAX:
        return Refusal("timestamp_invalid", "webhook-timestamp is not in seconds since 1970", 401)
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        detail = f"webhook-timestamp is more than {TOLERANCE_SECONDS} s from our clock"
        return Refusal("timestamp_out_of_tolerance", detail, 401)
    expected = [signature(key, message_id, timestamp, body) for key in keys]
    given = [part[3:] for part in signatures.split(b" ")[:_SIGNATURES_MAX] if part[:3] == b"v1,"]
    # Every pair is compared, so that the time taken tells nothing.
    if sum(hmac.compare_digest(one, other) for one in expected for other in given):
        return None
    return Refusal("signature_invalid", "no signature fits a secret of this system", 401)


class WebhookGate:
    """Lets verified webhooks pass; counts the others, and tells the audit now and then."""

    def __init__(self, pool: Pool, box: SecretBox, registry: CollectorRegistry) -> None:
        self.box = box
        self._pool = pool
        self._keys: dict[str, tuple[float, list[bytes]]] = {}
        self._untold: dict[str, int] = {}
        self._told_at: dict[str, float] = {}
        self._refused = Counter(
            "stockbridge_webhooks_refused", "Webhooks not believed", ("code",), registry=registry
        )

    async def refusal(
        self, system: str, headers: Headers, body: bytes, correlation_id: str
    ) -> Refusal | None:
        """Why the webhook is refused; raises Misconfigured when secrets cannot be read."""
        keys = await self._keys_of(system)
        found = fault(headers, body, keys, time.time())
        if found is not None:
            await self.count(system if keys else "", found, correlation_id)
        return found

    async def count(self, system: str, found: Refusal, correlation_id: str) -> None:
        """Count a webhook that is not believed; system '': of one we do not know."""
        self._refused.labels(found.code).inc()
        await self._tell(system, found, correlation_id)

    def forget(self, system: str) -> None:
        """Read the system's secrets anew the next time."""
        self._keys.pop(system, None)

    async def _keys_of(self, system: str) -> list[bytes]:
        known = self._keys.get(system)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        async with self._pool.connection() as conn:
            found = await secrets.active(conn, self.box, system, NAME)
        keys = [key for secret in found if (key := secret_bytes(secret)) is not None]
        if len(self._keys) >= _CACHE_MAX:
            self._keys.clear()
        self._keys[system] = (time.monotonic() + _CACHE_SECONDS, keys)
        return keys

    async def _tell(self, system: str, found: Refusal, correlation_id: str) -> None:
        """One audit row a minute for a system; all unknown ones share theirs."""
        self._untold[system] = self._untold.get(system, 0) + 1
        now = time.monotonic()
        if now - self._told_at.get(system, float("-inf")) < _AUDIT_SECONDS:
            return
        self._told_at[system] = now
        detail = {"code": found.code, "refused_since": self._untold.pop(system)}
        subject = f"system/{system}" if system else "system"
        async with self._pool.connection() as conn:
            await audit.record(conn, "unknown", "webhook.refused", subject, detail, correlation_id)
