"""Walks from a figure back to the messages: terms, balances, movements, promises.

Everything is read from the store in one snapshot; connections must be in autocommit.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from stockbridge.domain.availability import rules, terms
from stockbridge.domain.availability.model import Part, Shelf, Term
from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.masters.model import Policy
from stockbridge.domain.world.model import ReservationLine
from stockbridge.kernel.accounts import ACCOUNT_NAMES, INSIDE, KIND_NAMES, RESERVED
from stockbridge.kernel.errors import Refusal
from stockbridge.store.snapshot import one_snapshot
from stockbridge.views.answers import Desk, text_of, unknown_channel, unknown_sku
from stockbridge.views.loading import SQL, Connection, load_some, rows_of, storable
from stockbridge.views.shelves import Kit, Plan

Document = dict[str, Any]
_decode_lines = msgspec.json.Decoder(list[ReservationLine]).decode
_PREFIX: Final = "rsv_"
_BIGINT_MAX: Final = 2**63 - 1
_STATES: Final = tuple(ACCOUNT_NAMES[account] for account in INSIDE)
_ON_HAND: Final = ("available", "allocated", "picked", "quarantined")
NOT_KEPT: Final = ("fences", "pipeline dates", "feed ages", "safety stock", "channel locations")
"""What the past did not keep; a figure of then leaves out the first three, and takes the last
two as they are now."""


class _Subject:
    """One item of one channel as the store has it, with the names of its ids."""

    def __init__(self, masters: Masters, desk: Desk, sku: str) -> None:
        self.masters = masters
        self.desk = desk
        self.sku = sku
        self.item_id = desk.shelves.ids[sku]
        self.kit = desk.shelves.kits.get(self.item_id, (Kit(self.item_id, 1),))
        self.items = [each.item_id for each in self.kit]
        self.skus: dict[int, str] = {self.item_id: sku}

    async def name_components(self, conn: Connection) -> None:
        self.skus |= dict(await rows_of(conn, SQL.items_by_id, items=self.items))

    def location(self, location_id: int) -> str:
        return self.masters.locations_by_id[location_id].code


async def _find(conn: Connection, channel: str, sku: str) -> _Subject | Refusal:
    masters = Masters()
    await masters.reload(conn)
    found = masters.channels.get(channel)
    if found is None:
        return unknown_channel(channel)
    shelves = await load_some(conn, (sku,))
    if sku not in shelves.ids:
        return unknown_sku(sku)
    now = (await rows_of(conn, SQL.epoch_and_moment))[0][1]
    desk = Desk(shelves, Plan.of(found, now), now, text_of(now), "store")
    subject = _Subject(masters, desk, sku)
    await subject.name_components(conn)
    return subject


async def explain(
    conn: Connection,
    channel: str,
    sku: str,
    *,
    limit: int = 20,
    before: int | None = None,
    cursor_of: Callable[[str], str] = str,
) -> Document | Refusal:
    """The figure, the terms that sum to it, and the ledger behind them.

    For each item and location of the channel: the balance kept, the sum of all its movements
    (`agrees` if they are the same), and its `limit` newest movements below id `before`;
    `next_cursor` (through `cursor_of`) is the `before` of the next ones. `listings`: what the
    channel's partner shall show of the item, was told and has confirmed, and when.
    """
    async with one_snapshot(conn):
        subject = await _find(conn, channel, sku)
        if isinstance(subject, Refusal):
            return subject
        stock = await _stock(conn, subject, limit, before, cursor_of)
        told = await rows_of(conn, SQL.told, channel=channel, item=subject.item_id)
    desk = subject.desk
    asked = desk.shelves.question(desk.plan, subject.item_id, desk.now)
    until = rules.horizon_end(asked.policy, desk.now)
    steps = terms.explain(asked.parts, asked.policy, asked.freshness.stale, until)
    return {
        **asdict(desk.one(sku, subject.item_id)),
        "formula_version": rules.FORMULA_VERSION,
        "policy": _policy(asked.policy),
        "terms": [_term(subject, step) for step in steps],
        "stock": stock,
        "listings": [row[0] for row in told],
    }


async def history(conn: Connection, channel: str, sku: str, at: datetime) -> Document | Refusal:
    """The balances and the figure at a moment, from the movements recorded by then.

    The policy is the one in force at `at`; `not_kept` names what the figure cannot include.
    """
    async with one_snapshot(conn):
        subject = await _find(conn, channel, sku)
        if isinstance(subject, Refusal):
            return subject
        sums = await _ledger(conn, subject, at)
        kept = await _kept(conn, subject)
    policy = subject.desk.plan.channel.policy_at(at, subject.item_id)
    parts = [
        Part(
            component.item_id,
            component.units,
            tuple(
                Shelf(
                    location_id,
                    available=balance["available"],
                    reserved=balance["reserved"],
                    safety_stock=kept[key][0] if key in kept else 0,
                )
                for key, balance in sums.items()
                if key[0] == component.item_id
                and (location_id := key[1]) in subject.desk.plan.sources
            ),
        )
        for component in subject.kit
    ]
    return {
        "sku": sku,
        "channel": channel,
        "at": at,
        "available": rules.figure(parts, policy, stale=False, until=None).available,
        "policy": _policy(policy),
        "balances": [
            {"sku": subject.skus[item_id], "location": subject.location(location_id), **balance}
            for (item_id, location_id), balance in sorted(sums.items())
        ],
        "not_kept": NOT_KEPT,
    }


async def movements_page(
    conn: Connection,
    *,
    limit: int,
    before: int | None = None,
    sku: str | None = None,
    location: str | None = None,
    document: str | None = None,
    correlation_id: str | None = None,
) -> list[tuple[str, str]]:
    """Up to `limit` movements below id `before`, newest first: (cursor key, JSON document)."""
    filters = {
        "sku": sku,
        "location": location,
        "document": document,
        "correlation_id": correlation_id,
    }
    if not all(storable(value) for value in filters.values() if value is not None):
        return []
    rows = await rows_of(conn, SQL.movements_page, limit=limit, before=before, **filters)
    return [
        (
            str(row[2]),
            msgspec.json.encode({"sku": row[0], "location": row[1], **_movement(row[2:])}).decode(),
        )
        for row in rows
    ]


async def reservation_read(conn: Connection, public_id: str) -> Document | Refusal:
    """A reservation by its public id, with what is held for each line and where.

    Quantities held are base units, of a kit whole kits.
    """
    digits = public_id.removeprefix(_PREFIX)
    number = int(digits, 16) if _is_id(public_id, digits) else None
    async with one_snapshot(conn):
        found = await rows_of(conn, SQL.read_reservation, id=number)
        holds = await rows_of(conn, SQL.read_holds_at, id=number)
    if not found:
        detail = f"no reservation has the id {public_id!r}: use the id that reserving answered"
        return Refusal("unknown_reservation", detail, 404)
    channel, reference, mode, expires_at, created_at, lines, state = found[0]
    return {
        "id": public_id,
        "state": state,
        "channel": channel,
        "reference": reference,
        "mode": mode,
        "expires_at": expires_at,
        "created_at": created_at,
        "lines": [_line(line, holds) for line in _decode_lines(lines)],
    }


def _is_id(public_id: str, digits: str) -> bool:
    hexadecimal = bool(digits) and all(digit in "0123456789abcdef" for digit in digits)
    return public_id.startswith(_PREFIX) and hexadecimal and int(digits, 16) <= _BIGINT_MAX


def _line(line: ReservationLine, holds: list[tuple[int, int, str, int, int]]) -> Document:
    # Every component of a kit is held in step, so the first one counts the kits.
    part, each = line.parts[0]
    held = [
        (place, account, quantity // each)
        for line_no, item_id, place, account, quantity in holds
        if (line_no, item_id) == (line.line_no, part)
    ]
    sources = [(place, units) for place, account, units in held if account == RESERVED]
    return {
        "line": line.line_no,
        "sku": line.sku,
        "quantity": line.quantity,
        "uom": line.uom,
        "units": line.units,
        "reserved": sum(units for _, units in sources),
        "backordered": sum(units for _, account, units in held if account != RESERVED),
        "sources": [{"location": place, "quantity": units} for place, units in sources],
    }


async def _stock(
    conn: Connection,
    subject: _Subject,
    limit: int,
    before: int | None,
    cursor_of: Callable[[str], str],
) -> list[Document]:
    kept = await _kept(conn, subject)
    sums = await _ledger(conn, subject, None)
    sources = subject.desk.plan.channel.sources
    pairs = [
        (item_id, location_id)
        for item_id in subject.items
        for location_id in sources
        if (item_id, location_id) in kept or (item_id, location_id) in sums
    ]
    newest = await rows_of(
        conn,
        SQL.newest_movements,
        items=[pair[0] for pair in pairs],
        locations=[pair[1] for pair in pairs],
        limit=limit + 1,
        before=before,
    )
    stock = []
    for pair in pairs:
        safety, balance = kept.get(pair, (0, _states({})))
        ledger = sums.get(pair, _states({}))
        moves = [row[2:] for row in newest if (row[0], row[1]) == pair]
        seen = subject.desk.shelves.feeds.get(pair[1])
        stock.append(
            {
                "sku": subject.skus[pair[0]],
                "location": subject.location(pair[1]),
                "balance": balance,
                "safety_stock": safety,
                "seen_at": None if seen is None else text_of(seen),
                "movements_sum": ledger,
                "agrees": balance == ledger,
                "movements": [_movement(move) for move in moves[:limit]],
                "next_cursor": cursor_of(str(moves[limit - 1][0])) if len(moves) > limit else None,
            }
        )
    return stock


Pair = tuple[int, int]


async def _kept(conn: Connection, subject: _Subject) -> dict[Pair, tuple[int, Document]]:
    rows = await rows_of(conn, SQL.kept_balances, items=subject.items)
    return {
        (row[0], row[1]): (row[2], _states(dict(zip(INSIDE, row[3:], strict=True)))) for row in rows
    }


async def _ledger(conn: Connection, subject: _Subject, at: datetime | None) -> dict[Pair, Document]:
    sums: dict[Pair, dict[int, int]] = {}
    for item_id, location_id, account, quantity in await rows_of(
        conn, SQL.ledger_balances, items=subject.items, at=at
    ):
        sums.setdefault((item_id, location_id), {})[account] = quantity
    return {pair: _states(accounts) for pair, accounts in sums.items()}


def _states(accounts: dict[int, int]) -> Document:
    """The eight states by name, with what is on hand and free."""
    states = {name: accounts.get(account, 0) for account, name in zip(INSIDE, _STATES, strict=True)}
    on_hand = sum(states[name] for name in _ON_HAND)
    return states | {"on_hand": on_hand, "free": states["available"] - states["reserved"]}


def _movement(row: tuple[Any, ...]) -> Document:
    (movement_id, kind, giver, taker, quantity, occurred_at, recorded_at, document_type,
     number, line, reason, message_id, correlation_id, reverses) = row  # fmt: skip
    return {
        "movement_id": str(movement_id),
        "kind": KIND_NAMES.get(kind, str(kind)),
        "from": ACCOUNT_NAMES.get(giver, str(giver)),
        "to": ACCOUNT_NAMES.get(taker, str(taker)),
        "quantity": quantity,
        "occurred_at": occurred_at,
        "recorded_at": recorded_at,
        "document": {"type": document_type, "number": number, "line": line},
        "reason": reason,
        "message_id": message_id,
        "correlation_id": correlation_id,
        "reverses": None if reverses is None else str(reverses),
    }


def _term(subject: _Subject, term: Term) -> Document:
    inputs = dict(term.inputs)
    if "components" in inputs:
        inputs["components"] = [
            {"sku": subject.skus[part["item_id"]], "units": part["units"], "free": part["free"]}
            for part in inputs["components"]
        ]
    place = term.location_id
    return {
        "name": term.name,
        "value": term.value,
        "total": term.total,
        "rule_version": term.rule_version,
        "location": None if place is None else subject.location(place),
        "inputs": inputs,
    }


def _policy(policy: Policy) -> Document:
    fields = Policy.__dataclass_fields__
    return {name: getattr(policy, name) for name in fields}
