"""What a connector must keep about what comes in: webhooks, feeds, their meaning, the catalog."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from stockbridge.connectors.kit.conformance.bench import (
    SYSTEM,
    Bench,
    Case,
    Nonconforming,
    events_of,
    expect,
    expect_ours,
)
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Connector, Incoming, WebhookRequest
from stockbridge.kernel.errors import Retry

_ORDERS: Final = "orders"
_PAGE: Final = 2
_PAGES_MAX: Final = 200


def _hooks(manifest: Manifest) -> str | None:
    return None if manifest.webhook is not None else "it sends no webhooks"


def _sells(manifest: Manifest) -> str | None:
    has_feed = any(feed.name == _ORDERS for feed in manifest.feeds)
    return None if has_feed else "it has no feed of orders"


def _hooks_and_sells(manifest: Manifest) -> str | None:
    return _hooks(manifest) or _sells(manifest)


def _lists(manifest: Manifest) -> str | None:
    return None if manifest.has_catalog else "it has no catalog"


def _sell(bench: Bench, times: int) -> list[str]:
    """So many orders of one item each."""
    bench.simulator.list_item("SKU-1", 100)
    return [bench.simulator.order({"SKU-1": 1}).number for _ in range(times)]


def _secrets(bench: Bench) -> list[str]:
    name = bench.manifest.webhook.secret if bench.manifest.webhook else ""
    return [bench.simulator.secrets()[name]]


async def _read(
    connector: Connector, since: datetime | None, cursor: str | None = None
) -> list[Incoming]:
    """Every message of the feed of orders."""
    found: list[Incoming] = []
    for _ in range(_PAGES_MAX):
        page = await connector.poll(_ORDERS, since, cursor)
        found += page.messages
        if page.cursor is None:
            return found
        cursor = page.cursor
    raise Nonconforming(f"the feed did not end after {_PAGES_MAX} pages")


def _placed(bench: Bench, messages: Sequence[Incoming]) -> dict[str, int]:
    """Orders placed, by their number, and how many messages told each."""
    found: dict[str, int] = {}
    config = {**bench.simulator.config(), "system": SYSTEM}
    for message in {(m.message_id, m.topic): m for m in messages}.values():
        events = bench.registry.decode(bench.name, message.topic, message.body, config)
        for event in events_of(events):
            expect_ours(event)
            if event.type.startswith("io.stockbridge.order.placed"):
                number = str(event.data["number"])
                found[number] = found.get(number, 0) + 1
    return found


async def believes_only_signed_webhooks(bench: Bench) -> None:
    """A webhook is believed by its signature, also by the secret before; nothing else is."""
    connector = bench.open()
    _sell(bench, 1)
    sent, old = bench.simulator.webhooks(), _secrets(bench)
    expect(sent, "an order was placed, but the simulator sends no webhook")
    bench.simulator.rotate()
    new = _secrets(bench)
    for request in sent:
        expect(connector.receive(request, old) is not None, "a good webhook is not believed")
        rotating = connector.receive(request, [*new, *old])
        expect(rotating is not None, "while rotating, the old secret must count")
        expect(connector.receive(request, new) is None, "a wrong signature is believed")
        expect(connector.receive(request, []) is None, "without secrets a webhook is believed")
        other = request._replace(body=request.body + b" ")
        expect(connector.receive(other, old) is None, "a changed body is believed")


async def never_raises_on_garbage(bench: Bench) -> None:
    """Whatever is sent to the webhook door: it is not believed, and nothing is raised."""
    connector = bench.open()
    _sell(bench, 1)
    good = bench.simulator.webhooks()[0]
    bodies = (b"", b"{", b"\xff\xfe\x00", b"null", b"[]", b"a=1&b=2", b"{}" * 1000)
    for body in bodies:
        for headers in ({}, dict(good.headers), dict.fromkeys(good.headers, "\x00é")):
            request = WebhookRequest("POST", good.path, "", headers, body)
            expect(connector.receive(request, _secrets(bench)) is None, f"{body!r} is believed")


async def knows_a_repeated_webhook(bench: Bench) -> None:
    """The same webhook twice is the same message: the same id and the same bytes."""
    connector = bench.open()
    _sell(bench, 1)
    for request in bench.simulator.webhooks():
        once = connector.receive(request, _secrets(bench))
        twice = connector.receive(request, _secrets(bench))
        expect(once is not None and once == twice, f"received {once}, then {twice}")
        has_sense = once is not None and (once.messages or once.feeds or once.answer)
        expect(has_sense, "a webhook was believed, but brings neither messages nor feeds")


async def reads_every_order(bench: Bench) -> None:
    """The feed tells every order once, over many pages, in the hub's words."""
    bench.simulator.page_max = _PAGE
    connector, numbers = bench.open(), _sell(bench, 3 * _PAGE + 1)
    found = _placed(bench, await _read(connector, None))
    expect(set(found) == set(numbers), f"{len(numbers)} orders, the feed told {sorted(found)}")
    doubled = [number for number, times in found.items() if times > 1]
    expect(not doubled, f"one version of {doubled} came under several message ids")
    later = datetime.now(UTC) - timedelta(hours=1)
    again = _placed(bench, await _read(connector, later))
    expect(set(again) == set(numbers), "orders of the last hour are missing when read since then")


async def loses_nothing_while_pages_shift(bench: Bench) -> None:
    """Orders placed and called off between two pages do not hide others; a cursor goes on."""
    bench.simulator.page_max = _PAGE
    numbers = _sell(bench, 3 * _PAGE)
    connector = bench.open()
    page = await connector.poll(_ORDERS, None, None)
    found = list(page.messages)
    expect(page.cursor is not None, f"{len(numbers)} orders fit on one page of {_PAGE}")
    bench.simulator.cancel(numbers[0])
    bench.simulator.cancel(numbers[-1])
    numbers += _sell(bench, 1)
    if page.cursor is not None:
        # Another process goes on where the first one ended.
        found += await _read(bench.open(), None, page.cursor)
    told = _placed(bench, found)
    missing = set(numbers[:-1]) - set(told)
    expect(not missing, f"pages shifted, and {sorted(missing)} were never told")


async def finds_what_webhooks_lost(bench: Bench) -> None:
    """After a webhook outage the feed tells exactly what was missed, under the same ids."""
    connector = bench.open()
    _sell(bench, 2)
    heard: list[Incoming] = []
    for request in bench.simulator.webhooks():
        received = connector.receive(request, _secrets(bench))
        heard += received.messages if received is not None else ()
    lost = _sell(bench, 3)
    bench.simulator.webhooks()
    polled = await _read(connector, None)
    contents = {message.message_id: (message.topic, message.body) for message in polled}
    for message in heard:
        same = contents.get(message.message_id) == (message.topic, message.body)
        expect(same, f"the webhook's {message.message_id} is another one in the feed")
    known = {message.message_id for message in heard}
    missed = [message for message in polled if message.message_id not in known]
    told = _placed(bench, missed)
    expect(set(lost) <= set(told), f"of the lost orders {lost} the feed told {sorted(told)}")


async def tells_that_a_feed_failed(bench: Bench) -> None:
    """A feed that cannot be read raises Retry, throttled with the time to wait."""
    connector = bench.open()
    _sell(bench, 1)
    for fault in ("throttle", "fail_before", "drop_before", "garbage"):
        bench.simulator.fault(fault, _ORDERS)
        try:
            await connector.poll(_ORDERS, None, None)
        except Retry as error:
            waits = fault != "throttle" or error.after_seconds >= 1
            expect(waits, f"{fault}: it says to come back after {error.after_seconds} s")
            continue
        # A connection that broke may be used once more, unseen.
        expect(fault == "drop_before", f"{fault} while reading the feed did not raise Retry")
    bench.simulator.heal()
    bench.simulator.clock.advance(60)
    expect(await _read(connector, None), "after it healed the feed tells nothing")


async def never_raises_on_messages(bench: Bench) -> None:
    """Whatever bytes a kept message has, decoding says what is wrong and raises nothing."""
    config = {**bench.simulator.config(), "system": SYSTEM}
    topics = [*(bench.manifest.webhook.topics if bench.manifest.webhook else ()), "no_such_topic"]
    for topic in topics:
        for body in (b"", b"{", b"null", b"[]", b'"x"', b"{}", b'{"data": {}}', b"\xff"):
            bench.registry.decode(bench.name, topic, body, config)
            module = bench.registry.module(bench.name, "mapping")
            try:
                module.decode(topic, body, config)
            except Exception as error:
                raise Nonconforming(f"decode({topic}, {body!r}) raised {error!r}") from error


async def lists_everything(bench: Bench) -> None:
    """The catalog has every item with its sku, over many pages."""
    bench.simulator.page_max = _PAGE
    skus = [f"SKU-{number}" for number in range(1, 3 * _PAGE + 2)]
    listed = {sku: bench.simulator.list_item(sku, 1) for sku in skus}
    found = {entry.sku: entry.item async for entry in bench.open().catalog()}
    wanted = {sku: entry.item for sku, entry in listed.items()}
    expect(found == wanted, f"listed are {wanted}, the catalog told {found}")


CASES = (
    Case("webhooks_believe_only_signed", _hooks, believes_only_signed_webhooks),
    Case("webhooks_never_raise_on_garbage", _hooks, never_raises_on_garbage),
    Case("webhooks_know_a_repetition", _hooks, knows_a_repeated_webhook),
    Case("feeds_read_every_order", _sells, reads_every_order),
    Case("feeds_lose_nothing_while_pages_shift", _sells, loses_nothing_while_pages_shift),
    Case("feeds_find_what_webhooks_lost", _hooks_and_sells, finds_what_webhooks_lost),
    Case("feeds_tell_that_they_failed", _sells, tells_that_a_feed_failed),
    Case("messages_never_raise", _sells, never_raises_on_messages),
    Case("catalog_lists_everything", _lists, lists_everything),
)
