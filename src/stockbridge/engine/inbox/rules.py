"""What becomes of messages, as pure rules: envelopes, outcomes of commands, gaps."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from stockbridge.engine.inbox.model import Envelope, Flow, Message, Settlement, Undecodable
from stockbridge.kernel.errors import Refusal

BODY_BYTES_MAX = 1024 * 1024
TEXT_MAX = 512
"""Most characters of each name and id in an envelope."""
SEQUENCE_MAX = 2**62
ATTEMPTS_MAX = 3
REASON_MAX = 2_000
JOINS_AT_ONCE = 5
PAUSE_SECONDS_MAX = 600
GAP = "sequence_gap"

_CREATED, _FIRST_REFUSAL, _FIRST_FAILURE = 201, 400, 500
_IN_PROGRESS = "request_in_progress"
_UNREACHABLE = 503


class _Line(msgspec.Struct):
    outcome: str = ""


class _Answer(msgspec.Struct):
    lines: list[_Line] = []


class _Error(msgspec.Struct):
    missing: str | list[str] = []


class _Problem(msgspec.Struct):
    code: str = ""
    detail: str = ""
    errors: list[_Error] = []


_APPLIED = Settlement("applied")
_answer = msgspec.json.Decoder(_Answer | list[Any] | int | None)
_problem = msgspec.json.Decoder(_Problem)


class Result(NamedTuple):
    """Status and JSON of one command's outcome."""

    status: int
    body: bytes


def refusal_of(envelope: Envelope) -> Refusal | None:
    """Why the envelope cannot be kept; None when it can."""
    if len(envelope.body) > BODY_BYTES_MAX:
        detail = (
            f"message {envelope.source_message_id[:80]} has {len(envelope.body):,} bytes; "
            f"a message has at most {BODY_BYTES_MAX:,}: split it"
        )
        return Refusal("message_too_large", detail, 413)
    fault = _texts_fault(envelope)
    if fault is not None:
        return Refusal("invalid_envelope", fault, 422)
    if not envelope.system or not envelope.source_message_id or not envelope.contract:
        return Refusal(
            "invalid_envelope", "a message needs its system, its id there and a contract"
        )
    if envelope.sequence is not None and not 0 <= envelope.sequence < SEQUENCE_MAX:
        detail = f"sequence: {envelope.sequence} is not a number from 0 to {SEQUENCE_MAX - 1}"
        return Refusal("invalid_envelope", detail, 422)
    return None


def _texts_fault(envelope: Envelope) -> str | None:
    """What is wrong with one of the texts; short plain ones, as nearly all are, pass at once."""
    e = envelope
    whole = "".join(
        (e.system, e.source_message_id, e.flow, e.correlation_id, e.causation_id or "",
         e.principal, e.door, e.contract, e.content_type)
    )  # fmt: skip
    if len(whole) <= TEXT_MAX and whole.isascii() and "\0" not in whole:
        return None
    for name, value in zip(Envelope._fields, envelope, strict=True):
        fault = _text_fault(value) if isinstance(value, str) else None
        if fault is not None:
            return f"{name}: {fault}"
    return None


def _text_fault(value: str) -> str | None:
    if len(value) > TEXT_MAX:
        return f"has {len(value)} characters, at most {TEXT_MAX} are taken"
    if "\0" in value:
        return "contains a NUL character; remove it"
    return None if value.isascii() or _is_utf8(value) else "is not text: it has half a character"


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def identity(system: str, source_message_id: str, content_hash: bytes = b"") -> str:
    """32 hex digits that stand for a source's id; with a hash, for one of its contents."""
    digest = blake2b(f"{system}\x1f{source_message_id}".encode(), digest_size=16)
    if content_hash:
        digest.update(b"\x1f" + content_hash)
    return digest.hexdigest()


def undecodable(cause: Undecodable) -> Settlement:
    """An unknown contract or version is waited for; anything else is the sender's mistake."""
    status = "parked" if cause.missing else "rejected"
    return Settlement(status, cause.code, _clean(cause.detail), cause.missing)


def failed(message: Message, detail: str) -> Settlement:
    """Our own defect: tried a few times, then left to an owner."""
    attempts = message.attempts + 1
    if attempts >= ATTEMPTS_MAX:
        return Settlement("dead", "internal_error", _clean(detail))
    return Settlement("received", "internal_error", _clean(detail), again_seconds=2**attempts)


def settle(message: Message, results: Sequence[Result]) -> Settlement | None:
    """What became of the message whose commands had these results; None: it is still going on.

    Applied when every command was; parked when all that refused miss something that may come.
    """
    if len(results) == 1 and results[0].status == _CREATED:
        return _APPLIED
    refused = [result for result in results if result.status >= _FIRST_REFUSAL]
    if not refused:
        known = bool(results) and all(map(_is_duplicate, results))
        return Settlement("duplicate" if known else "applied")
    broken = [result for result in refused if result.status >= _FIRST_FAILURE]
    problems = [_problem_of(result) for result in broken or refused]
    if any(result.status == _UNREACHABLE for result in broken) or any(
        problem.code == _IN_PROGRESS for problem in problems
    ):
        return None
    first = problems[0]
    if broken:
        return failed(message, first.detail)
    keys = [_missing(problem) for problem in problems]
    if all(keys):
        merged = tuple(dict.fromkeys(key for some in keys for key in some))
        return Settlement("parked", first.code, _clean(first.detail), merged)
    blocking = next(p for p, some in zip(problems, keys, strict=True) if not some)
    return Settlement("rejected", _clean(blocking.code), _clean(blocking.detail))


def _is_duplicate(result: Result) -> bool:
    if result.status == _CREATED:
        return False
    answer = _answer.decode(result.body)
    lines = answer.lines if isinstance(answer, _Answer) else []
    return bool(lines) and all(line.outcome == "duplicate" for line in lines)


def _problem_of(result: Result) -> _Problem:
    try:
        return _problem.decode(result.body)
    except msgspec.MsgspecError:
        return _Problem("refused", result.body.decode(errors="replace"))


def _missing(problem: _Problem) -> list[str]:
    """The wait keys of a refusal, none unless each of its errors names what is missing."""
    found: list[str] = []
    for error in problem.errors:
        keys = [error.missing] if isinstance(error.missing, str) else error.missing
        if not keys:
            return []
        found.extend(keys)
    return found


def _clean(text: str) -> str:
    return text.replace("\0", "\\0").encode(errors="replace").decode()[:REASON_MAX]


def blocked_by(
    message: Message, flow: Flow, first_gap: int | None, now: datetime
) -> Settlement | None:
    """Whether a message of a strict flow must wait for the number before it; never for ever."""
    if message.sequence is None or first_gap is None or message.sequence < first_gap:
        return None
    if now >= message.received_at + timedelta(seconds=flow.wait_seconds_max):
        return None
    detail = f"{message.system} {message.flow}: number {first_gap} has not arrived"
    key = f"sequence:{message.system}:{message.flow}:{first_gap}"
    return Settlement("parked", GAP, detail, (key,))


def deadline(message: Message, settlement: Settlement, flow: Flow, now: datetime) -> datetime:
    """Until when a parked message may wait quietly; one tried again later has its time anew."""
    by_gap = settlement.reason_code == GAP
    patience = timedelta(seconds=flow.wait_seconds_max if by_gap else flow.park_seconds_max)
    ends_at: datetime = message.received_at + patience
    return ends_at if ends_at > now else now + patience


def pause_seconds(message: Message, settlement: Settlement) -> int:
    """How long a message is left parked though what it misses exists: longer if often in vain."""
    if settlement.reason_code == GAP:
        return 0
    vain = min(message.attempts - JOINS_AT_ONCE, 10)
    return 0 if vain < 0 else min(2**vain, PAUSE_SECONDS_MAX)
