"""Events about masters that the systems in charge of them report."""

import msgspec

from stockbridge.contracts.masters import ChangeItem


class ItemChanged(ChangeItem, frozen=True, kw_only=True):
    """An item as the system in charge has it; what it does not say stays as it is."""


def changed_item(event: ItemChanged) -> ChangeItem:
    """What is to change."""
    return ChangeItem(**msgspec.structs.asdict(event))
