"""Ledger stories as tables: one action a line, what must come of it after the bar.

    receive  PO1 W1 A:10        | 201 booked
    reserve  r1 web A:4         | 201 held W1:4
    reserve  r2 web A:7         | 409 insufficient_stock
    A@W1                        | available=10 reserved=4

Actions name documents and reservations; `r1` stands for the id the hub gave. Options are
`name=value`; `at=09:30` is a moment of one day in the past, `sequence=5` the source's number. A
line item is `SKU:quantity`, with a unit `A:2CASE`, a location `A:2@W1` where the action takes one
for each line. Every refusal is held to have changed nothing, as is everything marked `same`;
`lapses=r1` tells that the action first ends what is due. `A@W1` looks at a balance: states not
named are 0. `told` lists the deliveries owed since it was asked last. After the last line every
law of the books is checked.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from stockbridge.assurance.invariants import check
from stockbridge.contracts import commands as c
from stockbridge.contracts import orders as o
from stockbridge.contracts.base import Document
from stockbridge.domain.reservations.rules import internal_id
from stockbridge.engine import Command, Engine, Outcome
from stockbridge.store.database import connect

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=7)
STATES = ("available", "allocated", "picked", "quarantined", "in_transit", "on_order", "reserved",
          "backordered")  # fmt: skip
DUMPS = {
    "balance": "item_id, location_id, available, allocated, picked, quarantined, in_transit, "
    "on_order, reserved, backordered, safety_stock, counted_at",
    "hold": "*",
    "reservation": "reservation_id, state, mode, expires_at, lines::text, ended_at",
    "fence": "*",
    "movement": "*",
    "fact": "*",
    "supply": "*",
    "fulfilment_line": "*",
    "count_anchor": "*",
    "sales_order": "order_id, state, content::text, events, ended_at",
    "order_event": "*",
    "delivery": "delivery_id, system, operation, payload::text",
}
ITEM = re.compile(r"(?P<sku>[A-Z]+|\d+):(?P<quantity>-?\d+)(?P<uom>[A-Z]+)?(@(?P<place>\w+))?")
STAGES = {"allocate": "allocated", "deallocate": "deallocated", "pick": "picked",
          "pack": "packed", "ship": "shipped"}  # fmt: skip


class Line(NamedTuple):
    """One action and what must come of it."""

    verb: str
    words: list[str]
    options: dict[str, str]
    expected: list[str]
    text: str

    @property
    def items(self) -> list[dict[str, Any]]:
        """The `SKU:quantity` words as fields."""
        found = [ITEM.fullmatch(word) for word in self.words]
        return [
            {"sku": m["sku"], "quantity": int(m["quantity"]), "uom": m["uom"], "place": m["place"]}
            for m in found
            if m is not None
        ]


def parse(table: str) -> list[Line]:
    """The lines of a story."""
    lines = []
    for text in filter(None, map(str.strip, table.splitlines())):
        action, _, expected = text.partition("|")
        verb, *words = action.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        lines.append(Line(verb, plain, options, expected.split(), " ".join(text.split())))
    return lines


async def play(dsn: str, table: str) -> None:
    """Act every line against the real engine and hold it to its outcome."""
    engine = Engine(dsn, workers=1)
    await engine.start()
    try:
        async with await connect(dsn) as conn:
            stage = Stage(engine, conn)
            for line in parse(table):
                await stage.act(line)
            broken = await check(conn)
            assert not broken, "\n".join(map(str, broken))
    finally:
        await engine.stop()


async def dump(conn: AsyncConnection[Any]) -> dict[str, list[Any]]:
    """All rows that decisions write, answers and exceptions aside."""
    content = {}
    for table, columns in DUMPS.items():
        cursor = await conn.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2".encode())
        content[table] = sorted(map(repr, await cursor.fetchall()))
    return content


class Stage:
    """One database, one engine, the names a story gave."""

    def __init__(self, engine: Engine, conn: AsyncConnection[Any]) -> None:
        self.engine = engine
        self.conn = conn
        self.ids: dict[str, str] = {}
        self._told_up_to = 0

    async def act(self, line: Line) -> None:
        """Do one line."""
        if "@" in line.verb:
            told = await self._balance(line.verb)
            assert told == _states(line.expected), f"{line.text}: {told}"
        elif line.verb == "exceptions":
            assert await self._exceptions() == sorted(line.expected), line.text
        elif line.verb == "told":
            assert await self._deliveries() == line.expected, line.text
        elif line.verb == "fence_of":
            assert [str(await self._fence(*line.words))] == line.expected, line.text
        elif line.verb == "due":
            await self._make_due(line.words[0])
        else:
            before = await dump(self.conn)
            outcome = await self.engine.submit(self._command(line))
            self._hold_to(line, outcome)
            if (outcome.status >= 400 and "lapses" not in line.options) or "same" in line.expected:
                assert await dump(self.conn) == before, f"{line.text}: something changed"

    def _command(self, line: Line) -> Command:
        body = ACTIONS[line.verb](self, line)
        key = line.options.get("key")
        channel, system = line.options.get("bound"), line.options.get("from")
        return Command(body, "tester", key, "story", channel, system)

    def _hold_to(self, line: Line, outcome: Outcome) -> None:
        told = outcome.document
        status, *rest = line.expected
        assert str(outcome.status) == status, f"{line.text}: {told}"
        if line.verb in {"reserve", "place"} and outcome.status == 201:
            self.ids[line.words[0]] = told["id"]
        wanted = [word for word in rest if word not in {"same", "replayed"}]
        assert outcome.replayed == ("replayed" in rest), line.text
        if wanted:
            assert _told(told) == wanted, f"{line.text}: {told}"

    async def _balance(self, place: str) -> dict[str, int]:
        sku, location = place.split("@")
        cursor = await self.conn.execute(
            f"SELECT {', '.join(STATES)} FROM balance JOIN item USING (item_id) "
            "JOIN location USING (location_id) WHERE sku = %s AND code = %s".encode(),
            (sku, location),
        )
        row = await cursor.fetchone() or (0,) * len(STATES)
        return {name: units for name, units in zip(STATES, row, strict=True) if units}

    async def _exceptions(self) -> list[str]:
        cursor = await self.conn.execute(b"SELECT kind FROM exception WHERE resolved_at IS NULL")
        return sorted(row[0] for row in await cursor.fetchall())

    async def _deliveries(self) -> list[str]:
        """`ship:P1=1:2+2:1` for a shipment of parcel P1 with 2 of line 1 and 1 of line 2."""
        cursor = await self.conn.execute(
            b"SELECT delivery_id, operation, payload FROM delivery"
            b" WHERE delivery_id > %s ORDER BY delivery_id",
            (self._told_up_to,),
        )
        found = []
        for number, operation, payload in await cursor.fetchall():
            self._told_up_to = number
            lines = "+".join(f"{line['line']}:{line['quantity']}" for line in payload["lines"])
            name = f":{payload['package']}" if "package" in payload else ""
            found.append(f"{operation.partition('_')[2]}{name}={lines}")
        return found

    async def _fence(self, channel: str, sku: str, location: str) -> int:
        cursor = await self.conn.execute(
            b"SELECT quantity FROM fence JOIN item USING (item_id)"
            b" JOIN location USING (location_id) JOIN channel USING (channel_id)"
            b" WHERE channel.code = %s AND sku = %s AND location.code = %s",
            (channel, sku, location),
        )
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def _make_due(self, name: str) -> None:
        await self.conn.execute(
            b"UPDATE reservation SET expires_at = now() - interval '1 second'"
            b" WHERE reservation_id = %s",
            (internal_id(self.ids[name]),),
        )


def _states(words: list[str]) -> dict[str, int]:
    pairs = (word.split("=") for word in words)
    return {name: int(units) for name, units in pairs}


def _told(document: dict[str, Any]) -> list[str]:
    """The answer in the words of a table."""
    if "code" in document:
        return [document["code"]]
    if "number" in document:
        return [document["state"], *(_progress(line) for line in document["lines"])]
    if "units" in document:
        return [f"orders={document['orders']}", f"units={document['units']}"]
    if "mode" in document:
        return [document["state"], *(_sources(line) for line in document["lines"])]
    if "ended" in document:
        return [f"ended={document['ended']}"]
    return [line["outcome"] for line in document["lines"]]


def _sources(line: dict[str, Any]) -> str:
    parts = [f"{source['location']}:{source['quantity']}" for source in line["sources"]]
    if line["backordered"]:
        parts.append(f"back:{line['backordered']}")
    return "+".join(parts) or "-"


def _progress(line: dict[str, Any]) -> str:
    """What is held, called off, and the furthest stage of a line: `W1:2+off:1+shipped:3`."""
    parts = [] if _sources(line) == "-" else [_sources(line)]
    if line["cancelled"]:
        parts.append(f"off:{line['cancelled']}")
    stages = [stage for stage in ("shipped", "packed", "picked", "allocated") if line[stage]]
    if stages:
        parts.append(f"{stages[0]}:{line[stages[0]]}")
    return "+".join(parts) or "-"


# Actions --------------------------------------------------------------------------------------
def _reserve(_stage: Stage, line: Line) -> c.ReserveStock:
    name, channel, *_ = line.words
    return c.ReserveStock(
        channel,
        line.options.get("ref", name),
        [c.ReserveLine(i["sku"], i["quantity"], i["uom"], i["place"]) for i in line.items],
        line.options.get("mode", "all_or_nothing"),  # type: ignore[arg-type]
        int(line.options.get("ttl", 900)),
    )


def _change(stage: Stage, line: Line) -> c.ChangeReservation:
    lines = [c.ChangeLine(int(i["sku"]), i["quantity"]) for i in line.items]
    ttl = line.options.get("ttl")
    return c.ChangeReservation(_id(stage, line.words[0]), lines, int(ttl) if ttl else None)


def _id(stage: Stage, name: str) -> str:
    return stage.ids.get(name, "rsv_fff")


def _quantities(line: Line, shape: Any, **more: str | None) -> list[Any]:
    options = {k: line.options[k] for k in ("line", "package") if k in line.options}
    return [
        shape(sku=i["sku"], quantity=i["quantity"], uom=i["uom"], **options, **more)
        for i in line.items
    ]


def _stamp(line: Line) -> dict[str, Any]:
    clock = line.options.get("at")
    said: dict[str, Any] = {"source": line.options.get("source")}
    if "sequence" in line.options:
        said["sequence"] = int(line.options["sequence"])
    if clock is None:
        return said
    if clock == "ahead":
        return said | {"occurred_at": datetime.now(UTC) + timedelta(hours=1)}
    hours, minutes = map(int, clock.split(":"))
    return said | {"occurred_at": DAY + timedelta(hours=hours, minutes=minutes)}


def _receive(_stage: Stage, line: Line) -> c.ReportReceipt:
    number, place, *_ = line.words
    state = {"state": line.options.get("state", "available")}
    return c.ReportReceipt(
        document=Document("po", number), location=place,
        lines=_quantities(line, c.ReceiptLine, **state), **_stamp(line),
    )  # fmt: skip


def _stage_fact(stage: Stage, line: Line) -> c.ReportShipment:
    number, place, *_ = line.words
    promise, reference = line.options.get("for"), line.options.get("ref")
    return c.ReportShipment(
        shipment=number, location=place, lines=_quantities(line, c.QuantityLine),
        stage=STAGES[line.verb],  # type: ignore[arg-type]
        reservation=_id(stage, promise) if promise else None,
        document=Document("order", reference) if reference else None, **_stamp(line),
    )  # fmt: skip


def _transfer(_stage: Stage, line: Line) -> c.ReportTransfer:
    number, origin, destination, *_ = line.words
    return c.ReportTransfer(
        transfer=number, from_location=origin, to_location=destination,
        stage="shipped" if line.verb == "send" else "received",
        lines=_quantities(line, c.QuantityLine), **_stamp(line),
    )  # fmt: skip


def _count(_stage: Stage, line: Line) -> c.ReportCount:
    number, place, *_ = line.words
    state = {"state": line.options.get("state", "available")}
    return c.ReportCount(
        count=number, location=place, lines=_quantities(line, c.CountLine, **state), **_stamp(line)
    )


def _return(_stage: Stage, line: Line) -> c.ReportReturn:
    number, place, *_ = line.words
    lines = _quantities(line, c.ReturnLine, disposition=line.options.get("to"))
    return c.ReportReturn(rma=number, location=place, lines=lines, **_stamp(line))


def _adjust(_stage: Stage, line: Line) -> c.AdjustStock:
    number, place, *_ = line.words
    return c.AdjustStock(
        adjustment=number, location=place, reason=line.options["reason"],
        lines=_quantities(line, c.AdjustLine), **_stamp(line),
    )  # fmt: skip


def _move_state(_stage: Stage, line: Line) -> c.MoveState:
    number, place, *_ = line.words
    return c.MoveState(
        document=Document("qc", number), location=place,
        movement="hold" if line.verb == "hold" else "release",
        lines=_quantities(line, c.QuantityLine), **_stamp(line),
    )  # fmt: skip


def _supply(_stage: Stage, line: Line) -> c.RecordSupply:
    number, place, *_ = line.words
    return c.RecordSupply(
        document=Document("po", number), location=place, lines=_quantities(line, c.SupplyLine),
        state=line.options.get("state", "on_order"),  # type: ignore[arg-type]
        **_stamp(line),
    )  # fmt: skip


def _fence_set(_stage: Stage, line: Line) -> c.SetFences:
    lines = [c.FenceLine(i["sku"], i["place"], i["quantity"]) for i in line.items]
    return c.SetFences(line.words[0], lines)


def _safety(_stage: Stage, line: Line) -> c.SetSafetyStock:
    return c.SetSafetyStock([c.SafetyLine(i["sku"], i["place"], i["quantity"]) for i in line.items])


def _order(line: Line) -> dict[str, Any]:
    return {"number": line.words[0], "channel": line.words[1]}


def _version(line: Line) -> int | None:
    return int(line.options["v"]) if "v" in line.options else None


def _place(stage: Stage, line: Line) -> o.PlaceOrder:
    lines = [
        o.PlacedLine(
            sku=i["sku"], quantity=i["quantity"], uom=i["uom"], location=i["place"],
            line=f"{n}",
        )
        for n, i in enumerate(line.items, start=int(line.options.get("first", 1)))
    ]  # fmt: skip
    brought = line.options.get("with")
    return o.PlaceOrder(
        **_order(line), lines=lines, version=_version(line),
        mode=line.options.get("mode", "sold"),  # type: ignore[arg-type]
        reservation=_id(stage, brought) if brought else None,
        paid_at=DAY if "paid" in line.options else None,
    )  # fmt: skip


def _revise(_stage: Stage, line: Line) -> o.EditOrder:
    lines = [o.EditLine(i["sku"], i["quantity"]) for i in line.items]
    paid_at = DAY if "paid" in line.options else None
    return o.EditOrder(**_order(line), lines=lines, version=_version(line), paid_at=paid_at)


def _cancel(_stage: Stage, line: Line) -> o.CancelOrder:
    lines = [o.CancelLine(i["sku"], i["quantity"]) for i in line.items]
    by: Any = line.options.get("by")
    return o.CancelOrder(**_order(line), lines=lines, cancellation=line.options.get("id"), by=by)


def _hear(_stage: Stage, line: Line) -> o.AnswerOrder:
    answer: Any = line.words[2]
    at = _stamp(line).get("occurred_at")
    number = line.options.get("id")
    return o.AnswerOrder(**_order(line), answer=answer, cancellation=number, occurred_at=at)


def _undo(stage: Stage, line: Line) -> c.ReverseFact:
    verb, *words = line.words
    fact = ACTIONS[verb](stage, line._replace(verb=verb, words=words))
    return c.ReverseFact(fact=fact, reason="did_not_occur")


ACTIONS: dict[str, Callable[[Stage, Line], Any]] = {
    "reserve": _reserve,
    "change": _change,
    "confirm": lambda stage, line: c.ConfirmReservation(_id(stage, line.words[0])),
    "release": lambda stage, line: c.ReleaseReservation(_id(stage, line.words[0])),
    "expire": lambda stage, line: c.ExpireReservations([_id(stage, w) for w in line.words]),
    "receive": _receive,
    **dict.fromkeys(STAGES, _stage_fact),
    "send": _transfer,
    "arrive": _transfer,
    "count": _count,
    "return": _return,
    "adjust": _adjust,
    "hold": _move_state,
    "unhold": _move_state,
    "supply": _supply,
    "undo": _undo,
    "fence": _fence_set,
    "safety": _safety,
    "place": _place,
    "revise": _revise,
    "cancel": _cancel,
    "stop": lambda _, line: o.HoldOrder(**_order(line)),
    "resume": lambda _, line: o.ResumeOrder(**_order(line)),
    "give": lambda _, line: o.ReleaseOrder(**_order(line)),
    "hear": _hear,
    "fill": lambda stage, line: o.FillOrders([stage.ids[name] for name in line.words]),
}
