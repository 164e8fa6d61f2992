"""Real orders through the hub: `stockbridge demo` and `stockbridge replay`."""

from stockbridge.demo.stack import run

__all__ = ["run"]
