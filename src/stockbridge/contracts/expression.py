"""JSONata expressions that cannot run away: same input, same answer, within stated limits.

No clock, no chance and no `$eval`; regular expressions take linear time (RE2). Steps are counted,
so that an expression which ends at all ends the same way on every machine; the time limit is
the last resort.
"""

import time
from typing import Any, Final, NamedTuple

import jsonata
from jsonata.regex_engine import RegexFlags

from stockbridge.contracts.schemas import compile_pattern

SOURCE_CHARS_MAX: Final = 32_000
STEPS_MAX: Final = 200_000
DEPTH_MAX: Final = 200
LIST_MAX: Final = 5_000
TEXT_CHARS_MAX: Final = 64_000
SECONDS_MAX: Final = 10.0
_FORBIDDEN: Final = ("now", "millis", "random", "shuffle", "eval")


class Failed(Exception):
    """The expression is wrong, or did not finish within its limits; the text says which."""


class Limits(NamedTuple):
    """How much one evaluation may do: steps, and seconds as the last resort."""

    steps: int = STEPS_MAX
    seconds: float = SECONDS_MAX


class Expression:
    """A compiled expression; raises Failed when it is no JSONata."""

    def __init__(self, source: str) -> None:
        if len(source) > SOURCE_CHARS_MAX:
            raise Failed(f"the expression is longer than {SOURCE_CHARS_MAX} characters")
        self.source = source
        try:
            self._compiled = jsonata.Jsonata(source, _regex)
        except Exception as error:
            raise Failed(f"the expression cannot be read: {_short(error)}") from error

    def evaluate(self, value: Any, limits: Limits = Limits()) -> Any:  # noqa: B008 - immutable
        """What the expression makes of `value`, as plain JSON values; raises Failed."""
        check_size(value)
        frame = self._compiled.create_frame()
        _Guard(frame, limits)
        try:
            return _plain(self._compiled.evaluate(value, frame))
        except Failed:
            raise
        except RecursionError:
            raise Failed("the expression calls itself too deeply") from None
        except Exception as error:
            raise Failed(_short(error)) from error


class _Guard:
    """Counts the steps of one evaluation and looks at what each of them gives."""

    def __init__(self, frame: Any, limits: Limits) -> None:
        self._steps_left = limits.steps
        self._ends_at = time.monotonic() + limits.seconds
        self._depth = 0
        frame.set_evaluate_entry_callback(self.enter)
        frame.set_evaluate_exit_callback(self.leave)
        for name in _FORBIDDEN:
            frame.bind(name, jsonata.Jsonata.JLambda(_refuser(name)))
        frame.bind("pad", jsonata.Jsonata.JLambda(_pad))

    def enter(self, _expression: Any, _input: Any, _environment: Any) -> None:
        """Before a step."""
        self._steps_left -= 1
        self._depth += 1
        if self._steps_left < 0:
            raise Failed("the expression took more steps than are allowed")
        if self._depth > DEPTH_MAX:
            raise Failed("the expression calls itself too deeply")
        if not self._steps_left & 0xFF and time.monotonic() > self._ends_at:
            raise Failed("the expression took too long")

    def leave(self, _expression: Any, _input: Any, _environment: Any, result: Any) -> None:
        """After a step."""
        self._depth -= 1
        _check_one(result)


def _refuser(name: str) -> Any:
    def refuse(*_arguments: Any) -> Any:
        raise Failed(f"${name} is not available: a mapping gives the same answer every time")

    return refuse


def _pad(text: str | None, width: float, filler: str = " ") -> str | None:
    """`$pad` of JSONata: to the right for a positive width, to the left for a negative one."""
    if text is None:
        return None
    if abs(width) > TEXT_CHARS_MAX:
        raise Failed(f"a text is longer than {TEXT_CHARS_MAX} characters")
    missing = max(0, int(abs(width)) - len(text))
    filling = ((filler or " ") * missing)[:missing]
    return text + filling if width > 0 else filling + text


def _regex(pattern: str, flags: RegexFlags) -> Any:
    return compile_pattern(pattern, ignore_case=flags.case_insensitive, multiline=flags.multiline)


def _check_one(value: Any) -> None:
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        raise Failed(f"a text is longer than {TEXT_CHARS_MAX} characters")
    if isinstance(value, list) and len(value) > LIST_MAX:
        raise Failed(f"a list is longer than {LIST_MAX}")


def check_size(value: Any) -> None:
    """Raise Failed when a text or a list somewhere in `value` is over the limits."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        _check_one(one)
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _plain(value: Any) -> Any:
    """The same as dict, list, str, int, float, bool or None and nothing else."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    raise Failed(f"the answer holds a {type(value).__name__}, which JSON has no word for")


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:500]
