"""The small enterprise that stories, laws and simulations play in."""

from typing import Any

from stockbridge.contracts.masters import (
    KitComponent,
    PutChannel,
    PutItem,
    PutLocation,
    PutPolicy,
    PutReasonCode,
    UnitOfMeasure,
)

LOCATIONS = ("W1", "W2", "W3")
SKUS = ("A", "B", "C", "D")


def masters() -> list[Any]:
    """Bodies to submit in this order.

    A, B, C, D are plain items (A also by the CASE of 12 and by HALF units); KIT is 1 A + 2 B,
    DUO is 1 A + 1 C; DRAFT is not active yet. Channels: `web` and `shop` share W1, W2, W3 in
    this order, `few` wants fewest splits, `half` may take 50 %, `vip` only what is set aside for
    it, `dark` has no locations.
    """
    uoms = [UnitOfMeasure("CASE", 12), UnitOfMeasure("HALF", 1, 2)]
    places = list(LOCATIONS)
    return [
        *(PutLocation(code) for code in LOCATIONS),
        PutItem("A", standard_cost="2.5", uoms=uoms),
        *(PutItem(sku) for sku in SKUS[1:]),
        PutItem("KIT", components=[KitComponent("A", 1), KitComponent("B", 2)]),
        PutItem("DUO", components=[KitComponent("A", 1), KitComponent("C", 1)]),
        PutItem("DRAFT", status="draft"),
        PutChannel("web", sources=places),
        PutChannel("shop", sources=places),
        PutChannel("few", sources=places, sourcing="fewest_splits"),
        PutChannel("half", sources=places),
        PutChannel("vip", sources=places),
        PutChannel("dark"),
        PutPolicy("half", kind="percent", percent=50),
        PutPolicy("vip", kind="ring_fenced"),
        PutReasonCode("RETIRED", active=False),
    ]
