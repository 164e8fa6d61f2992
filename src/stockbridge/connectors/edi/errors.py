"""What stops us from writing: the only thing here that is raised, for what comes from our side."""

from stockbridge.kernel.errors import StockbridgeError


class Unwritable(StockbridgeError):
    """A document cannot be said in the partner's format; the text names the element and why."""
