"""What operators read: one message from its bytes to its movements, sequences, flows."""

from base64 import b64encode
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection

from stockbridge.domain.masters.cache import Masters
from stockbridge.domain.world.needs import Needs
from stockbridge.engine.inbox.model import Decode, Flow, Message
from stockbridge.engine.inbox.replay import unknown_message
from stockbridge.engine.inbox.rules import identity
from stockbridge.engine.registry import HANDLERS
from stockbridge.governance import audit
from stockbridge.kernel.accounts import ACCOUNT_NAMES, KIND_NAMES
from stockbridge.kernel.errors import Refusal
from stockbridge.store.arrays import ints
from stockbridge.store.sql import load

SQL = load(__package__)
Conn = AsyncConnection[Any]
Document = dict[str, Any]


async def message_document(conn: Conn, message_id: int, decode: Decode) -> Document | Refusal:
    """Envelope, bytes, what they say, what became of it and what it moved."""
    named = {"message_id": message_id}
    source = await (await conn.execute(SQL.find_source_id, named)).fetchone()
    if source is None:
        return unknown_message(message_id)
    values = named | {"identity": identity(*source)}
    row = (await (await conn.execute(SQL.read_message, values)).fetchall())[0]
    message = Message(*row[:11])
    (source_id, causation_id, door, content_hash, status, code, reason, settled_at, seen,
     wait_keys) = row[11:]  # fmt: skip
    bodies = decode(message.contract, message.content_type, message.body)
    return {
        "id": str(message.message_id),
        "received_at": message.received_at,
        "system": message.system,
        "source_message_id": source_id,
        "flow": message.flow,
        "sequence": message.sequence,
        "contract": message.contract,
        "door": door,
        "principal": message.principal,
        "status": status,
        "reason_code": code,
        "reason": reason,
        "attempts": message.attempts,
        "settled_at": settled_at,
        "times_seen": seen,
        "waits_for": wait_keys,
        "correlation_id": message.correlation_id,
        "causation_id": causation_id,
        "content_type": message.content_type,
        "content_sha256": content_hash,
        **_raw(message.body),
        **_decoded(bodies),
        "movements": await _movements(conn, message, bodies if isinstance(bodies, list) else []),
    }


def _raw(body: bytes) -> Document:
    try:
        return {"text": body.decode(), "base64": None}
    except UnicodeDecodeError:
        return {"text": None, "base64": b64encode(body).decode()}


def _decoded(bodies: Any) -> Document:
    if not isinstance(bodies, list):
        return {"decoded": None, "undecodable": {"code": bodies.code, "detail": bodies.detail}}
    decoded = [
        {"command": type(body).__name__, "body": msgspec.to_builtins(body)} for body in bodies
    ]
    return {"decoded": decoded, "undecodable": None}


async def _movements(conn: Conn, message: Message, bodies: list[Any]) -> list[Document]:
    """What the message moved, found by the items it names, components of kits included."""
    needs, masters = Needs(), Masters()
    for body in bodies:
        if type(body) in HANDLERS:
            HANDLERS[type(body)].names(body, needs)
    await masters.fetch(conn, needs.skus, needs.aliases)
    values = {
        "items": ints(masters.items_by_id),
        "since": message.received_at,
        "message_id": str(message.message_id),
    }
    rows = await (await conn.execute(SQL.movements_of, values)).fetchall()
    return [{**_movement(*row), "message_id": str(message.message_id)} for row in rows]


def _movement(
    movement_id: int, kind: int, giver: int, taker: int, quantity: int,
    occurred_at: datetime, document_type: str, number: str, line: str, sku: str, location: str,
) -> Document:  # fmt: skip
    return {
        "movement_id": str(movement_id),
        "kind": KIND_NAMES[kind],
        "sku": sku,
        "location": location,
        "from": ACCOUNT_NAMES[giver],
        "to": ACCOUNT_NAMES[taker],
        "quantity": quantity,
        "occurred_at": occurred_at,
        "document": {"type": document_type, "number": number, "line": line},
    }


async def out_of_sequence(conn: Conn, system: str | None = None) -> list[Document]:
    """For each source that numbers its messages: the exact gaps, late and repeated numbers."""
    rows = await (await conn.execute(SQL.out_of_sequence, {"system": system})).fetchall()
    names = ("system", "flow", "first", "newest", "gaps", "late", "repeated", "newest_at",
             "parked_behind", "is_strict")  # fmt: skip
    found = []
    for row in rows:
        document = dict(zip(names, row, strict=True))
        document["missing"] = sum(last - first + 1 for first, last in document["gaps"])
        found.append(document)
    return found


async def flows(conn: Conn) -> list[Document]:
    """How patient each known flow is."""
    rows = await (await conn.execute(SQL.flows)).fetchall()
    names = ("system", "flow", *Flow._fields)
    return [dict(zip(names, row, strict=True)) for row in rows]


async def put_flow(
    conn: Conn, system: str, flow: str, patience: Flow, *, actor: str, correlation_id: str = ""
) -> Refusal | None:
    """Set how patient a flow is, in every node within a tick."""
    async with conn.transaction():
        known = await (await conn.execute(SQL.find_system, {"system": system})).fetchall()
        if not known[0][0]:
            return Refusal("unknown_system", f"system {system} does not exist", 404)
        values = {"system": system, "flow": flow, **patience._asdict()}
        await conn.execute(SQL.put_flow, values)
        subject = f"flow/{system}/{flow}"
        detail = patience._asdict()
        await audit.record(conn, actor, "flow.put", subject, detail, correlation_id)
        await conn.execute(SQL.notify_inbox)
    return None
