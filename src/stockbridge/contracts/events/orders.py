"""Events about orders that channels, ERPs and buildings report: the commands' words, as facts."""

from typing import Any

import msgspec

from stockbridge.contracts.base import Code, Number, Shape
from stockbridge.contracts.orders import (
    AnswerOrder,
    CancelOrder,
    EditOrder,
    OrderMode,
    PlaceOrder,
)


class OrderPlaced(PlaceOrder, frozen=True, kw_only=True):
    """A channel placed an order; unless `mode` says that it only asks, it has sold it."""

    mode: OrderMode = "sold"


class OrderEdited(EditOrder, frozen=True, kw_only=True):
    """A channel changed quantities of an order, or it was paid."""

    channel: Code
    number: Number


class OrderCancelled(CancelOrder, frozen=True, kw_only=True):
    """An order, or quantities of its lines, were called off."""

    channel: Code
    number: Number


class OrderAnswered(AnswerOrder, frozen=True, kw_only=True):
    """The ERP took or refused an order, or a building agreed to a cancellation or not."""

    channel: Code
    number: Number


def _said(event: Shape) -> dict[str, Any]:
    return msgspec.structs.asdict(event)


def placed(event: OrderPlaced) -> PlaceOrder:
    """The order."""
    return PlaceOrder(**_said(event))


def edited(event: OrderEdited) -> EditOrder:
    """New quantities."""
    return EditOrder(**_said(event))


def cancelled(event: OrderCancelled) -> CancelOrder:
    """What is called off."""
    return CancelOrder(**_said(event))


def answered(event: OrderAnswered) -> AnswerOrder:
    """A system's answer."""
    return AnswerOrder(**_said(event))
