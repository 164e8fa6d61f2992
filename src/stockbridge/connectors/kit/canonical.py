"""Small pure helpers that mappings share. A mapping imports this, never the HTTP client."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid5

import msgspec

from stockbridge.contracts.events import Undecodable

_KEYS: Final = UUID("6f0c3b1e-57a8-5f0b-9a1d-8f6b0c5d2e11")


def key_of(*parts: object) -> str:
    """The same UUID for the same parts, always: an idempotency key for a payload."""
    return str(uuid5(_KEYS, "\x1f".join(map(str, parts))))


def segment(text: str) -> str:
    """A text as one segment of a path, slashes and all."""
    return quote(text, safe="")


def at(value: Any, *path: str | int) -> Any:
    """What stands at a path of names and indices in parsed JSON; None when it does not."""
    for step in path:
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def parsed(body: bytes) -> Any:
    """The JSON of a body; raises ValueError."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error


def canonical(value: Any) -> bytes:
    """JSON with sorted names, so that the same content has the same bytes, whoever brought it."""
    return msgspec.json.encode(value, order="deterministic")


def whole(value: Any) -> int:
    """A whole number given as a number or as decimal text ("12", "12.00000"); raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("true is no quantity")  # noqa: TRY004 - one kind of error for a caller
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is no number") from None
    if not number.is_finite() or number != number.to_integral_value():
        raise ValueError(f"{value!r} is no whole number")
    return int(number)


def moment(text: Any) -> datetime:
    """RFC 3339 text as a moment, without an offset taken as UTC; raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no moment")  # noqa: TRY004 - one kind of error for a caller
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def rfc3339(when: datetime) -> str:
    """The moment in UTC, ending in Z."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def unknown_location(config: Mapping[str, Any], theirs: str) -> Undecodable:
    """What a decoder answers for a place of the partner that no location of ours is.

    The message is read again by itself once the system's configuration is put anew.
    """
    detail = f"no location of ours is {theirs}; add it to locations of {config['system']}"
    return Undecodable("unknown_location", detail, ("config",))


def location_of(config: Mapping[str, Any], theirs: str) -> str | None:
    """Our location for the partner's, by `locations = {LONDON = "their id"}`."""
    table: Mapping[str, Any] = config.get("locations") or {}
    return next((ours for ours, other in table.items() if str(other) == theirs), None)
