"""Accounts and movement kinds: the small numbers the ledger stores, and their public names.

Plain integers, because they index lists and fill columns in the hottest loop.
"""

from typing import Final

AVAILABLE: Final = 1
ALLOCATED: Final = 2
PICKED: Final = 3
QUARANTINED: Final = 4
IN_TRANSIT: Final = 5
ON_ORDER: Final = 6
RESERVED: Final = 7
BACKORDERED: Final = 8

SUPPLIER: Final = 20
CUSTOMER: Final = 21
ADJUSTMENT: Final = 22
SCRAP: Final = 23
TRANSFER: Final = 24
DEMAND: Final = 25

INSIDE: Final = range(AVAILABLE, BACKORDERED + 1)
"""Accounts that a (item, location) balance keeps; all others close the books outside."""

ACCOUNT_NAMES: Final[dict[int, str]] = {
    AVAILABLE: "available",
    ALLOCATED: "allocated",
    PICKED: "picked",
    QUARANTINED: "quarantined",
    IN_TRANSIT: "in_transit",
    ON_ORDER: "on_order",
    RESERVED: "reserved",
    BACKORDERED: "backordered",
    SUPPLIER: "supplier",
    CUSTOMER: "customer",
    ADJUSTMENT: "adjustment",
    SCRAP: "scrap",
    TRANSFER: "transfer",
    DEMAND: "demand",
}
ACCOUNTS: Final[dict[str, int]] = {name: code for code, name in ACCOUNT_NAMES.items()}

KIND_NAMES: Final[dict[int, str]] = {
    1: "receive",
    2: "putaway",
    3: "allocate",
    4: "deallocate",
    5: "pick",
    6: "unpick",
    7: "pack",
    8: "ship",
    9: "transfer_ship",
    10: "transfer_receive",
    11: "return_receive",
    12: "dispose",
    13: "hold",
    14: "release",
    15: "adjust",
    16: "count",
    17: "reserve",
    18: "unreserve",
    19: "backorder",
    20: "unbackorder",
    21: "order_supply",
    22: "ship_supply",
    23: "cancel_supply",
}
KINDS: Final[dict[str, int]] = {name: code for code, name in KIND_NAMES.items()}

RECEIVE: Final = KINDS["receive"]
ALLOCATE: Final = KINDS["allocate"]
PICK: Final = KINDS["pick"]
PACK: Final = KINDS["pack"]
DEALLOCATE: Final = KINDS["deallocate"]
SHIP: Final = KINDS["ship"]
TRANSFER_SHIP: Final = KINDS["transfer_ship"]
TRANSFER_RECEIVE: Final = KINDS["transfer_receive"]
RETURN_RECEIVE: Final = KINDS["return_receive"]
DISPOSE: Final = KINDS["dispose"]
HOLD: Final = KINDS["hold"]
RELEASE: Final = KINDS["release"]
ADJUST: Final = KINDS["adjust"]
COUNT: Final = KINDS["count"]
RESERVE: Final = KINDS["reserve"]
UNRESERVE: Final = KINDS["unreserve"]
BACKORDER: Final = KINDS["backorder"]
UNBACKORDER: Final = KINDS["unbackorder"]
ORDER_SUPPLY: Final = KINDS["order_supply"]
SHIP_SUPPLY: Final = KINDS["ship_supply"]
CANCEL_SUPPLY: Final = KINDS["cancel_supply"]
