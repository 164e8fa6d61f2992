"""Correlation ids and W3C trace context: taken from the caller, made up when absent."""

import os
import re

from stockbridge.kernel.errors import Refusal

_CORRELATION_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def correlate(correlation_id: bytes | None, traceparent: bytes | None) -> tuple[str, str] | Refusal:
    """(correlation id, traceparent) of a request.

    A malformed correlation id is refused, so that nobody searches for it in vain later; a
    malformed traceparent is replaced, as W3C Trace Context asks. The trace's id is the
    correlation id when the caller sent only a trace.
    """
    trace = None
    if traceparent is not None:
        trace = _TRACEPARENT.fullmatch(traceparent)
        if trace and (not trace[1].strip(b"0") or not trace[2].strip(b"0")):
            trace = None
    if correlation_id is not None:
        if not _CORRELATION_ID.fullmatch(correlation_id):
            return Refusal(
                "correlation_id_invalid",
                "X-Correlation-Id: use 1 to 128 letters, digits and . _ : / + = @ -",
                400,
            )
        chosen = correlation_id.decode()
        if trace:
            return chosen, trace[0].decode()
        made = os.urandom(16).hex()
        return chosen, f"00-{made}-{made[:16]}-00"
    if trace:
        return trace[1].decode(), trace[0].decode()
    made = os.urandom(16).hex()
    return made, f"00-{made}-{made[:16]}-00"
