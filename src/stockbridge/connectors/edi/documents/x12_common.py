"""Segments that many X12 sets share, as nodes of sheets. Source: X12 004010."""

from typing import Final

from stockbridge.connectors.edi.documents.sheet import (
    Field,
    Loop,
    Seg,
    cents,
    count,
    day,
    number,
    pairs_from,
    rest,
    rows,
    tuples,
)

REF = Seg("REF", "references", many=True, qualifier=1, value=2, text=3)
N9 = Seg("N9", "references", many=True, qualifier=1, value=2, text=3)
DTM = Seg("DTM", "dates", many=True, qualifier=1, date=day(2), time=3, zone=4)
G62 = Seg("G62", "dates", many=True, qualifier=1, date=day(2), time=4)
PER = Seg(
    "PER",
    "contacts",
    many=True,
    role=1,
    name=2,
    channels=tuples((3, 5, 7), 2, kind=Field(0), address=Field(1)),
)
CUR = Seg("CUR", currency_of=1, currency=2)
NTE = Seg("NTE", "notes", many=True, kind=1, text=2)
NTE_N9 = Loop(
    "notes",
    Seg("N9", kind=1, reference=2, text=3),
    Seg("MSG", messages=rest(1, 1)),
)
"""Free text of the order sets: an N9 opens it."""
PID = Seg("PID", "descriptions", many=True, also={1: "F"}, kind=2, text=5, language=9)
G69 = Seg("G69", "descriptions", many=True, text=1)
MAN = Seg("MAN", "marks", many=True, qualifier=1, value=2, last=3)
QTY = Seg("QTY", "amounts", many=True, kind=1, quantity=number(2), unit=(3, 1))
SAC = Seg(
    "SAC",
    "charges",
    many=True,
    indicator=1,
    code=2,
    amount=cents(5),
    percent_qualifier=6,
    percent=number(7),
    rate=number(8),
    method=12,
    text=15,
)
TXI = Seg("TXI", "taxes", many=True, kind=1, amount=number(2), percent=number(3), jurisdiction=5)
SDQ = Seg("SDQ", "splits", many=True, unit=1, qualifier=2, rows=rows(3, 22))
_PACK: Final[dict[str, Field]] = {
    "packs": number(1),
    "size": number(2),
    "unit": Field(3),
    "packaging": Field(4),
    "weight_qualifier": Field(5),
    "weight": number(6),
    "weight_unit": Field(7),
    "volume": number(8),
    "volume_unit": Field(9),
    "inner": number(14),
}
PO4 = Seg("PO4", "packs", many=True, fields=_PACK)
LEVEL_PO4 = Seg("PO4", "pack", fields=_PACK)
TD1 = Seg(
    "TD1",
    "loads",
    many=True,
    packaging=1,
    count=number(2),
    weight_qualifier=6,
    weight=number(7),
    weight_unit=8,
    volume=number(9),
    volume_unit=10,
)
TD5 = Seg(
    "TD5",
    "carriages",
    many=True,
    sequence=1,
    qualifier=2,
    carrier=3,
    mode=4,
    routing=5,
    status=6,
)

_ADDRESS = (
    Seg("N2", names=rest(1, 2)),
    Seg("N3", address=rest(1, 2)),
    Seg("N4", city=1, region=2, postal_code=3, country=4, place_qualifier=5, place=6),
)
_NAME = Seg("N1", role=1, name=2, qualifier=3, id=4)
PARTIES = Loop("parties", _NAME, *_ADDRESS, REF, PER)
PARTIES_PER = Loop("parties", _NAME, *_ADDRESS, PER)
"""Parties of the warehouse sets, whose N9 belong to the document."""
PARTIES_PLAIN = Loop("parties", _NAME, *_ADDRESS)

LIN_IDS = pairs_from(2, 31)
PO1_IDS = pairs_from(6, 25)

CTT: Final = Seg("CTT", line_count=count(1, "lines"), hash_total=number(2))
