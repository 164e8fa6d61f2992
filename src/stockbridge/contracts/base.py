"""Field types and the base class of every request shape.

Shapes refuse unknown fields and say where a value is wrong; quantities are whole numbers.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from stockbridge.kernel.quantity import QUANTITY_MAX

LINES_MAX = 5_000
"""Most lines in one document; an order of this size is decided as one."""

Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]
Sku = Annotated[str, Meta(min_length=1, max_length=128, description="Stock keeping unit")]
Number = Annotated[str, Meta(min_length=1, max_length=128, description="A document's number")]
Text = Annotated[str, Meta(max_length=2_000)]
Uom = Annotated[str, Meta(min_length=1, max_length=16, description="Unit; the base unit if absent")]
Positive = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]
NotNegative = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]
Signed = Annotated[int, Meta(ge=-QUANTITY_MAX, le=QUANTITY_MAX)]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset")]


class Shape(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Base of request shapes: immutable, unknown fields refused."""


class Document(Shape, frozen=True):
    """The business document a fact belongs to, in its owner's numbering."""

    type: Code
    number: Number


class ItemLine(Shape, frozen=True, kw_only=True):
    """Names an item by our `sku`, or by what a system calls it (`alias` in `namespace`)."""

    sku: Sku | None = None
    alias: Sku | None = None
    namespace: Code | None = None
    uom: Uom | None = None
    line: Number | None = None

    def __post_init__(self) -> None:
        """Refuse a line that names no item, or two."""
        if (self.sku is None) == (self.alias is None):
            msg = "give either `sku` or `alias` with `namespace`"
            raise ValueError(msg)
        if (self.alias is None) != (self.namespace is None):
            msg = "`alias` and `namespace` go together"
            raise ValueError(msg)
