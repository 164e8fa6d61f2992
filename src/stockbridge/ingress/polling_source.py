"""What a pull source is, as data, and what its pages say. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Shape

Path = Annotated[str, Meta(max_length=128, description="Names with dots between; empty: itself")]
Parameter = Annotated[str, Meta(min_length=1, max_length=64)]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
_MILLISECONDS_FROM: Final = 10**11
_ANYTHING = msgspec.json.Decoder()
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class Source(Shape, frozen=True, kw_only=True):
    """Where a feed is read and how its pages go on.

    `items` is where a page has its list, `id` and `timestamp` where an item has its own. With
    `since` the mark less the overlap is sent as that parameter. `versioned`: an item changes and
    each of its timestamps is another message. Without `contract` the system's mappings decide.
    `secret_header` carries the system's secret named `poll`, after `secret_prefix`.
    """

    url: Annotated[str, Meta(max_length=2_000, pattern=r"^https?://[^/@\s]+(/\S*)?$")]
    items: Path = "items"
    id: Path = "id"
    timestamp: Path = "updated_at"
    since: Parameter | None = "updated_since"
    paging: Literal["cursor", "page", "none"] = "cursor"
    cursor: Path = "next_cursor"
    cursor_parameter: Parameter = "cursor"
    page_parameter: Parameter = "page"
    first_page: Annotated[int, Meta(ge=0, le=1)] = 1
    overlap_seconds: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 600
    period_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 60
    pages_max: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    versioned: bool = False
    contract: Annotated[str, Meta(max_length=256)] | None = None
    secret_header: HeaderName | None = None
    secret_prefix: Annotated[str, Meta(max_length=32)] = "Bearer "  # noqa: S105 - a scheme

    @property
    def shifts(self) -> bool:
        """Whether items move between pages while these are read."""
        return self.paging == "page"


class Item(NamedTuple):
    """One item of a page: its id, when it changed if it says so, its exact bytes."""

    id: str
    at: datetime | None
    body: bytes


class PageRead(NamedTuple):
    """The items of a page and where the next one is; None: this was the last."""

    items: list[Item]
    next_url: str | None


class Unreadable(Exception):
    """A page does not say what the source's description promises; the text says where."""


def first_url(source: Source, mark: datetime | None) -> str:
    """Where a poll begins: the mark less the overlap, so that late items are seen."""
    values: dict[str, str] = {}
    if source.since is not None and mark is not None:
        began = mark.timestamp() - source.overlap_seconds
        since = datetime.fromtimestamp(began, UTC)
        values[source.since] = since.isoformat().replace("+00:00", "Z")
    if source.paging == "page":
        values[source.page_parameter] = str(source.first_page)
    return with_parameters(source.url, values)


def with_parameters(url: str, values: dict[str, str]) -> str:
    """The URL with parameters added or replaced."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, True) if name not in values]
    return urlunsplit(parts._replace(query=urlencode([*kept, *values.items()])))


def read_page(source: Source, url: str, body: bytes) -> PageRead:
    """The items of the page that `url` answered; raises Unreadable."""
    try:
        raw = list(_items(source, body))
        items = [_item(source, at, each) for at, each in enumerate(raw)]
        return PageRead(items, _next_url(source, url, body, bool(items)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"{url}: not the JSON that is described: {error}") from error


def _items(source: Source, body: bytes) -> Iterator[bytes]:
    at: bytes | msgspec.Raw = body
    for name in filter(None, source.items.split(".")):
        fields = _FIELDS.decode(at)
        if name not in fields:
            raise Unreadable(f"{source.url}: the page has no {source.items}")
        at = fields[name]
    return map(bytes, _LIST.decode(at))


def _item(source: Source, index: int, body: bytes) -> Item:
    value = _ANYTHING.decode(body)
    named, stamp = _at(value, source.id), _at(value, source.timestamp)
    if named is None or isinstance(named, dict | list | bool) or named == "":
        raise Unreadable(f"{source.url}: item {index} of a page has no {source.id}")
    moment = _moment(stamp)
    return Item(f"{named}@{stamp}" if source.versioned else str(named), moment, body)


def _at(value: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _moment(stamp: Any) -> datetime | None:
    """RFC 3339 text, or seconds or milliseconds since 1970."""
    try:
        if isinstance(stamp, str):
            moment = datetime.fromisoformat(stamp)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        if isinstance(stamp, int | float) and not isinstance(stamp, bool):
            seconds = stamp / 1000 if stamp >= _MILLISECONDS_FROM else stamp
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _next_url(source: Source, url: str, body: bytes, has_items: bool) -> str | None:
    if source.paging == "none" or not has_items:
        return None
    if source.paging == "page":
        page = dict(parse_qsl(urlsplit(url).query)).get(source.page_parameter, "")
        return with_parameters(url, {source.page_parameter: str(int(page) + 1)})
    cursor = _at(_ANYTHING.decode(body), source.cursor)
    if cursor is None or cursor == "" or isinstance(cursor, dict | list | bool):
        return None
    if isinstance(cursor, str) and cursor.startswith(("http://", "https://", "/")):
        return same_origin(source.url, urljoin(url, cursor))
    return with_parameters(url, {source.cursor_parameter: str(cursor)})


def same_origin(url: str, following: str) -> str:
    """`following` if it is on the host of `url`; raises Unreadable if it leads elsewhere."""
    if urlsplit(url)[:2] != urlsplit(following)[:2]:
        raise Unreadable(f"{url}: the next page is on another host, {following[:200]}")
    return following
