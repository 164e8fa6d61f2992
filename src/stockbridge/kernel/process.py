"""How the interpreter is set up for a process that serves."""

import gc
from typing import Final

_YOUNG_MAX: Final = 50_000
_ROUNDS_MAX: Final = 20


def tune_gc() -> None:
    """Let the garbage collector run seldom and leave alone what is here to stay.

    Call it when everything is started and loaded: modules, routes, masters and stock in memory
    are then never walked again, and a round comes after tens of thousands of new objects, not
    after hundreds. Nearly all our objects end by their reference count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, _ROUNDS_MAX, _ROUNDS_MAX)
