"""Idempotency: keys, body hashes, answers as stored bytes."""

from collections.abc import Callable
from hashlib import blake2b
from secrets import token_hex
from typing import Any, NamedTuple

import msgspec

from stockbridge.domain.world.command import Command, Decision
from stockbridge.kernel.errors import Refusal

FIRST_ERROR = 400

_encode_body = msgspec.msgpack.Encoder().encode
_encode_answer = msgspec.json.Encoder().encode


class Outcome(NamedTuple):
    """What the caller gets: HTTP status, JSON bytes, whether it is a stored first answer."""

    status: int
    body: bytes
    replayed: bool = False

    @property
    def document(self) -> Any:
        """The decoded answer."""
        return msgspec.json.decode(self.body)


Told = Callable[[Outcome], None]


class Request:
    """A submitted command; `told`, where given, hears its outcome once, and raises nothing."""

    __slots__ = ("body_hash", "command", "key", "told", "weight")

    def __init__(self, command: Command, told: Told | None = None) -> None:
        self.command = command
        self.told = told
        self.key = request_key(command)
        # What a message asks for follows from its stored bytes, so its key alone tells.
        self.body_hash = body_hash(command) if command.message_id is None else b""
        self.weight = len(getattr(command.body, "lines", ())) or 1


def request_key(command: Command) -> str:
    """32 hex digits: of principal and idempotency key, or fresh where the caller gave none."""
    if command.key is None:
        return token_hex(16)
    text = f"{command.principal}\x1f{command.key}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def body_hash(command: Command) -> bytes:
    """16 bytes over the kind and the content of the body; spelling of the JSON does not matter."""
    body = command.body
    content = type(body).__name__.encode() + _encode_body(body)
    return blake2b(content, digest_size=16).digest()


def encode(decision: Decision) -> Outcome:
    """The answer as it is stored and sent."""
    if isinstance(decision, Refusal):
        return Outcome(decision.status, _encode_answer(decision.problem()))
    return Outcome(decision[0], _encode_answer(decision[1]))


KEY_REUSED = Refusal(
    "idempotency_key_reused",
    "this Idempotency-Key was used with another body; use a new key for a new request",
    422,
)
IN_PROGRESS = Refusal(
    "request_in_progress",
    "the first request with this Idempotency-Key is still running; try again in a moment",
    409,
)
BROKEN = Refusal(
    "internal_error",
    "this command failed inside the hub and changed nothing; operations has been told",
    500,
)
UNREACHABLE = Refusal(
    "store_unavailable",
    "the database cannot be reached; nothing is lost, send the same request again",
    503,
)
