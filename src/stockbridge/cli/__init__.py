"""The command line, `stockbridge`. Commands import what they need, so that help is quick."""

import sys


def main() -> None:
    """Run the command line; a problem is one message on stderr and exit code 1."""
    from stockbridge.cli.root import cli
    from stockbridge.kernel.errors import StockbridgeError

    try:
        cli()
    except StockbridgeError as error:
        print(f"stockbridge: {error}", file=sys.stderr)
        sys.exit(1)


__all__ = ["main"]
