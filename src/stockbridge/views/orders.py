"""One order from the store: how far each line is, and its timeline."""

from typing import Any

import msgspec

from stockbridge.domain.orders.answers import order_answer
from stockbridge.domain.world.model import FulfilmentLine, Hold
from stockbridge.domain.world.order import Order, OrderContent
from stockbridge.kernel.errors import Refusal
from stockbridge.views.loading import SQL, Connection, rows_of

_decode = msgspec.json.Decoder(OrderContent).decode


async def order_read(
    conn: Connection,
    *,
    order_id: int | None = None,
    channel: str | None = None,
    number: str | None = None,
) -> dict[str, Any] | Refusal:
    """The order by our id, or by its channel and number, with its timeline."""
    found = await rows_of(conn, SQL.read_order, id=order_id, channel=channel, number=number)
    if not found:
        detail = "there is no such order: use its id, or its channel and the channel's number"
        return Refusal("unknown_order", detail, 404)
    row = (*found[0][:5], _decode(found[0][5]), *found[0][6:])
    code, held, reports, timeline = row[11:]
    holds = [Hold(*each) for each in held]
    reported = [FulfilmentLine(*each) for each in reports]
    places = dict(await rows_of(conn, SQL.read_places))
    return order_answer(Order(*row[:11]), code, holds, reported, places) | {"timeline": timeline}
