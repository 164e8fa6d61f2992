"""Events in and out: shapes, built-in contracts, and from bytes to command bodies."""

from stockbridge.contracts.events.decoding import Undecodable, decode
from stockbridge.contracts.events.registry import EVENT_TYPES, EventType, split
from stockbridge.contracts.events.upcasting import UPCASTS, Upcasts

__all__ = ["EVENT_TYPES", "UPCASTS", "EventType", "Undecodable", "Upcasts", "decode", "split"]
