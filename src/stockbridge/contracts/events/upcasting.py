"""Old versions of an event's data are lifted to the newest, step by step, before they are read."""

from collections.abc import Callable
from typing import Any

from stockbridge.kernel.errors import Broken

Data = dict[str, Any]
Step = Callable[[Data], Data]


class Upcasts:
    """Pure functions, one for each (name, version): that version's data to the next version's."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int], Step] = {}

    def register(self, name: str, from_version: int) -> Callable[[Step], Step]:
        """Decorator: the function lifts data of `from_version` to the version after it."""

        def keep(step: Step) -> Step:
            if (name, from_version) in self._steps:
                raise Broken(f"{name}.v{from_version} has two upcasts: delete one")
            self._steps[name, from_version] = step
            return step

        return keep

    def reaches(self, name: str, from_version: int, to_version: int) -> bool:
        """Whether every step between the versions is there."""
        return all((name, step) in self._steps for step in range(from_version, to_version))

    def lift(self, name: str, from_version: int, to_version: int, data: Data) -> Data:
        """The data as the newer version says it; `data` itself stays as it is."""
        lifted = dict(data)
        for version in range(from_version, to_version):
            lifted = self._steps[name, version](lifted)
        return lifted


UPCASTS = Upcasts()
"""The steps of the built-in contracts; none has an older version yet."""
