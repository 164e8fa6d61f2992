"""Sheets of the X12 sets about stock, orders, invoices and returns. Source: X12 004010."""

from typing import Final

from stockbridge.connectors.edi.documents import model
from stockbridge.connectors.edi.documents.sheet import (
    Loop,
    Seg,
    cents,
    day,
    number,
    pairs,
    pairs_from,
    sheet,
)
from stockbridge.connectors.edi.documents.x12_common import (
    CTT,
    CUR,
    DTM,
    LIN_IDS,
    MAN,
    N9,
    NTE,
    NTE_N9,
    PARTIES,
    PARTIES_PER,
    PER,
    PID,
    PO1_IDS,
    PO4,
    QTY,
    REF,
    SAC,
    SDQ,
    TD5,
    TXI,
)

STOCK: Final = sheet(
    model.StockReport,
    Seg("BIA", purpose=1, kind=2, number=3, date=day(4), time=5, action=6),
    CUR,
    DTM,
    REF,
    PER,
    PARTIES,
    item=Loop(
        "lines",
        Seg("LIN", line=1, ids=LIN_IDS),
        PID,
        REF,
        SDQ,
        Loop(
            "amounts",
            Seg("QTY", kind=1, quantity=number(2), unit=(3, 1)),
            DTM,
        ),
        PARTIES,
    ),
    trailer=(CTT,),
)
_ORDER_HEAD: Final = (CUR, REF, PER, SAC, DTM, TD5, NTE_N9, PARTIES)
_LINE_TAIL: Final = (PID, PO4, REF, SAC, SDQ, DTM)
_ANSWERS: Final = Seg(
    "ACK",
    "answers",
    many=True,
    status=1,
    quantity=number(2),
    unit=3,
    date_qualifier=4,
    date=day(5),
    ids=pairs_from(7, 28),
)
_PO1: Final = Seg(
    "PO1", line=1, quantity=number(2), unit=3, price=number(4), price_basis=5, ids=PO1_IDS
)
_POC: Final = Seg(
    "POC",
    line=1,
    change=2,
    quantity=number(3),
    left_to_receive=number(4),
    unit=(5, 1),
    price=number(6),
    price_basis=7,
    ids=pairs_from(8, 27),
)
ORDER: Final = sheet(
    model.PurchaseOrder,
    Seg("BEG", purpose=1, kind=2, number=3, release=4, date=day(5), contract=6),
    *_ORDER_HEAD,
    item=Loop("lines", _PO1, *_LINE_TAIL, MAN, NTE_N9, PARTIES),
    trailer=(CTT,),
)
ORDER_CHANGE: Final = sheet(
    model.PurchaseOrder,
    Seg("BCH", purpose=1, kind=2, number=3, release=4, change_number=5, date=day(6), contract=8),
    *_ORDER_HEAD,
    item=Loop("lines", _POC, *_LINE_TAIL, NTE_N9, PARTIES),
    trailer=(CTT,),
)
ORDER_ANSWER: Final = sheet(
    model.PurchaseOrder,
    Seg(
        "BAK",
        purpose=1,
        answer=2,
        number=3,
        date=day(4),
        release=5,
        contract=7,
        answer_date=day(9),
        kind=10,
    ),
    *_ORDER_HEAD,
    item=Loop("lines", _PO1, PID, PO4, REF, SAC, SDQ, DTM, _ANSWERS, NTE_N9, PARTIES),
    trailer=(CTT,),
)
CHANGE_ANSWER: Final = sheet(
    model.PurchaseOrder,
    Seg(
        "BCA",
        purpose=1,
        answer=2,
        number=3,
        release=4,
        change_number=5,
        date=day(6),
        contract=8,
        answer_date=day(10),
        kind=13,
    ),
    *_ORDER_HEAD,
    item=Loop("lines", _POC, PID, PO4, REF, SAC, SDQ, DTM, _ANSWERS, NTE_N9, PARTIES),
    trailer=(CTT,),
)
INVOICE: Final = sheet(
    model.Invoice,
    Seg("BIG", date=day(1), number=2, order_date=day(3), order=4, kind=7, purpose=8),
    NTE,
    CUR,
    REF,
    PER,
    PARTIES,
    DTM,
    item=Loop(
        "lines",
        Seg("IT1", line=1, quantity=number(2), unit=3, price=number(4), price_basis=5, ids=PO1_IDS),
        TXI,
        PID,
        REF,
        SDQ,
        DTM,
        SAC,
    ),
    trailer=(
        Seg("TDS", total=cents(1)),
        TXI,
        Seg("CAD", "carriage", mode=1, equipment=3, carrier=4, routing=5),
        SAC,
        CTT,
    ),
)
RETURN: Final = sheet(
    model.Return,
    Seg("BGN", purpose=1, number=2, date=day(3), time=4),
    Seg("RDR", disposition=1, reason=2),
    Seg("PRF", order=1),
    DTM,
    N9,
    PER,
    NTE,
    PARTIES_PER,
    item=Loop(
        "lines",
        Seg("BLI", ids=pairs(1, 8, 10, 12), quantity=number(3), unit=4, price=number(6)),
        N9,
        PID,
        Seg("RDR", disposition=1, reason=2),
        DTM,
        QTY,
    ),
)
ACTIVITY: Final = sheet(
    model.ActivityReport,
    Seg("XQ", handling=1, date=day(2), date_to=day(3)),
    N9,
    PER,
    PARTIES_PER,
    item=Loop(
        "lines",
        Seg("LIN", line=1, ids=LIN_IDS),
        N9,
        Loop(
            "activities",
            Seg("ZA", kind=1, quantity=number(2), unit=3, date_qualifier=4, date=day(5)),
            SDQ,
        ),
    ),
    trailer=(CTT,),
)
