"""Documents as partners exchange them, one shape for a kind; `parts` says what they share."""

import datetime as dt
from decimal import Decimal

from stockbridge.connectors.edi.documents.parts import (
    Amount,
    Carriage,
    Charge,
    Document,
    ItemId,
    Line,
    Load,
    Mark,
    Moment,
    Note,
    Pack,
    Part,
    Party,
    Place,
    Reference,
    Splits,
    Tax,
)


class Movement(Part, frozen=True, kw_only=True, gc=False):
    """Why stock moved (EDIFACT INV): `direction` 1 out, 2 in."""

    direction: str = ""
    status: str = ""
    reason: str = ""
    balance: str = ""
    amounts: list[Amount] = []
    dates: list[Moment] = []
    references: list[Reference] = []
    places: list[Place] = []


class StockLine(Line, frozen=True, kw_only=True, gc=False):
    """An item's figures (846 LIN, INVRPT LIN)."""

    amounts: list[Amount] = []
    splits: list[Splits] = []
    parties: list[Party] = []
    places: list[Place] = []
    movements: list[Movement] = []


class StockReport(Document, frozen=True, kw_only=True, gc=False):
    """846 and INVRPT: what there is."""

    kind: str = ""
    action: str = ""
    places: list[Place] = []
    lines: list[StockLine] = []


class Activity(Part, frozen=True, kw_only=True, gc=False):
    """What happened to an item (852 ZA): QS sold, OH on hand, ..."""

    kind: str
    quantity: Decimal | None = None
    unit: str = ""
    date_qualifier: str = ""
    date: dt.date | None = None
    splits: list[Splits] = []


class ActivityLine(Line, frozen=True, kw_only=True, gc=False):
    """An item's activities."""

    activities: list[Activity] = []


class ActivityReport(Document, frozen=True, kw_only=True, gc=False):
    """852: sales and stock of a retailer's stores, from `date` to `date_to`."""

    handling: str = ""
    date_to: dt.date | None = None
    lines: list[ActivityLine] = []


class Answer(Part, frozen=True, kw_only=True, gc=False):
    """What becomes of some of a line (855 ACK): IA accepted, IB backordered, IR rejected, ..."""

    status: str
    quantity: Decimal | None = None
    unit: str = ""
    date_qualifier: str = ""
    date: dt.date | None = None
    ids: list[ItemId] = []


class OrderLine(Line, frozen=True, kw_only=True, gc=False):
    """A line ordered, changed (`change`, then `left_to_receive`) or answered (`answers`)."""

    quantity: Decimal | None = None
    unit: str = ""
    price: Decimal | None = None
    price_basis: str = ""
    change: str = ""
    left_to_receive: Decimal | None = None
    packs: list[Pack] = []
    charges: list[Charge] = []
    splits: list[Splits] = []
    answers: list[Answer] = []
    parties: list[Party] = []
    notes: list[Note] = []
    amounts: list[Amount] = []


class PurchaseOrder(Document, frozen=True, kw_only=True, gc=False):
    """850, 860, ORDERS, ORDCHG, and their answers 855, 865, ORDRSP.

    `change_number` counts the changes to an order; `answer` is the answer's kind (AC, AD, RJ, ...);
    `answer_date` its day, `date` the order's.
    """

    kind: str = ""
    release: str = ""
    change_number: str = ""
    contract: str = ""
    answer: str = ""
    answer_date: dt.date | None = None
    charges: list[Charge] = []
    carriages: list[Carriage] = []
    lines: list[OrderLine] = []


class WarehouseLine(Line, frozen=True, kw_only=True, gc=False):
    """A line to ship (940 W01, INSDES LIN)."""

    quantity: Decimal | None = None
    unit: str = ""
    lot: str = ""
    notes: list[Note] = []


class WarehouseGroup(Part, frozen=True, kw_only=True, gc=False):
    """Lines that belong together (LX)."""

    number: str = ""
    marks: list[Mark] = []
    lines: list[WarehouseLine] = []


class WarehouseOrder(Document, frozen=True, kw_only=True, gc=False):
    """940 and INSDES: the depositor asks the building to ship. INSDES has `lines`, no groups."""

    kind: str = ""
    order: str = ""
    carriage: Carriage | None = None
    link: str = ""
    master_link: str = ""
    groups: list[WarehouseGroup] = []
    lines: list[WarehouseLine] = []
    total: Decimal | None = None
    weight: Decimal | None = None
    weight_unit: str = ""
    volume: Decimal | None = None
    volume_unit: str = ""


class ShippedLine(Line, frozen=True, kw_only=True, gc=False):
    """A line as the building shipped it (945 W12). `effect` 2 reverses an earlier report.

    Where `status` is IS, `ids` are the substitute's and `original_ids` what was ordered.
    """

    status: str = ""
    ordered: Decimal | None = None
    shipped: Decimal | None = None
    difference: Decimal | None = None
    unit: str = ""
    lot: str = ""
    original_ids: list[ItemId] = []
    original_case_code: str = ""
    reason: str = ""
    effect: str = ""
    amounts: list[Amount] = []


class ShippedGroup(Part, frozen=True, kw_only=True, gc=False):
    """A package, or whatever LX numbers, and the lines in it."""

    number: str = ""
    marks: list[Mark] = []
    references: list[Reference] = []
    lines: list[ShippedLine] = []


class Shipment(Document, frozen=True, kw_only=True, gc=False):
    """945: the building shipped. `order` is the depositor's, `purchase_order` the customer's."""

    reporting: str = ""
    order: str = ""
    purchase_order: str = ""
    master_link: str = ""
    link: str = ""
    carriage: Carriage | None = None
    groups: list[ShippedGroup] = []
    total: Decimal | None = None
    weight: Decimal | None = None
    weight_unit: str = ""
    volume: Decimal | None = None
    volume_unit: str = ""
    cartons: Decimal | None = None
    carton_unit: str = ""


class TransferLine(Line, frozen=True, kw_only=True, gc=False):
    """A line on its way to a building (943 W04)."""

    quantity: Decimal
    unit: str = ""
    hold: str = ""
    lot: str = ""


class Transfer(Document, frozen=True, kw_only=True, gc=False):
    """943: goods are on their way to a building."""

    reporting: str = ""
    shipment: str = ""
    purchase_order: str = ""
    carriage: Carriage | None = None
    lines: list[TransferLine] = []
    total: Decimal | None = None
    weight: Decimal | None = None
    weight_unit: str = ""


class NoticeItem(Line, frozen=True, kw_only=True, gc=False):
    """An item of a DESADV: `amounts` 12 despatched, 21 ordered."""

    amounts: list[Amount] = []


class Level(Part, frozen=True, kw_only=True, gc=False):
    """A node of a shipping notice: shipment S, order O, tare T, pack P, item I (856 HL).

    A CPS of DESADV is a node too, of no level, with its LIN as `items`.
    """

    id: str
    parent: str = ""
    level: str = ""
    has_children: str = ""
    line: str = ""
    ids: list[ItemId] = []
    shipped_line: str = ""
    shipped: Decimal | None = None
    unit: str = ""
    ordered: Decimal | None = None
    ordered_unit: str = ""
    status: str = ""
    order: str = ""
    order_release: str = ""
    order_date: dt.date | None = None
    pack: Pack | None = None
    descriptions: list[Note] = []
    loads: list[Load] = []
    carriages: list[Carriage] = []
    references: list[Reference] = []
    marks: list[Mark] = []
    dates: list[Moment] = []
    parties: list[Party] = []
    items: list[NoticeItem] = []


class ShipNotice(Document, frozen=True, kw_only=True, gc=False):
    """856 and DESADV: goods are on their way to us, or to a customer, package by package."""

    kind: str = ""
    structure: str = ""
    levels: list[Level] = []


class Condition(Part, frozen=True, kw_only=True, gc=False):
    """How much of a received line is in which condition (944 W13, 861 RCD)."""

    quantity: Decimal
    unit: str = ""
    condition: str = ""
    lot: str = ""
    damage: str = ""
    references: list[Reference] = []


class ReceivedLine(Line, frozen=True, kw_only=True, gc=False):
    """A line as the building received it. `effect` 2 reverses an earlier report."""

    received: Decimal | None = None
    unit: str = ""
    shipped: Decimal | None = None
    shipped_unit: str = ""
    lot: str = ""
    effect: str = ""
    order: str = ""
    conditions: list[Condition] = []
    amounts: list[Amount] = []


class Receipt(Document, frozen=True, kw_only=True, gc=False):
    """944, 861 and RECADV: the building received. `order` is ours, `shipment` theirs."""

    reporting: str = ""
    order: str = ""
    shipment: str = ""
    kind: str = ""
    lines: list[ReceivedLine] = []
    total: Decimal | None = None
    total_shipped: Decimal | None = None
    total_damaged: Decimal | None = None


class AdjustedLine(Line, frozen=True, kw_only=True, gc=False):
    """A correction: `quantity` is signed."""

    reason: str
    quantity: Decimal
    unit: str = ""
    lot: str = ""
    kind: str = ""
    amounts: list[Amount] = []


class Adjustment(Document, frozen=True, kw_only=True, gc=False):
    """947: the building corrected its books; `depositor_number` is ours, where we asked for it."""

    depositor_number: str = ""
    kind: str = ""
    lines: list[AdjustedLine] = []


class ReturnLine(Line, frozen=True, kw_only=True, gc=False):
    """A line to be returned."""

    quantity: Decimal | None = None
    unit: str = ""
    price: Decimal | None = None
    disposition: str = ""
    reason: str = ""
    amounts: list[Amount] = []


class Return(Document, frozen=True, kw_only=True, gc=False):
    """180: a return is asked for or authorised."""

    disposition: str = ""
    reason: str = ""
    order: str = ""
    lines: list[ReturnLine] = []


class InvoiceLine(Line, frozen=True, kw_only=True, gc=False):
    """A line invoiced."""

    quantity: Decimal | None = None
    unit: str = ""
    price: Decimal | None = None
    price_basis: str = ""
    taxes: list[Tax] = []
    charges: list[Charge] = []
    splits: list[Splits] = []


class Invoice(Document, frozen=True, kw_only=True, gc=False):
    """810. `total` in currency units."""

    order: str = ""
    order_date: dt.date | None = None
    kind: str = ""
    lines: list[InvoiceLine] = []
    total: Decimal | None = None
    taxes: list[Tax] = []
    carriage: Carriage | None = None
    charges: list[Charge] = []


class RoutedOrder(Part, frozen=True, kw_only=True, gc=False):
    """A purchase order in a routing document."""

    reference: str = ""
    order: str = ""
    quantity: Decimal | None = None
    unit: str = ""
    weight: Decimal | None = None
    weight_unit: str = ""
    volume: Decimal | None = None
    volume_unit: str = ""


class RoutedLoad(Part, frozen=True, kw_only=True, gc=False):
    """A load: where it goes, when it is ready or fetched, by whom."""

    number: str = ""
    parties: list[Party] = []
    references: list[Reference] = []
    dates: list[Moment] = []
    carrier: str = ""
    carrier_date: dt.date | None = None
    service: str = ""
    payment: str = ""
    orders: list[RoutedOrder] = []


class Routing(Document, frozen=True, kw_only=True, gc=False):
    """753 asks how to route loads; 754 tells."""

    loads: list[RoutedLoad] = []
