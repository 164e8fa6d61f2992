"""Amazon's token buckets: what answers say of them, and how long to wait when they do not."""

from collections.abc import Mapping
from math import isfinite
from typing import Final

import msgspec

from stockbridge.connectors.kit.outcomes import Failed, Reply
from stockbridge.contracts.partners.model import LimitSeen

HEADER: Final = "x-amzn-ratelimit-limit"
"""Calls a second of the operation; not every answer has it."""
_THROTTLED: Final = 429
_PER_SECOND: Final[Mapping[str, float]] = {
    "publish": 5, "observe": 5, "catalog": 5, "orders": 0.0056, "order": 0.5,
    "publish_bulk": 0.0083, "cancel_order": 0.0083, "confirm_shipment": 2, "feed": 2,
    "feed_document": 0.5, "report": 0.0222,
}  # fmt: skip
"""Defaults: https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits."""
_BUCKETS: Final[Mapping[str, str]] = {"order": "notifications"} | {
    name: name for name in ("publish", "observe", "catalog", "orders", "publish_bulk",
                            "cancel_order", "confirm_shipment")
}  # fmt: skip
"""The manifest's limit that a call takes from."""


def per_second(operation: str, headers: Mapping[str, str]) -> tuple[float, bool]:
    """Calls a second, and whether the answer said so."""
    try:
        told = float(headers.get(HEADER, ""))
    except ValueError:
        told = 0.0
    if told > 0 and isfinite(told):
        return told, True
    return _PER_SECOND.get(operation, 1.0), False


def limit_seen(operation: str, reply: Reply) -> LimitSeen | None:
    """What an answer says of its operation's bucket; one that is empty fills by one token."""
    bucket = _BUCKETS.get(operation)
    rate, is_told = per_second(operation, reply.headers)
    if bucket is None or (reply.status != _THROTTLED and not is_told):
        return None
    told = rate if is_told else None
    if reply.status != _THROTTLED:
        return LimitSeen(bucket, per_second=told)
    return LimitSeen(bucket, remaining=0, per_second=told, wait_seconds=1 / rate)


def paced(operation: str, error: Failed) -> Failed:
    """The same, with how long to wait when Amazon only said that it was too fast."""
    outcome = error.outcome
    if error.reply is None or outcome.code != "throttled" or outcome.after_seconds is not None:
        return error
    wait = 1 / per_second(operation, error.reply.headers)[0]
    return Failed(msgspec.structs.replace(outcome, after_seconds=wait), error.reply)
