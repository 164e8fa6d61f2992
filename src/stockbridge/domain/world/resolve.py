"""From names in a request to items, places and base units, or the list of what is wrong."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stockbridge.contracts.base import ItemLine
from stockbridge.domain.masters.model import Catalog, Channel, Item, Location
from stockbridge.domain.world.needs import Needs
from stockbridge.kernel.errors import Refusal
from stockbridge.kernel.quantity import QUANTITY_MAX, to_base

RowError = dict[str, Any]


class ResolvedLine(NamedTuple):
    """A line with its item and its quantity in base units; `name` identifies it in its document."""

    item: Item
    units: int
    name: str
    row: int


def row_error(
    index: int, field: str, code: str, detail: str, missing: str | None = None
) -> RowError:
    """One entry of a refusal's `errors`; `missing` names what would mend it once it exists."""
    error: RowError = {"index": index, "field": field, "code": code, "detail": detail}
    if missing is not None:
        error["missing"] = missing
    return error


def need_items(lines: Iterable[ItemLine], needs: Needs) -> None:
    """Collect the names of the lines' items."""
    for line in lines:
        if line.sku is not None:
            needs.skus.add(line.sku)
        elif line.namespace is not None and line.alias is not None:
            needs.aliases.add((line.namespace, line.alias))


def find_item(masters: Catalog, line: ItemLine) -> Item | None:
    """The item a line names, if known."""
    if line.sku is not None:
        return masters.items.get(line.sku)
    item_id = masters.aliases.get((line.namespace or "", line.alias or ""))
    return None if item_id is None else masters.items_by_id.get(item_id)


def units_of(item: Item, quantity: int, uom: str | None) -> int | RowError:
    """Base units of `quantity` in `uom`; a row error (index 0) when it is not exact or unknown."""
    if uom is None or uom == item.base_uom:
        return quantity
    factor = item.uoms.get(uom)
    if factor is None:
        known = ", ".join([item.base_uom, *item.uoms])
        return row_error(0, "uom", "unknown_uom", f"{item.sku} has no unit {uom}; it has {known}")
    units = to_base(quantity, *factor)
    if units is None:
        detail = f"{quantity} {uom} is not a whole number of {item.base_uom} of {item.sku}"
        return row_error(0, "quantity", "fractional_quantity", detail)
    if abs(units) > QUANTITY_MAX:
        detail = f"{quantity} {uom} is more than {QUANTITY_MAX} {item.base_uom}"
        return row_error(0, "quantity", "quantity_too_large", detail)
    return units


def resolve_lines(
    masters: Catalog, lines: Sequence[Any], *, explode_kits: bool
) -> list[ResolvedLine] | Refusal:
    """Items and base units of fact lines; kits become their components or are refused."""
    found: list[ResolvedLine] = []
    errors: list[RowError] = []
    seen: dict[tuple[int, str], int] = {}
    for index, line in enumerate(lines):
        item = find_item(masters, line)
        if item is None:
            errors.append(unknown_item(index, line))
            continue
        units = units_of(item, line.quantity, line.uom)
        if not isinstance(units, int):
            errors.append({**units, "index": index})
        elif item.components and not explode_kits:
            detail = f"{item.sku} is a kit and holds no stock; report its components"
            errors.append(row_error(index, "sku", "kit_holds_no_stock", detail))
        elif (serials := getattr(line, "serials", ())) and len(set(serials)) != units:
            detail = f"{len(set(serials))} different serials for {units} units of {item.sku}"
            errors.append(row_error(index, "serials", "serial_count", detail))
        else:
            name = _line_name(line, item, seen)
            found.extend(_parts(masters, item, units, name, index))
    if errors:
        return rows_refused(errors)
    return found


def rows_refused(errors: list[RowError]) -> Refusal:
    """A refusal that lists every bad row; its code is the rows' own when they agree."""
    codes = {error["code"] for error in errors}
    code = codes.pop() if len(codes) == 1 else "invalid_rows"
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"line {first['index']}, {first['field']}: {first['detail']}{more}"
    return Refusal(code, detail, 422, errors)


def find_location(masters: Catalog, code: str, field: str = "location") -> Location | Refusal:
    """The location, or a refusal that names it."""
    found = masters.locations.get(code)
    if found is not None:
        return found
    detail = f"{field} {code} is not known; make it with PUT /v1/locations/{code}"
    error = row_error(0, field, "unknown_location", detail, f"location:{code}")
    return Refusal("unknown_location", detail, 422, [error])


def find_channel(masters: Catalog, code: str) -> Channel | Refusal:
    """The channel, or a refusal that names it."""
    found = masters.channels.get(code)
    if found is not None:
        return found
    detail = f"channel {code} is not known; make it with PUT /v1/channels/{code}"
    error = row_error(0, "channel", "unknown_channel", detail, f"channel:{code}")
    return Refusal("unknown_channel", detail, 422, [error])


def unknown_sku(index: int, sku: str) -> RowError:
    """The row error for a SKU that is no item."""
    detail = f"{sku} is no item; make it with PUT /v1/items"
    return row_error(index, "sku", "unknown_sku", detail, f"sku:{sku}")


def unknown_item(index: int, line: ItemLine) -> RowError:
    """The row error for a line whose item nobody knows."""
    if line.sku is not None:
        return unknown_sku(index, line.sku)
    detail = f"{line.namespace} calls no item {line.alias}; add the alias to its item"
    missing = f"alias:{line.namespace}:{line.alias}"
    return row_error(index, "alias", "unknown_alias", detail, missing)


def _line_name(line: ItemLine, item: Item, seen: dict[tuple[int, str], int]) -> str:
    """The line's own name; else the SKU, numbered when its document repeats it.

    Parcels of one line are told apart by `package`, so a repeat counts within its package.
    """
    if line.line is not None:
        return line.line
    key = (item.item_id, getattr(line, "package", None) or "")
    seen[key] = seen.get(key, 0) + 1
    return item.sku if seen[key] == 1 else f"{item.sku}#{seen[key]}"


def _parts(masters: Catalog, item: Item, units: int, name: str, index: int) -> list[ResolvedLine]:
    if not item.components:
        return [ResolvedLine(item, units, name, index)]
    return [
        ResolvedLine(masters.items_by_id[part], units * each, name, index)
        for part, each in item.components
    ]
