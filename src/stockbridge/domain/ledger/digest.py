"""The digest of a batch's movements: what the hash chain covers.

Canonical text, column by column in movement_id order, so that PostgreSQL and Python compute the
same: whole-number columns joined by ",", text columns by U+001F, NULL as U+001E, columns by a
newline; the first line is `batch_id,recorded_at` in microseconds since 1970. SHA-256 over UTF-8.
Columns: movement_id, kind, item_id, location_id, from_account, to_account, quantity, occurred_at
(microseconds), document_type, document_number, document_line, reason, unit_cost (numeric(18,6)
text), message_id, correlation_id, reverses (text), lot and serials (lot, then each serial, joined
by U+001D; NULL when neither is named).
"""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from stockbridge.kernel.clock import microseconds

TEXT_SEPARATOR = "\x1f"
NULL = "\x1e"
GROUP = "\x1d"


def texts(values: Iterable[str | None]) -> str:
    """One text column in canonical form."""
    return TEXT_SEPARATOR.join([NULL if value is None else value for value in values])


def batch_digest(batch_id: int, recorded_at: datetime, columns: Iterable[str]) -> bytes:
    """SHA-256 over the canonical columns (already joined) of one batch."""
    head = f"{batch_id},{microseconds(recorded_at)}"
    return sha256("\n".join([head, *columns]).encode()).digest()
