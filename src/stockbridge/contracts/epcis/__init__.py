"""EPCIS 2.0: events of things, read and turned into commands."""

from stockbridge.contracts.epcis.reading import (
    CONTRACT,
    decode,
    identity,
    message_id,
    read_document,
    read_event,
)

__all__ = ["CONTRACT", "decode", "identity", "message_id", "read_document", "read_event"]
