"""Error kinds, named by what to do about them.

`Refusal` is a value: a typed business answer, stored like any other. The exceptions are for
what a caller cannot decide: `Misconfigured` (an administrator acts), `Retry` (the same call may
succeed later), `Broken` (an owner must look).
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command was not carried out; nothing of it was applied.

    `code` is stable and machine-readable, `status` is the HTTP status that fits, `errors` names
    each bad row: `{"index": 3, "field": "quantity", "code": ..., "detail": ...}`.
    """

    code: str
    detail: str
    status: int = 422
    errors: list[dict[str, Any]] = field(default_factory=list)

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 problem document."""
        body: dict[str, Any] = {
            "type": f"https://stockbridge.io/problems/{self.code.replace('_', '-')}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        return body


class StockbridgeError(Exception):
    """Root of our exceptions; the text says the cause, the record and the fix."""


class Misconfigured(StockbridgeError):
    """An administrator must change a setting, a file or a server."""


class Retry(StockbridgeError):
    """The same call may succeed later; `after_seconds` says when to try."""

    def __init__(self, message: str, after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Broken(StockbridgeError):
    """A defect or corrupted data; an owner must look."""
