"""Real orders through the hub: `stockbridge demo` and `stockbridge replay`."""

from pathlib import Path

from stockbridge.kernel.settings import Settings


def run(
    settings: Settings, *, headless: bool, source: Path | None = None, fresh: bool = False
) -> int:
    """Replay `source` (the shipped slice if None); return the exit code.

    Without a `dsn` the database is an embedded one in a folder of the demo's own, beside the
    default data directory unless a setting names another; `fresh` empties it first. `headless`
    prints the summary and returns 1 if an invariant broke or a fact was refused; else the API
    and the overview stay up, with a trickle of orders, until Ctrl-C.

    Raises Misconfigured when the file or the data directory cannot be used.
    """
    from stockbridge.demo.stack import run_stack

    return run_stack(settings, headless=headless, source=source, fresh=fresh)
