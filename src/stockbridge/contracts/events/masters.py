"""Events about masters that the systems in charge of them report."""

import msgspec

from stockbridge.contracts.masters import ChangeItem, ChangeLocation


class ItemChanged(ChangeItem, frozen=True, kw_only=True):
    """An item as the system in charge has it; what it does not say stays as it is."""


def changed_item(event: ItemChanged) -> ChangeItem:
    """What is to change."""
    return ChangeItem(**msgspec.structs.asdict(event))


class LocationChanged(ChangeLocation, frozen=True, kw_only=True):
    """A location as the system in charge has it; what it does not say stays as it is."""


def changed_location(event: LocationChanged) -> ChangeLocation:
    """What is to change."""
    return ChangeLocation(**msgspec.structs.asdict(event))
