"""What codes mean where a profile says nothing: what guides have in common.

Sources: X12 004010 element lists; meanings after guides of 3PLs and retailers. Codes whose meaning
guides do not agree on are `ask`: a person decides, or the profile does.
"""

from typing import Final, Literal

from stockbridge.connectors.edi.partner.profile import Handling, Profile, Rule


def _adjust(reason: str) -> Rule:
    return Rule(books="adjust", reason=reason)


def _hold(reason: str) -> Rule:
    return Rule(books="hold", reason=reason)


# Element 181, quantity or status adjustment reason.
ADJUSTMENTS: Final[dict[str, Rule]] = {
    "AA": _adjust("CORRECTION"),
    "05": _hold("HOLD"),
    "55": Rule(books="release", reason="HOLD"),
    "AU": _hold("DAMAGED"),
    "AV": _hold("DAMAGED"),
    "AW": _hold("RECALL"),
    "AX": _hold("EXPIRED"),
    "BK": _hold("OFF_SPEC"),
    "07": _adjust("DAMAGED"),
    "CD": _adjust("SAMPLE"),
    "04": _adjust("CORRECTION"),
    "54": _adjust("CORRECTION"),
    "53": _adjust("CORRECTION"),
    "AR": _adjust("CORRECTION"),
    "AY": _adjust("CORRECTION"),
    "AB": _adjust("CORRECTION"),
    "51": _adjust("FOUND"),
    "52": _adjust("FOUND"),
    "AS": _adjust("FOUND"),
    "AE": _adjust("CORRECTION"),
    "AN": _adjust("CORRECTION"),
}
# EDIFACT 4499, reason for inventory movement.
MOVEMENTS: Final[dict[str, Rule]] = {
    "3": _adjust("DAMAGED"),
    "4": _adjust("CORRECTION"),
}
# Element 412, receiving condition.
CONDITIONS: Final[dict[str, Handling]] = {
    "01": "quarantined",
    "02": "discrepancy",
    "03": "discrepancy",
    "04": "quarantined",
    "05": "quarantined",
    "07": "good",
    "08": "not_stocked",
    "09": "quarantined",
    "10": "not_stocked",
    "12": "not_stocked",
}
# Element 368, shipment or order status: whether what was not shipped still comes.
STATUSES: Final[dict[str, Literal["closed", "open"]]] = {
    **dict.fromkeys(("CC", "CL", "CM", "CP", "CS", "DE", "DS", "IC", "IS", "LS"), "closed"),
    **dict.fromkeys(("BK", "BO", "BP", "PH", "PR", "SS"), "open"),
}
# Element 673 and EDIFACT 6063. Only what is a state of ours; what is on hand in sum says no state.
QUANTITIES: Final[dict[str, Literal["available", "allocated", "picked", "quarantined"]]] = {
    "33": "available",
    "20": "quarantined",
    "27": "allocated",
}
INVENTORY_STATUS: Final[dict[str, Literal["available", "quarantined"]]] = {
    "": "available",
    "1": "available",
    "2": "quarantined",
}
BASE_UNITS: Final = frozenset({"", "EA", "PC", "PCE", "UN", "C62"})
"""Units that are the item's base unit unless the profile says otherwise."""


def adjustment(profile: Profile, code: str) -> Rule | None:
    """What an adjustment's reason means; None: nobody said."""
    return profile.adjustments.get(code) or ADJUSTMENTS.get(code)


def movement(profile: Profile, code: str) -> Rule | None:
    """What an inventory movement's reason means; None: nobody said."""
    return profile.adjustments.get(code) or MOVEMENTS.get(code)


def handling(profile: Profile, code: str) -> Handling | None:
    """What a receiving condition means; None: nobody said."""
    return profile.conditions.get(code) or CONDITIONS.get(code)


def status(profile: Profile, code: str) -> Literal["closed", "open"] | None:
    """Whether a shipped line's remainder still comes; None: nobody said."""
    return profile.statuses.get(code) or STATUSES.get(code)
