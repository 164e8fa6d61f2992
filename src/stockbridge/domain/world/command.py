"""A command on its way through the engine, and its outcome."""

from typing import Any

import msgspec

from stockbridge.kernel.errors import Refusal


class Command(msgspec.Struct, frozen=True):
    """`body` is a shape of stockbridge.contracts; the rest says who asks and under which ids.

    `key` is the caller's idempotency key, unique within `principal`; without one the command
    acts once for each submit. `channel` and `system` are the caller's binding, if it has one;
    `flow` names the stream that a message's number counts in.
    """

    body: Any
    principal: str = ""
    key: str | None = None
    correlation_id: str = ""
    channel: str | None = None
    system: str | None = None
    message_id: str | None = None
    flow: str = ""


Answer = tuple[int, Any]
"""(HTTP status, document to encode)."""

Decision = Answer | Refusal
