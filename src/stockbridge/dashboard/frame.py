"""The frame around every page: templates, words and addresses they share."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stockbridge.dashboard.web import Ask, Reply
from stockbridge.kernel.errors import Refusal

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_TEXT_MAX: Final = 60_000
_NEVER: Final = "infinity"
NAV: Final = (
    ("overview", "/", "Overview", "o"),
    ("questions", "/questions", "Questions", "q"),
    ("exceptions", "/exceptions", "Exceptions", "e"),
    ("orders", "/orders", "Orders", "r"),
    ("items", "/items", "Items", "i"),
    ("messages", "/messages", "Messages", "m"),
    ("deliveries", "/deliveries", "Deliveries", "d"),
    ("listings", "/listings", "Listings", "l"),
    ("systems", "/systems", "Systems", "s"),
)
"""Section, address, title, and the key after `g` that leads there."""
_TONES: Final = {
    "good": "ok applied confirmed completed accepted live closed active shipped done certified",
    "bad": "dead rejected failed open unknown retired cancelled",
    "slow": "parked dirty sending waiting half_open suspended backordered on_hold erp_pending "
    "stale received draft testing duplicate",
}
_TONE_OF: Final = {word: name for name, words in _TONES.items() for word in words.split()}


def render(template: str, ask: Ask, section: str, **values: Any) -> Reply:
    """A page within the frame."""
    text = _TEMPLATES.get_template(template).render(ask=ask, section=section, nav=NAV, **values)
    return Reply(int(values.get("status", 200)), text.encode())


def refused(refusal: Refusal, ask: Ask) -> Reply:
    """The page of a refusal."""
    return render("refused.html", ask, "", refusal=refusal, status=refusal.status)


def asset(name: str) -> bytes:
    """One of the files that pages bring along: style, scripts."""
    return (files(__package__) / "assets" / name).read_bytes()


def address(path: str, *parts: object, **query: object) -> str:
    """An address of ours: `parts` fill the `{}` of `path`; empty fields are left out."""
    filled = path.format(*(quote(str(part), safe="") for part in parts)) if parts else path
    given = {name: value for name, value in query.items() if value not in {None, ""}}
    return f"{filled}?{urlencode(given)}" if given else filled


def moment(value: Any) -> str:
    """A time to the second, in UTC."""
    if value == _NEVER:
        return "never"
    when = _time(value)
    return "" if when is None else f"{when:%Y-%m-%d %H:%M:%S}"


def age(value: Any, now: datetime | None = None) -> str:
    """How long ago, or in how long, in its largest unit."""
    if value == _NEVER:
        return "never"
    when = _time(value)
    if when is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    text = duration(abs(seconds))
    return f"in {text}" if seconds < 0 else text


def duration(seconds: float) -> str:
    """Seconds in their largest unit."""
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def tone(state: object) -> str:
    """What a state means for the reader: good, slow, bad or nothing."""
    return _TONE_OF.get(str(state), "")


def pretty(value: Any) -> str:
    """A value as indented JSON, cut where it is very long."""
    return cut(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def cut(text: str) -> str:
    """A text no page grows too large of."""
    if len(text) <= _TEXT_MAX:
        return text
    return f"{text[:_TEXT_MAX]}\n... {len(text) - _TEXT_MAX:,} more characters"


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None


def _count(value: int | None, most: int = 1_000) -> str:
    """A figure; one that was counted no further says so."""
    if value is None:
        return ""
    return f"{most:,}+" if value > most else f"{value:,}"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": moment, "age": age, "tone": tone, "pretty": pretty, "cut": cut}
    made.filters |= {"counted": _count, "duration": duration}
    made.globals |= {"url": address}
    return made


_TEMPLATES = _environment()
