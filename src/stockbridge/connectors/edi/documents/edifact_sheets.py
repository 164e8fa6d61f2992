"""The EDIFACT messages that a distributor trades, as sheets. Source: UN/EDIFACT directory D.96A.

Dates are of the formats 102, 203 and 204 (CCYYMMDD, then HHMM, then SS); others are left alone.
"""

from typing import Final

from stockbridge.connectors.edi.documents import model
from stockbridge.connectors.edi.documents.sheet import (
    Field,
    Loop,
    Seg,
    Sheet,
    count,
    day,
    number,
    rest,
    sheet,
    tuples,
)

_BGM: Final = Seg("BGM", kind=(1, 1), number=(2, 1), purpose=3)
_DATE_FORMATS: Final = {(1, 3): ("102", "203", "204", "")}
DTM: Final = Seg(
    "DTM",
    "dates",
    many=True,
    when=_DATE_FORMATS,
    qualifier=(1, 1),
    date=day(1, 2),
    time=Field(1, 2, "clock", "date"),
)
RFF: Final = Seg("RFF", "references", many=True, qualifier=(1, 1), value=(1, 2), text=(1, 3))
FTX: Final = Seg("FTX", "notes", many=True, kind=1, messages=Field(4, 0, "parts"))
NAD: Final = Loop(
    "parties",
    Seg(
        "NAD",
        role=1,
        id=(2, 1),
        qualifier=(2, 3),
        names=Field(4, 0, "parts"),
        address=Field(5, 0, "parts"),
        city=6,
        region=7,
        postal_code=8,
        country=9,
    ),
    RFF,
)
CUX: Final = Seg("CUX", also={(1, 1): "2"}, currency=(1, 2))
QTY: Final = Seg("QTY", "amounts", many=True, kind=(1, 1), quantity=number(1, 2), unit=(1, 3))
LOC: Final = Seg("LOC", "places", many=True, qualifier=1, id=(2, 1))
IMD: Final = Seg("IMD", "descriptions", many=True, kind=1, text=(3, 4))
CNT: Final = Seg("CNT", also={(1, 1): "2"}, line_count=count(1, "lines", 2))
UNS: Final = Seg("UNS", also={1: "S"})
GIN: Final = Seg("GIN", "marks", many=True, qualifier=1, value=(2, 1), last=(2, 2), more=rest(3))
PRI: Final = Seg("PRI", price_basis=(1, 1), price=number(1, 2))
LIN: Final = Seg(
    "LIN",
    line=1,
    ids=tuples((3,), 2, id=Field(0, 1), qualifier=Field(0, 2))._replace(most=1, is_first=True),
)
LIN_CHANGED: Final = Seg(
    "LIN",
    line=1,
    change=2,
    ids=tuples((3,), 2, id=Field(0, 1), qualifier=Field(0, 2))._replace(most=1, is_first=True),
)
PIA: Final = Seg(
    "PIA",
    also={1: "5"},
    ids=tuples(range(2, 7), 2, id=Field(0, 1), qualifier=Field(0, 2))._replace(skip=1, most=5),
)


def _quantity(*kinds: str) -> Seg:
    """A quantity of one of these kinds as the line's own; others are among its amounts."""
    return Seg("QTY", when={(1, 1): kinds}, quantity=number(1, 2), unit=(1, 3))


STOCK: Final = sheet(
    model.StockReport,
    _BGM,
    DTM,
    FTX,
    RFF,
    NAD,
    CUX,
    item=Loop(
        "lines",
        LIN,
        PIA,
        IMD,
        QTY,
        LOC,
        DTM,
        RFF,
        Loop(
            "movements",
            Seg("INV", direction=1, status=2, reason=3, balance=4),
            QTY,
            DTM,
            LOC,
            RFF,
        ),
    ),
    trailer=(CNT,),
)
_ORDER_LINE: Final = Loop(
    "lines", LIN_CHANGED, PIA, IMD, _quantity("21"), QTY, DTM, FTX, PRI, RFF, NAD
)
ORDER: Final = sheet(
    model.PurchaseOrder, _BGM, DTM, FTX, RFF, NAD, CUX, item=_ORDER_LINE, trailer=(UNS, CNT)
)
WAREHOUSE_ORDER: Final = sheet(
    model.WarehouseOrder,
    _BGM,
    DTM,
    FTX,
    RFF,
    NAD,
    item=Loop("lines", LIN, PIA, IMD, _quantity("21", "12", "113"), DTM, FTX, RFF),
    trailer=(UNS, CNT),
)
SHIP_NOTICE: Final = sheet(
    model.ShipNotice,
    _BGM,
    DTM,
    RFF,
    NAD,
    item=Loop(
        "levels",
        Seg("CPS", id=1, parent=2),
        Seg("PAC", "loads", many=True, count=number(1), packaging=(3, 1)),
        GIN,
        Loop("items", LIN, PIA, IMD, QTY, GIN, DTM, RFF),
    ),
    trailer=(Seg("CNT", also={(1, 1): "2"}, line_count=count(1, "levels", 2)),),
)
RECEIPT: Final = sheet(
    model.Receipt,
    _BGM,
    DTM,
    RFF,
    NAD,
    item=Loop("lines", LIN, PIA, IMD, QTY, DTM, RFF),
    trailer=(CNT,),
)
MESSAGES: Final[dict[str, Sheet]] = {
    "DESADV": SHIP_NOTICE,
    "INSDES": WAREHOUSE_ORDER,
    "INVRPT": STOCK,
    "ORDCHG": ORDER,
    "ORDERS": ORDER,
    "ORDRSP": ORDER,
    "RECADV": RECEIPT,
}
