"""Deliveries as documents of the partner: 940, 855, 856. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from stockbridge.connectors.edi.documents import model, parts
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.ordering import order_named
from stockbridge.connectors.edi.partner import building
from stockbridge.connectors.edi.partner.profile import Profile
from stockbridge.connectors.edi.partner.sending import Outgoing
from stockbridge.contracts.partners.operations import (
    AcknowledgeOrder,
    ConfirmShipment,
    Payload,
    ShipOrder,
    ToldLine,
)

SETS: Final[Mapping[type[Any], str]] = {
    AcknowledgeOrder: "855",
    ConfirmShipment: "856",
    ShipOrder: "940",
}
_FIRST, _ONCE_MORE = "N", "B"


def written(payload: Payload, profile: Profile) -> Outgoing:
    """The set that says it; Unwritable names what the partner's format or agreement lacks."""
    code = SETS.get(type(payload))
    if profile.standard != "x12" or code is None:
        raise Unwritable(f"{type(payload).__name__} is not said in {profile.standard}")
    document: parts.Document
    match payload:
        case ShipOrder():
            document = _warehouse_order(payload, profile)
        case AcknowledgeOrder():
            document = _answer(payload, profile)
        case ConfirmShipment():
            document = _notice(payload, profile)
        case _:
            raise Unwritable(f"{type(payload).__name__} has no set")
    return Outgoing(code=code, document=document)


def _warehouse_order(payload: ShipOrder, profile: Profile) -> model.WarehouseOrder:
    """The building's order; what is asked of an order once more is a backorder's original."""
    lines = [
        building.Asked(
            line=line.line, ids=_ids(line, profile), quantity=line.quantity,
            unit=_unit(line, profile),
        )
        for line in payload.lines
    ]  # fmt: skip
    return building.warehouse_order(
        payload.order,
        payload.order,
        lines,
        [*_depositor(profile), *_building(payload.location, profile), *_ship_to(payload)],
        profile=profile,
        purpose=_FIRST if payload.times == 1 else _ONCE_MORE,
    )


def _depositor(profile: Profile) -> list[parts.Party]:
    return [parts.Party(role="DE", qualifier="ZZ", id=profile.us.app_id or profile.us.id)]


def _building(location: str, profile: Profile) -> list[parts.Party]:
    """Our location as the partner calls it; its first numbering is the one agreed."""
    names = [theirs for theirs, ours in profile.locations.table.items() if ours == location]
    if not names:
        raise Unwritable(f"locations.table of the profile has no name for {location}")
    numbering = profile.locations.qualifiers[0] if profile.locations.qualifiers else "92"
    return [parts.Party(role="WH", qualifier=numbering, id=names[0])]


def _ship_to(payload: ShipOrder) -> list[parts.Party]:
    to = payload.ship_to
    if not to:
        return []
    return [
        parts.Party(
            role="ST",
            name=str(to.get("name") or payload.order),
            address=[str(line) for line in to.get("street", ())][:2],
            city=str(to.get("city", "")),
            region=str(to.get("region", "")),
            postal_code=str(to.get("postal_code", "")),
            country=str(to.get("country") or ""),
        )
    ]


def _answer(payload: AcknowledgeOrder, profile: Profile) -> model.PurchaseOrder:
    """An 855 that accepts the lines: what waits for stock is ours to find."""
    number, release, _ = order_named(payload.order)
    day = payload.acknowledged_at.astimezone(profile.zone).date()
    lines = [
        model.OrderLine(
            line=line.line, quantity=Decimal(line.quantity), unit=_unit(line, profile),
            ids=_ids(line, profile),
        )
        for line in payload.lines
    ]  # fmt: skip
    order = model.PurchaseOrder(purpose="00", number=number, release=release, date=day, lines=lines)
    return building.accepted(order, day)


def _notice(payload: ConfirmShipment, profile: Profile) -> model.ShipNotice:
    number, _, _ = order_named(payload.order)
    mark = parts.Mark(qualifier="CP", value=payload.tracking or payload.package)
    lines = [
        building.Shipped(
            line=line.line, ids=_ids(line, profile), quantity=line.quantity,
            unit=_unit(line, profile),
        )
        for line in payload.lines
    ]  # fmt: skip
    carriage = parts.Carriage(qualifier="2", carrier=payload.carrier) if payload.carrier else None
    local: datetime = payload.shipped_at.astimezone(profile.zone)
    return building.ship_notice(
        payload.package,
        local,
        [building.Package(order=number, marks=[mark], lines=lines)],
        [],
        carriage=carriage,
    )


def _ids(line: ToldLine, profile: Profile) -> list[parts.ItemId]:
    """Our SKU under the qualifier that the partner takes for ours."""
    ours = profile.items.ours[0] if profile.items.ours else "VN"
    return [parts.ItemId(qualifier=ours, id=line.sku)]


def _unit(line: ToldLine, profile: Profile) -> str:
    """Their code of the line's unit."""
    if not line.uom:
        return "EA"
    codes = [theirs for theirs, ours in profile.units.items() if ours == line.uom]
    if not codes:
        raise Unwritable(f"line {line.line}: units of the profile have no code for {line.uom}")
    return codes[0]
