"""Says documents as the bodies of sets and messages."""

from stockbridge.connectors.edi.documents.edifact_sheets import MESSAGES
from stockbridge.connectors.edi.documents.parts import Document
from stockbridge.connectors.edi.documents.sheet import Scope, Sheet
from stockbridge.connectors.edi.documents.sheet_writing import write
from stockbridge.connectors.edi.documents.x12_sheets import SHEETS
from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.segments import Segment


def set_body(code: str, document: Document) -> list[Segment]:
    """The segments between ST and SE of X12 set `code`; Unwritable names what does not fit."""
    return _body(SHEETS.get(code), code, document, ".")


def message_body(code: str, document: Document, decimal: str = ".") -> list[Segment]:
    """The segments between UNH and UNT of EDIFACT message `code`."""
    return _body(MESSAGES.get(code), code, document, decimal)


def _body(sheet: Sheet | None, code: str, document: Document, decimal: str) -> list[Segment]:
    if sheet is None:
        raise Unwritable(f"{code} has no sheet")
    if not isinstance(document, sheet.shape):
        raise Unwritable(f"{code} says a {sheet.shape.__name__}, not a {type(document).__name__}")
    whole = Scope((*sheet.header.nodes, *sheet.items.nodes, *sheet.trailer.nodes))
    return list(write(whole, document, decimal))
