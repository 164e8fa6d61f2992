"""Every case, in the order they run: a floor just before what is compared with it."""

from collections.abc import Collection

from bench.cases import (
    engine,
    events,
    floors,
    growth,
    http,
    imports,
    inbox,
    listings,
    outbox,
    snapshots,
)
from bench.model import Case

CASES: tuple[Case, ...] = (
    floors.PGBENCH,
    *engine.CASES,
    floors.ASGI,
    *http.CASES,
    floors.COPY,
    *imports.CASES,
    *inbox.CASES,
    *events.CASES,
    *outbox.CASES,
    *snapshots.CASES,
    *listings.CASES,
    *growth.CASES,
)
BY_NAME = {case.name: case for case in CASES}


def chosen(names: Collection[str]) -> list[Case]:
    """The named cases with the floors they need, all if none is named.

    Raises ValueError for a name that is none.
    """
    unknown = sorted(set(names) - set(BY_NAME))
    if unknown:
        msg = f"no case is called {', '.join(unknown)}; the cases are {', '.join(BY_NAME)}"
        raise ValueError(msg)
    wanted = set(names) or set(BY_NAME)
    for name in list(wanted):
        wanted |= BY_NAME[name].floors
    return [case for case in CASES if case.name in wanted]
