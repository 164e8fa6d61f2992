"""Exact quantities: whole base units, converted by rational factors."""

from typing import Final

QUANTITY_MAX: Final = 10**12
"""Largest quantity of one line, in base units; keeps every sum far inside 64 bits."""


def to_base(quantity: int, numerator: int, denominator: int) -> int | None:
    """Base units in `quantity` units of numerator/denominator each; None if not a whole number.

    >>> to_base(3, 12, 1), to_base(3, 1, 2), to_base(4, 1, 2)
    (36, None, 2)
    """
    units, rest = divmod(quantity * numerator, denominator)
    return None if rest else units
