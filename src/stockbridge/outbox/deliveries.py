"""Deliveries as a deciding transaction adds them."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from stockbridge.domain.world.model import Owed
from stockbridge.store.arrays import texts

_encode = msgspec.json.Encoder().encode


def idempotency_key(owed: Owed) -> str:
    """A UUID of system, operation and business key: owed twice, it is one delivery."""
    text = f"{owed.system}\x1f{owed.operation}\x1f{owed.key}"
    digits = blake2b(text.encode(), digest_size=16).hexdigest()
    # Version 8 of RFC 9562: a UUID whose bits are the maker's own.
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def columns(owed: Sequence[Owed]) -> dict[str, Any]:
    """Parameters of `add_deliveries`, in the order they are owed."""
    return {
        "systems": texts([o.system for o in owed]),
        "operations": texts([o.operation for o in owed]),
        "object_keys": texts([o.object_key for o in owed]),
        "idempotency_keys": "{" + ",".join([idempotency_key(o) for o in owed]) + "}",
        "payloads": texts([_encode(o.payload).decode() for o in owed]),
        "correlation_ids": texts([o.correlation_id for o in owed]),
        "causes": texts([o.cause for o in owed]),
    }
