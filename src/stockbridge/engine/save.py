"""Write what a batch decided: a few set-based statements, one transaction."""

from collections.abc import Iterable
from typing import Any

import msgspec
from psycopg import AsyncConnection

from stockbridge import governance, outbox
from stockbridge.domain import fulfilment, ledger, masters, orders, reservations
from stockbridge.domain.ledger.digest import GROUP, batch_digest
from stockbridge.domain.ledger.digest import texts as canonical
from stockbridge.domain.ledger.rules import NEGATIVE, recovered
from stockbridge.domain.world.model import COUNTED_AT, VERSION, Hold, Reservation
from stockbridge.domain.world.world import ID_BITS, World
from stockbridge.engine.audited import NOUNS, act_of
from stockbridge.engine.request import FIRST_ERROR, Outcome, Request
from stockbridge.kernel.accounts import ACCOUNTS, AVAILABLE
from stockbridge.kernel.clock import microseconds
from stockbridge.outbox import deliveries
from stockbridge.outbox.notices import notices
from stockbridge.store.arrays import (
    blobs,
    ints,
    ints_or_null,
    moments,
    texts,
    texts_or_null,
)
from stockbridge.store.pipeline import run
from stockbridge.store.sql import load

Write = tuple[bytes, dict[str, Any]]

SQL = load(__package__)
LEDGER_SQL = load(ledger.__name__)
RESERVATIONS_SQL = load(reservations.__name__)
FULFILMENT_SQL = load(fulfilment.__name__)
ORDERS_SQL = load(orders.__name__)
OUTBOX_SQL = load(outbox.__name__)
GOVERNANCE_SQL = load(governance.__name__)
MASTERS_SQL = load(masters.__name__)
encode_lines = msgspec.json.Encoder().encode


async def save(
    conn: AsyncConnection[Any], world: World, answered: list[tuple[Request, Outcome]]
) -> None:
    """Send every write and commit in one round trip."""
    writes = [*record_writes(world, answered), *balance_writes(world), *notice_writes(world)]
    await run(conn, [*writes, (b"COMMIT", {})])


def record_writes(world: World, answered: list[tuple[Request, Outcome]]) -> Iterable[Write]:
    """What only this batch writes: movements, promises, facts, answers."""
    if world.movements:
        yield from _movements(world)
    if world.reservations_changed or world.holds_changed:
        yield from _promises(world)
    if world.facts_changed or world.lines_changed or world.supplies_changed:
        yield from _facts(world)
    if world.lots_changed or world.sightings or world.facts_withdrawn:
        yield from _tracking(world)
    if world.fulfilment_changed:
        yield _fulfilments(world)
    if world.orders_changed:
        yield from _orders(world)
    if world.fences_changed:
        yield _fences(world)
        if not world.masters.has_fences:
            yield MASTERS_SQL.bump_epoch, {}
    if world.exceptions or world.negative:
        yield from _told_to_owners(world)
    if world.owed:
        yield OUTBOX_SQL.add_deliveries, deliveries.columns(world.owed)
    if answered:
        yield from _acts(answered)
        yield _requests(world, answered)


def balance_writes(world: World) -> Iterable[Write]:
    """Balances decided under their items' locks."""
    changed = world.balances_changed.values()
    stored = [balance.q for balance in changed if balance.q[VERSION] is not None]
    added = [balance.q for balance in changed if balance.q[VERSION] is None]
    if stored:
        yield LEDGER_SQL.write_balances, _balance_columns(stored, world.batch_id)
    if added:
        yield LEDGER_SQL.add_balances, _balance_columns(added, world.batch_id)
    if world.anchors_changed:
        yield from _anchors(world)


def unchanged_balance_writes(world: World) -> Iterable[Write]:
    """Balances decided before locking: refused by the store if anything changed meanwhile."""
    rows = [balance.q for balance in world.balances_changed.values()]
    values = _balance_columns(rows, world.batch_id)
    values["versions"] = ints([row[VERSION] for row in rows])
    values["expected"] = len(rows)
    values["epoch"] = world.masters.epoch
    items = sorted({row[0] for row in rows})
    return [
        (SQL.lock_items, {"items": ints(items)}),
        (LEDGER_SQL.write_balances_unchanged, values),
    ]


def notice_writes(world: World) -> Iterable[Write]:
    """Feeds heard from, and what the views must be told."""
    if world.feeds:
        values = {"locations": ints(world.feeds), "moments": moments(world.feeds.values())}
        yield LEDGER_SQL.note_feeds, values
    payloads = notices(
        world.batch_id,
        world.now,
        [balance.q for balance in world.balances_changed.values()],
        world.feeds,
        {key[0] for key in world.supplies_changed},
        fences=bool(world.fences_changed),
    )
    if payloads:
        yield OUTBOX_SQL.notify_stock, {"payloads": texts(payloads)}


def _acts(answered: list[tuple[Request, Outcome]]) -> Iterable[Write]:
    for request, outcome in answered:
        if type(request.command.body) in NOUNS and outcome.status < FIRST_ERROR:
            act = act_of(request.command)
            if act is not None:
                yield GOVERNANCE_SQL.insert_audit, act._asdict()


def _requests(world: World, answered: list[tuple[Request, Outcome]]) -> Write:
    return (
        SQL.add_requests,
        {
            "keys": "{" + ",".join([request.key for request, _ in answered]) + "}",
            "hashes": blobs([request.body_hash for request, _ in answered]),
            "statuses": ints([outcome.status for _, outcome in answered]),
            "answers": blobs([outcome.body for _, outcome in answered]),
            "correlation_ids": texts([r.command.correlation_id for r, _ in answered]),
            "now": world.now,
        },
    )


def _movements(world: World) -> Iterable[Write]:
    moves = world.movements
    first = (world.batch_id << ID_BITS) + 1
    (kinds, items, places, givers, takers, quantities, occurred, types, numbers, lines,
     correlations, reasons, costs, messages, reverses, lots, serials) = zip(
         *moves, strict=True)  # fmt: skip
    now, now_us = world.now, microseconds(world.now)
    whole = [
        ",".join(map(str, column))
        for column in (
            range(first, first + len(moves)), kinds, items, places, givers, takers, quantities,
            [now_us if moment is now else microseconds(moment) for moment in occurred],
        )
    ]  # fmt: skip
    if any(reverses):
        reverses = tuple(_stored(value, first) for value in reverses)
    reversed_ids = [None if value is None else str(value) for value in reverses]
    joined: list[str | None] = [None] * len(moves)
    tracked = joined
    if any(lots) or any(serials):
        joined = [GROUP.join(units) or None for units in serials]
        tracked = [
            None if lot is None and units is None else f"{lot or ''}{GROUP}{units or ''}"
            for lot, units in zip(lots, joined, strict=True)
        ]
    words = (types, numbers, lines, reasons, costs, messages, correlations, reversed_ids, tracked)
    names = ("ids", "kinds", "items", "locations", "from_accounts", "to_accounts", "quantities",
             "occurred")  # fmt: skip
    yield (
        LEDGER_SQL.add_movements,
        {
            **{name: "{" + column + "}" for name, column in zip(names, whole, strict=True)},
            "document_types": texts(types),
            "document_numbers": texts(numbers),
            "document_lines": texts(lines),
            "reasons": texts_or_null(reasons),
            "unit_costs": texts_or_null(costs),
            "message_ids": texts_or_null(messages),
            "correlation_ids": texts(correlations),
            "reverses": ints_or_null(reverses),
            "lots": texts_or_null(lots),
            "serials": texts_or_null(joined),
            "batch_id": world.batch_id,
            "now": now,
        },
    )
    digest = batch_digest(world.batch_id, now, [*whole, *map(canonical, words)])
    values = {"batch_id": world.batch_id, "now": now, "movements": len(moves), "digest": digest}
    yield LEDGER_SQL.keep_batch, values


def _stored(reverses: int | None, first: int) -> int | None:
    """The stored id of a reversed entry, which may be one of the batch whose ids begin at first."""
    return reverses if reverses is None or reverses > 0 else first + ~reverses


def _anchors(world: World) -> Iterable[Write]:
    available = [(*k[:2], at) for k, at in world.anchors_changed.items() if k[2] == AVAILABLE]
    others = [(*k, at) for k, at in world.anchors_changed.items() if k[2] != AVAILABLE]
    if available:
        items, places, counted = zip(*available, strict=True)
        yield (
            LEDGER_SQL.set_available_anchors,
            {"items": ints(items), "locations": ints(places), "moments": moments(counted)},
        )
    if others:
        items, places, accounts, counted = zip(*others, strict=True)
        yield (
            LEDGER_SQL.set_anchors,
            {
                "items": ints(items),
                "locations": ints(places),
                "accounts": ints(accounts),
                "moments": moments(counted),
            },
        )


def _balance_columns(rows: list[list[Any]], batch_id: int) -> dict[str, Any]:
    columns = zip(*[row[:COUNTED_AT] for row in rows], strict=True)
    names = ("items", "available", "allocated", "picked", "quarantined", "in_transit", "on_order",
             "reserved", "backordered", "safety_stock", "locations")  # fmt: skip
    values: dict[str, Any] = dict(zip(names, map(ints, columns), strict=True))
    values["batch_id"] = batch_id
    return values


def _promises(world: World) -> Iterable[Write]:
    """New rows are inserted plainly: an upsert costs a third more."""
    first = world.batch_id << ID_BITS
    made = list(world.reservations_changed.values())
    new = [r for r in made if r.reservation_id > first]
    old = [r for r in made if r.reservation_id <= first]
    if new:
        yield RESERVATIONS_SQL.add_reservations, _reservation_columns(new)
    if old:
        yield RESERVATIONS_SQL.put_reservations, _reservation_columns(old)
    gone = [key for key, hold in world.holds_changed.items() if hold is None and key[0] <= first]
    kept = [hold for hold in world.holds_changed.values() if hold is not None]
    new_holds = [hold for hold in kept if hold.reservation_id > first]
    old_holds = [hold for hold in kept if hold.reservation_id <= first]
    if gone:
        columns = [ints(column) for column in zip(*gone, strict=True)]
        names = ("ids", "line_nos", "items", "locations", "accounts")
        yield RESERVATIONS_SQL.end_holds, dict(zip(names, columns, strict=True))
    if new_holds:
        yield RESERVATIONS_SQL.add_holds, _hold_columns(new_holds)
    if old_holds:
        yield RESERVATIONS_SQL.put_holds, _hold_columns(old_holds)


def _reservation_columns(rows: list[Reservation]) -> dict[str, Any]:
    return {
        "ids": ints([r.reservation_id for r in rows]),
        "channels": ints([r.channel_id for r in rows]),
        "refs": texts([r.reference for r in rows]),
        "states": texts([r.state for r in rows]),
        "modes": texts([r.mode for r in rows]),
        "expires": moments([r.expires_at for r in rows]),
        "lines": texts([encode_lines(r.lines).decode() for r in rows]),
        "created": moments([r.created_at for r in rows]),
        "ended": moments([r.ended_at for r in rows]),
        "principals": texts([r.principal for r in rows]),
        "correlation_ids": texts([r.correlation_id for r in rows]),
        "promised": texts_or_null(
            [None if r.promised is None else encode_lines(r.promised).decode() for r in rows]
        ),
    }


def _hold_columns(rows: list[Hold]) -> dict[str, Any]:
    return {
        "ids": ints([h.reservation_id for h in rows]),
        "line_nos": ints([h.line_no for h in rows]),
        "items": ints([h.item_id for h in rows]),
        "locations": ints([h.location_id for h in rows]),
        "accounts": ints([h.account for h in rows]),
        "quantities": ints([h.quantity for h in rows]),
        "fenced": ints([h.fenced for h in rows]),
    }


def _facts(world: World) -> Iterable[Write]:
    if world.facts_changed:
        kinds, items, places, quantities, sources, numbers, ranks = zip(
            *world.facts_changed.values(), strict=True
        )
        yield (
            LEDGER_SQL.put_facts,
            {
                "keys": "{" + ",".join(world.facts_changed) + "}",
                "ranks": texts(ranks),
                "kinds": texts(kinds),
                "items": ints(items),
                "locations": ints(places),
                "quantities": ints(quantities),
                "sources": texts(sources),
                "numbers": texts(numbers),
                "batch_id": world.batch_id,
                "now": world.now,
            },
        )
    if world.lines_changed:
        line_keys = "{" + ",".join(world.lines_changed) + "}"
        reports = texts([encode_lines(line).decode() for line in world.lines_changed.values()])
        yield LEDGER_SQL.put_lines, {"keys": line_keys, "reports": reports}
    if world.supplies_changed:
        keys, supplies = zip(*world.supplies_changed.items(), strict=True)
        items, places, types, numbers, lines, accounts = zip(*keys, strict=True)
        yield (
            LEDGER_SQL.set_supplies,
            {
                "items": ints(items),
                "locations": ints(places),
                "types": texts(types),
                "numbers": texts(numbers),
                "lines": texts(lines),
                "accounts": ints(accounts),
                "quantities": ints([supply.quantity for supply in supplies]),
                "moments": moments([supply.expected_at for supply in supplies]),
            },
        )


def _tracking(world: World) -> Iterable[Write]:
    """Lots and serials, where movements named them."""
    if world.lots_changed:
        items, places, lots = zip(*world.lots_changed, strict=True)
        states = list(zip(*world.lots_changed.values(), strict=True))
        names = ("available", "allocated", "picked", "quarantined")
        values = {name: ints(states[ACCOUNTS[name]]) for name in names}
        values |= {"items": ints(items), "locations": ints(places), "lots": texts(lots)}
        yield LEDGER_SQL.move_lots, values
    if world.facts_withdrawn:
        keys = "{" + ",".join(world.facts_withdrawn) + "}"
        yield LEDGER_SQL.withdraw_sightings, {"keys": keys}
    yield from _serials(world)


def _serials(world: World) -> Iterable[Write]:
    """Who named serial numbers, and where these are unless somebody newer was heard before."""
    seen = [(key, *each) for key, sightings in world.sightings.items() for each in sightings]
    if seen:
        keys, serial_places, fact_keys = zip(*seen, strict=True)
        items, serials = zip(*keys, strict=True)
        places, accounts, occurred = zip(*serial_places, strict=True)
        yield (
            LEDGER_SQL.keep_sightings,
            {
                "items": ints(items),
                "serials": texts(serials),
                "keys": "{" + ",".join(fact_keys) + "}",
                "locations": ints(places),
                "accounts": ints(accounts),
                "moments": moments(occurred),
            },
        )
    if world.serials_changed:
        items, serials = zip(*world.serials_changed, strict=True)
        places, accounts, occurred = zip(*world.serials_changed.values(), strict=True)
        yield (
            LEDGER_SQL.place_serials,
            {
                "items": ints(items),
                "serials": texts(serials),
                "locations": ints(places),
                "accounts": ints(accounts),
                "moments": moments(occurred),
            },
        )


def _fulfilments(world: World) -> Write:
    lines = list(world.fulfilment_changed.values())
    return (
        FULFILMENT_SQL.put_fulfilments,
        {
            "fulfilments": texts([line.fulfilment for line in lines]),
            "lines": texts([line.line for line in lines]),
            "items": ints([line.item_id for line in lines]),
            "locations": ints([line.location_id for line in lines]),
            "reservations": ints_or_null([line.reservation_id for line in lines]),
            "allocated": ints([line.allocated for line in lines]),
            "picked": ints([line.picked for line in lines]),
            "packed": ints([line.packed for line in lines]),
            "shipped": ints([line.shipped for line in lines]),
            "deallocated": ints([line.deallocated for line in lines]),
        },
    )


def _orders(world: World) -> Iterable[Write]:
    rows = list(world.orders_changed.values())
    yield (
        ORDERS_SQL.put_orders,
        {
            "ids": ints([order.order_id for order in rows]),
            "channels": ints([order.channel_id for order in rows]),
            "numbers": texts([order.number for order in rows]),
            "states": texts([order.state for order in rows]),
            "reservations": ints_or_null([order.reservation_id for order in rows]),
            "contents": texts([encode_lines(order.content).decode() for order in rows]),
            "events": ints([order.events for order in rows]),
            "created": moments([order.created_at for order in rows]),
            "updated": moments([order.updated_at for order in rows]),
            "ended": moments([order.ended_at for order in rows]),
            "correlation_ids": texts([order.correlation_id for order in rows]),
            "told": texts([encode_lines(order.told).decode() for order in rows]),
        },
    )
    if world.order_events:
        ids, numbers, whats, states, recorded, principals, systems, messages, correlations, why = (
            zip(*world.order_events, strict=True)
        )
        yield (
            ORDERS_SQL.add_order_events,
            {
                "ids": ints(ids),
                "numbers": ints(numbers),
                "whats": texts(whats),
                "states": texts(states),
                "moments": moments(recorded),
                "principals": texts(principals),
                "systems": texts_or_null(systems),
                "messages": texts_or_null(messages),
                "correlation_ids": texts(correlations),
                "details": texts(why),
            },
        )


def _fences(world: World) -> Write:
    keys = sorted(world.fences_changed)
    items, places, channels = zip(*keys, strict=True)
    return (
        RESERVATIONS_SQL.set_fences,
        {
            "items": ints(items),
            "locations": ints(places),
            "channels": ints(channels),
            "quantities": ints([world.fence_of((i, p), c) for i, p, c in keys]),
        },
    )


def _told_to_owners(world: World) -> Iterable[Write]:
    """Exceptions that are opened, and those whose cause is gone."""
    if world.exceptions:
        yield _exceptions(world)
    subjects = recovered(world)
    if subjects:
        gone = {"kind": NEGATIVE, "subjects": texts(subjects), "resolution": "recovered"}
        yield GOVERNANCE_SQL.close_exceptions, gone


def _exceptions(world: World) -> Write:
    cases = list({(case.kind, case.subject): case for case in world.exceptions}.values())
    kinds, subjects, severities, teams, causes, actions, correlations = zip(*cases, strict=True)
    return (
        GOVERNANCE_SQL.open_exceptions,
        {
            "kinds": texts(kinds),
            "subjects": texts(subjects),
            "severities": ints(severities),
            "owner_teams": texts(teams),
            "causes": texts(causes),
            "actions": texts(actions),
            "correlation_ids": texts(correlations),
            "now": world.now,
        },
    )
