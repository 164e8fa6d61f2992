"""Debts: (connector, case) -> why it stands for now; one nothing needs any more is an error."""

from collections.abc import Mapping
from typing import Final

WAIVERS: Final[Mapping[tuple[str, str], str]] = {}
